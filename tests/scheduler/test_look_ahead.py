"""Short tasks wait on the worker a few at a time; all others are sent when they can run."""

from distributed import Event, Worker, wait
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.utils_test import inc

from tests.scheduler.clusters import all_free, plugin, supreme, until, worker
from tests.scheduler.counting import run


class Sends(SchedulerPlugin):
    """Counts how often tasks were sent, and how many."""

    name = "sends"

    def __init__(self):
        self.tasks = 0
        self.stimuli = set()

    def transition(self, key, start, finish, *args, stimulus_id, **kwargs):
        if finish == "processing":
            self.tasks += 1
            self.stimuli.add(stimulus_id)


def maybe_wait(number, event):
    if number < 0:
        event.wait()
    return number


def make(number):
    return bytes(100_000) + bytes([number])


def where(data, number):
    return run(number).worker


@supreme(worker(2), worker(2))
async def test_short_tasks_are_sent_in_batches_and_all_complete(c, s, a, b):
    await c.gather(c.map(inc, range(1000, 1040)))  # so that it is known to be short
    s.add_plugin(sends := Sends())
    assert await c.gather(c.map(inc, range(1000))) == list(range(1, 1001))
    assert sends.tasks == 1000
    assert len(sends.stimuli) < 500
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@supreme(worker(1, memory=4))
async def test_tasks_behind_one_that_turned_out_long_move_to_a_worker_that_idles(c, s, a):
    event = Event()
    demand = {"memory": 1_000_000}
    await c.gather(c.map(maybe_wait, range(100, 140), event=event, resources=demand))
    stuck = c.submit(maybe_wait, -1, event, resources=demand)
    await until(lambda: s.tasks[stuck.key].state == "processing" if stuck.key in s.tasks else False)
    behind = c.map(maybe_wait, range(40), event=event, resources=demand)
    await until(lambda: len(s.workers[a.address].processing) > 5)
    async with Worker(s.address, nthreads=1, resources={"memory": 4 * 2**30}, memory_limit=0):
        assert await c.gather(behind) == list(range(40))
        assert not stuck.done()
        await event.set()
        await wait(stuck)


@supreme(worker(2, memory=4), worker(2, memory=4))
async def test_stored_chunks_are_consumed_where_they_are(c, s, a, b):
    demand = {"memory": 1_000_000}
    chunks = c.map(make, range(40), resources=demand)
    await wait(chunks)
    homes = [next(iter(s.tasks[chunk.key].who_has)).address for chunk in chunks]
    places = await c.gather(c.map(where, chunks, range(40), resources=demand))
    assert len(set(homes)) == 2
    assert sum(home == place for home, place in zip(homes, places, strict=True)) > 30
    assert plugin(s).active
