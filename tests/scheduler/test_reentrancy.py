"""Events in unkind orders: nothing waits for ever, and nothing is held for nobody."""

from distributed import Event, Worker, wait
from distributed.utils_test import inc

from supreme_dask import SupremePlugin
from tests.scheduler.clusters import all_free, plain, plugin, supreme, until, worker
from tests.scheduler.counting import peaks, run


def wait_for(event, number=0):
    event.wait()
    return run(number)


class Counter:
    """An actor that counts."""

    def __init__(self):
        self.count = 0

    def increment(self):
        self.count += 1
        return self.count


@supreme(worker(2, 1), worker(2, 1), config={"supreme.memory.wall": None})
async def test_another_worker_goes_on_when_the_first_to_probe_a_type_is_lost(c, s, a, b):
    event = Event()
    futures = c.map(wait_for, [event] * 8, range(8), pure=False)
    await until(lambda: len(plugin(s).admission.queues) == 7)
    home = next(ws for ws in s.workers.values() if ws.processing)
    await s.remove_worker(home.address, stimulus_id="test")
    await until(lambda: any(ws.processing for ws in s.workers.values()))
    await event.set()
    await wait(futures)


@supreme(worker(2, 1), worker(2, 1), config={"supreme.memory.wall": None})
async def test_another_worker_goes_on_when_the_first_to_probe_a_type_is_cancelled(c, s, a, b):
    never, event = Event(), Event()
    first = c.submit(wait_for, never)
    await until(lambda: any(w.state.executing for w in (a, b)))
    others = c.map(wait_for, [event] * 4, range(4), pure=False)
    await until(lambda: len(plugin(s).admission.queues) == 4)
    await first.cancel()
    await event.set()
    assert len(await c.gather(others)) == 4
    await never.set()


@supreme(worker(2, A=2), worker(2, A=2))
async def test_workers_that_come_and_go_lose_no_task(c, s, a, b):
    futures = c.map(run, range(150), seconds=0.01, amounts={"A": 1}, resources={"A": 1}, pure=False)
    for _ in range(6):
        async with Worker(s.address, nthreads=2, resources={"A": 2}) as late:
            await until(
                lambda address=late.address: s.workers[address].processing or not len(plugin(s).admission.queues)
            )
    runs = await c.gather(futures)
    assert sorted(each.number for each in runs) == list(range(150))
    assert set(peaks(runs).values()) <= {1, 2}
    del futures
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@plain(worker(2, memory=1), worker(2, memory=1))
async def test_an_actor_that_was_there_before_us_keeps_its_memory(c, s, a, b):
    actor = await c.submit(Counter, actor=True, resources={"memory": 0.75 * 2**30}, workers=[a.address])
    await c.register_plugin(SupremePlugin())
    demand = {"memory": 0.5 * 2**30}
    runs = await c.gather(c.map(run, range(6), amounts=demand, resources=demand, pure=False))
    assert {each.worker for each in runs} == {b.address}
    assert await actor.increment() == 1


@supreme(worker(2, A=2))
async def test_a_worker_that_changes_what_it_has_is_believed(c, s, a):
    await a.set_resources(A=4)
    await until(lambda: plugin(s).admission.ledger.rows[a.address].capacity[-1] == 4000, 30)
    assert await c.submit(inc, 1, resources={"A": 3}) == 2
