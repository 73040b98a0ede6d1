"""Actors live within what their worker has, and wait for it."""

import gc

from distributed import Worker, wait

from tests.scheduler.clusters import GiB, all_free, plugin, supreme, until, worker
from tests.scheduler.counting import run


class Counter:
    """An actor that counts."""

    def __init__(self):
        self.count = 0

    def increment(self):
        self.count += 1
        return self.count


class Broken:
    """An actor that cannot be made."""

    def __init__(self):
        raise ValueError("cannot be made")


@supreme(worker(2, 1), worker(2, 2))
async def test_an_actor_lives_where_it_fits_and_others_keep_out_of_its_memory(c, s, a, b):
    future = c.submit(Counter, actor=True, resources={"memory": "1.5 GiB"})
    counter = await future
    assert await counter.increment() == 1
    assert s.tasks[future.key].who_has == {s.workers[b.address]}
    demand = {"memory": GiB}
    runs = await c.gather(c.map(run, range(6), amounts=demand, resources=demand, pure=False))
    assert {each.worker for each in runs} == {a.address}
    del future, counter
    gc.collect()
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@supreme(worker(2, 1))
async def test_an_actor_waits_for_room(c, s, a):
    first = await c.submit(Counter, actor=True, resources={"memory": "0.75 GiB"})
    second = c.submit(Counter, actor=True, resources={"memory": "0.5 GiB"})
    await until(lambda: second.key in s.tasks and s.tasks[second.key].state == "no-worker")
    assert await first.increment() == 1
    del first
    gc.collect()  # a call of an actor leaves a cycle in Dask's client that holds it
    assert await (await second).increment() == 1
    assert plugin(s).active


@supreme()
async def test_an_actor_waits_for_the_first_worker(c, s):
    future = c.submit(Counter, actor=True)
    await until(lambda: future.key in s.tasks and s.tasks[future.key].state == "no-worker")
    async with Worker(s.address):
        counter = await future
        assert await counter.increment() == 1


@supreme(worker(2, 1))
async def test_an_actor_that_cannot_be_made_holds_nothing(c, s, a):
    future = c.submit(Broken, actor=True, resources={"memory": "0.75 GiB"})
    await wait(future)
    assert future.status == "error"
    await until(lambda: all_free(s))


@supreme(worker(1), worker(1))
async def test_actors_without_a_demand_are_spread_and_take_no_thread(c, s, a, b):
    actors = await c.gather([c.submit(Counter, actor=True, pure=False) for _ in range(6)])
    for actor in actors:
        assert await actor.increment() == 1
    assert await c.gather(c.map(lambda x: x, range(10))) == list(range(10))


class Holder:
    """An actor that is made of something large."""

    def __init__(self, something):
        self.something = something


@supreme(worker(1), worker(1))
async def test_actors_live_with_their_inputs_and_spread(c, s, a, b):
    large = c.submit(bytes, 2**20, workers=[b.address])
    first, second = [await c.submit(Holder, large, actor=True) for _ in range(2)]
    assert s.tasks[first.key].who_has == {s.workers[b.address]}
    assert s.tasks[second.key].who_has == {s.workers[a.address]}
