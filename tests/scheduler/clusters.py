"""Real schedulers and workers in one process, with our package preloaded, and every transition validated."""

import asyncio
from time import monotonic

from distributed import Worker
from distributed.utils_test import gen_cluster

PRELOAD = ["supreme_dask.preload"]
GiB = 2**30

OURS = {
    "distributed.scheduler.preload": PRELOAD,
    "distributed.worker.preload": PRELOAD,
    "distributed.worker.memory.pause": False,  # workers of one process share its memory; tests pause them
}
"""Config that brings our package into schedulers and workers."""


def worker(threads=1, memory=None, **resources):
    """Return a worker for `supreme`; with `memory`, exactly so many GiB, whatever this process takes itself."""
    if memory is not None:
        resources["memory"] = memory * GiB
    return ("127.0.0.1", threads, {"resources": resources, "memory_limit": 0 if memory is not None else "20 GiB"})


def named(scheduler, name, threads=2, memory=4, **resources):
    """Return a worker with a name and exactly so many GiB, to be entered with ``async with``."""
    resources["memory"] = memory * GiB
    options = {"resources": resources, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    return Worker(scheduler.address, name=name, nthreads=threads, host="127.0.0.1", validate=True, **options)


def supreme(*workers, config=None, **options):
    """Give a test a client, a scheduler that places tasks by our plugin, and these workers."""
    return gen_cluster(nthreads=list(workers), client=True, config={**OURS, **(config or {})}, timeout=30, **options)


def plain(*workers, config=None, **options):
    """Give a test a client, a scheduler without our plugin, and these workers."""
    return gen_cluster(nthreads=list(workers), client=True, config=config, timeout=30, **options)


def plugin(scheduler):
    """Return our part of a scheduler."""
    return scheduler.plugins["supreme"]


def reserved(scheduler):
    """Return how many tasks hold something, ghosts included."""
    ledger = plugin(scheduler).admission.ledger
    return len(ledger.reservations) + len(ledger.ghosts)


def all_free(scheduler):
    """Tell whether every worker is as empty as the ledger knows."""
    rows = plugin(scheduler).admission.ledger.rows.values()
    return not reserved(scheduler) and all(
        free + (row.burden if axis == 2 else 0) == capacity
        for row in rows
        for axis, (free, capacity) in enumerate(zip(row.free, row.capacity, strict=True))
    )


async def until(condition, seconds=20.0):
    """Wait until a condition holds; fail if it does not in time."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)
