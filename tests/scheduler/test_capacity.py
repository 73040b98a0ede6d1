"""No worker ever runs more than it has, counted inside the tasks; and what fits does not wait."""

import random

from distributed import Event, Worker, wait
from distributed.diagnostics.plugin import SchedulerPlugin

from tests.scheduler.clusters import GiB, all_free, plugin, supreme, until, worker
from tests.scheduler.counting import peaks, run


def wait_for(event, number=0):
    event.wait()
    return run(number)


@supreme(worker(4, 1), worker(4, 2), worker(8, 8))
async def test_what_runs_at_once_never_exceeds_what_a_worker_has(c, s, *workers):
    chance = random.Random(1)
    futures = []
    for number in range(400):
        demand = {"cpu": chance.choice([0.5, 1, 2]), "memory": chance.choice([1, 2, 4, 8, 16, 24]) * GiB // 8}
        inputs = futures[-3:] if number % 8 == 7 else ()
        seconds = chance.choice([0.0, 0.005, 0.02])
        futures.append(c.submit(run, number, seconds, demand, *inputs, resources=demand, pure=False))
    highest = peaks(await c.gather(futures))
    for each in workers:
        assert highest[each.address, "memory"] <= each.state.total_resources["memory"]
        assert highest[each.address, "cpu"] <= each.state.nthreads
        assert highest[each.address, "tasks"] <= each.state.nthreads
    futures.clear()
    inputs = ()
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


class Watch(SchedulerPlugin):
    """Notes the most tasks that were ever sent to one worker and not done."""

    name = "watch"
    most = 0

    def __init__(self, scheduler):
        self.scheduler = scheduler

    def transition(self, key, start, finish, *args, **kwargs):
        self.most = max(self.most, *(len(ws.processing) for ws in self.scheduler.workers.values()))


@supreme(worker(8, MEM=4))
async def test_two_hundred_tasks_of_one_go_four_by_four_to_a_worker_of_four(c, s, a):
    s.add_plugin(watch := Watch(s))
    futures = c.map(run, range(200), seconds=0.012, amounts={"MEM": 1}, resources={"MEM": 1}, pure=False)
    assert peaks(await c.gather(futures))[a.address, "MEM"] == 4
    assert watch.most == 4


@supreme(worker(4, 1, MEMORY=4))
async def test_memory_in_units_of_the_users_own_is_counted_as_plain_dask_counts_it(c, s, a):
    event = Event()
    large = c.map(wait_for, [event] * 2, range(2), resources={"MEMORY": 3}, pure=False)
    small = c.map(run, range(8), pure=False)  # what declares nothing is not limited by it
    await wait(small)
    assert len(a.state.executing) == 1
    await event.set()
    await c.gather(large)


@supreme(worker(4, 1, A=1, B=1))
async def test_a_task_does_not_wait_behind_others_that_need_something_else(c, s, a):
    event = Event()
    others = c.map(wait_for, [event] * 3, range(3), resources={"A": 1}, pure=False)
    await until(lambda: len(plugin(s).admission.queues) == 2)
    await c.submit(run, 1, resources={"B": 1})
    assert not any(future.done() for future in others)
    await event.set()
    await wait(others)


@supreme(worker(2, X=1))
async def test_workers_that_join_late_share_what_waits(c, s, a):
    demand = {"X": 0.5}
    futures = c.map(run, range(90), seconds=0.05, amounts=demand, resources=demand, pure=False)
    await futures[0]
    async with (
        Worker(s.address, nthreads=2, resources={"X": 1}) as b,
        Worker(s.address, nthreads=4, resources={"X": 2}) as d,
    ):
        runs = await c.gather(futures)
    late = [each for each in runs if each.worker != a.address]
    begin = min(each.start for each in late)
    end = max(each.stop for each in runs)
    ended = {w.address: max(each.stop for each in runs if each.worker == w.address) for w in (a, b, d)}
    assert all(end - stop < 0.25 * (end - begin) for stop in ended.values())
    shares = {w.address: sum(each.worker == w.address and each.start > begin for each in runs) for w in (a, b, d)}
    assert shares[d.address] > 1.5 * shares[a.address]
    assert max(peaks(runs)[d.address, "X"], 0) == 2


@supreme(worker(1, MEM=1), worker(1, MEM=1))
async def test_a_joining_worker_does_not_walk_all_that_waits(c, s, a, b):
    event = Event()
    demand = {"MEM": 1}
    futures = c.map(wait_for, [event] * 300, range(300), resources=demand, pure=False)
    await until(lambda: len(plugin(s).admission.queues) == 298)
    admission = plugin(s).admission
    before, transitions = admission.considered, s.transition_counter
    async with Worker(s.address, resources={"MEM": 1}):
        await until(lambda: len(admission.ledger.reservations) == 3)
        assert admission.considered - before < 20
        assert s.transition_counter - transitions < 20
        await event.set()
        await wait(futures)


@supreme(worker(2, MEM=4))
async def test_equal_tasks_of_little_time_and_no_demand_all_complete(c, s, a):
    assert [each.number for each in await c.gather(c.map(run, range(500)))] == list(range(500))
