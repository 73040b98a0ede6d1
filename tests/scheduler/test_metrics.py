"""What the scheduler sees of its cluster."""

import asyncio
from time import monotonic

from distributed import wait

from supreme_dask.core.groups import WorkerGroup, group_of
from supreme_dask.core.snapshot import GroupView
from supreme_dask.scheduler.metrics import SystemMetricsMonitor
from tests.scheduler.clusters import GiB, named, plugin, supreme, until
from tests.scheduler.gates import GO, hold

SMALL = WorkerGroup("small", cpu=2, memory="4 GiB", cost=3600.0)


def monitor(scheduler, *groups):
    ours = plugin(scheduler)
    names = [group.name for group in groups]
    return SystemMetricsMonitor(
        scheduler,
        ours.admission,
        ours.drains,
        lambda: [GroupView(group) for group in groups],
        lambda name: group_of(name, names),
    )


class Counter:
    pass


@supreme()
async def test_it_says_who_is_there_and_what_runs(client, scheduler):
    async with named(scheduler, "small-0") as a, named(scheduler, "other-0"):
        future = client.submit(hold, 1, workers=[a.address], resources={"memory": GiB, "cpu": 2})
        await until(lambda: scheduler.workers[a.address].processing)
        await until(lambda: scheduler.workers[a.address].executing)  # a heartbeat has told
        snapshot = monitor(scheduler, SMALL).snapshot()
        small, other = snapshot.workers
        assert (small.name, small.group, other.name, other.group) == ("small-0", "small", "other-0", "")
        assert small.running == 1
        assert small.idle_since is None
        assert small.elapsed > 0
        assert other.running == 0
        assert other.elapsed == 0
        assert other.idle_since <= snapshot.now
        assert small.usage.now.allocated == 100 == snapshot.groups[0].usage.now.allocated
        assert snapshot.usage.now.allocated == 50
        GO.set()
        await future


@supreme()
async def test_it_tells_results_that_only_one_worker_holds(client, scheduler):
    async with named(scheduler, "small-0") as a, named(scheduler, "small-1"):
        alone = await client.scatter(b"x" * 5000, workers=[a.address])
        twice = await client.scatter(b"y" * 7000, broadcast=True)
        first, second = monitor(scheduler, SMALL).snapshot().workers
        assert 5000 <= first.unique < 6000
        assert second.unique == 0
        del alone, twice


@supreme()
async def test_it_tells_who_leaves_and_who_cannot(client, scheduler):
    async with named(scheduler, "small-0") as a, named(scheduler, "small-1") as b:
        actor = client.submit(Counter, actor=True, workers=[a.address])
        await actor
        future = client.submit(hold, 1, workers=[b.address], allow_other_workers=True, resources={"memory": GiB})
        await until(lambda: scheduler.workers[b.address].processing)
        plugin(scheduler).drains.drain(["small-1"], reason="a test")
        first, second = monitor(scheduler, SMALL).snapshot().workers
        assert (first.pinned, first.draining) == (True, False)
        assert (second.pinned, second.draining, second.leaving) == (False, True, False)
        GO.set()
        await future


@supreme()
async def test_what_waits_is_the_backlog_of_those_who_could_run_it(client, scheduler):
    async with named(scheduler, "small-0"):
        waiting = client.map(hold, range(10), resources={"memory": 100 * GiB}, pure=False)
        large = WorkerGroup("large", cpu=1, memory="200 GiB")
        await until(lambda: len(plugin(scheduler).admission.queues) == 10)
        snapshot = monitor(scheduler, SMALL, large).snapshot()
        small, large = snapshot.groups
        assert small.usage.now.backlog == 0 < large.usage.now.backlog
        assert snapshot.usage.now.backlog > 0
        await client.cancel(waiting)


@supreme()
async def test_workers_cost_by_the_hour(client, scheduler):
    async with named(scheduler, "small-0"):
        watching = monitor(scheduler, SMALL)  # one unit per second
        started = monotonic()
        first = watching.snapshot()
        await asyncio.sleep(0.2)
        second = watching.snapshot()
        assert first.spent == 0
        assert 0.19 < second.spent <= monotonic() - started


@supreme()
async def test_a_worker_that_is_gone_is_forgotten(client, scheduler):
    async with named(scheduler, "small-0") as a:
        watching = monitor(scheduler, SMALL)
        await wait(client.submit(abs, 1))
        assert len(watching.snapshot().workers) == 1
        await a.close()
        await until(lambda: not scheduler.workers)
        assert watching.snapshot().workers == ()
