"""Many workers join, work and leave; what that costs controller and scheduler is printed."""

import os
from time import monotonic

import psutil

from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents
from tests.kubernetes.test_system import GROUPS, on_kubernetes, work
from tests.scheduler.clusters import until

COUNT = int(os.environ.get("SUPREME_KUBERNETES_WORKERS", "6"))
PATIENCE = 60.0 + 10 * COUNT  # s
ALL = {"small": {**GROUPS["small"], "minimum": COUNT, "maximum": COUNT, "startup": 60}}
NONE = {"small": {**ALL["small"], "minimum": 0}}


def used(process):
    """Return processor seconds and MiB of a process."""
    times = process.cpu_times()
    return times.user + times.system, process.memory_info().rss / 2**20


@on_kubernetes(ALL, patience=3 * PATIENCE)
async def test_many_workers_join_work_and_leave(system):
    ours, begin = psutil.Process(), monotonic()
    before, _ = used(ours)
    with system.controller() as process:
        await until(lambda: len(system.workers()) == COUNT, PATIENCE)
        joined = monotonic() - begin
        assert system.workers() == system.pods()
        done = system.client.map(work, range(20 * COUNT), resources={"cpu": 1}, pure=False, seconds=0.1)
        assert await system.client.gather(done) == list(range(20 * COUNT))
        (scheduler, large), begin = used(ours), monotonic()
        async with open_store(system.url) as store:
            await Documents(store, system.name).publish("groups/default", NONE, author="a test")
        del done
        await until(lambda: not system.pods() and not system.workers(), PATIENCE)
        seconds, size = used(psutil.Process(process.pid))
        gone = monotonic() - begin
    print(f"{COUNT} workers: joined in {joined:.1f} s, gone after {gone:.1f} s")
    print(f"until the last task: scheduler {scheduler - before:.1f} s of processor, {large:.0f} MiB")
    print(f"until the last is gone: controller {seconds:.1f} s of processor, {size:.0f} MiB")
