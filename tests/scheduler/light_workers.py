"""Many real workers, each a process of its own, that share what they have imported.

``python -m tests.scheduler.light_workers tcp://scheduler:1 120`` starts 120 of them, named by their process ids, and
ends when all have ended. What a worker measures of itself is done seldom.
"""

import asyncio
import os
import sys
import tempfile

import dask
from distributed import Worker

import supreme_dask.worker.plugin  # noqa: F401  imported once, before the processes part

SELDOM = {
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.low-level-log-length": 0,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}


async def work(scheduler, directory):
    async with Worker(
        scheduler,
        nthreads=1,
        name=str(os.getpid()),
        host="127.0.0.1",
        memory_limit=0,
        resources={"memory": 2**30},
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        local_directory=directory,
    ) as worker:
        await worker.finished()


def main(scheduler, count):
    with tempfile.TemporaryDirectory() as directory, dask.config.set(SELDOM):
        children = [pid for _ in range(count) if (pid := _part(scheduler, directory))]
        for pid in children:
            os.waitpid(pid, 0)


def _part(scheduler, directory):
    pid = os.fork()
    if not pid:
        try:
            asyncio.run(work(scheduler, directory))
        finally:
            os._exit(0)
    return pid


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
