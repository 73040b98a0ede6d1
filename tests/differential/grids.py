"""Clusters that play many programs: a scheduler in this process, workers in it too or in processes of their own."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import tempfile
from contextlib import suppress
from time import monotonic

import dask
from distributed import Client, Nanny, Scheduler, Worker
from distributed.client import _set_global_client

from tests.differential.programs import LAYOUTS, WorkerSpec
from tests.scheduler.clusters import until

PRELOADS = {"stock": [], "ours": ["supreme_dask.preload"]}
CONFIG = {
    "distributed.worker.memory.pause": False,  # workers of one process share its memory
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",  # many servers in one loop have better to do
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.tick.limit": "60s",
    "distributed.scheduler.allowed-failures": 10,
    "distributed.comm.timeouts.connect": "20s",
}
LOCAL = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
UNASKED = 0.05  # seconds in which most is forgotten
PATIENCE = 10.0  # seconds until what was let go of must be forgotten


class Grid:
    """A cluster of one contender and one layout, to be entered with ``async with``.

    Attributes
    ----------
    workers
        By their number in the layout; those that join come after them.
    """

    def __init__(self, contender: str, layout: str, *, processes: bool = False) -> None:
        self._preload = PRELOADS[contender]
        self._layout, self._processes = LAYOUTS[layout], processes
        self.workers: dict[int, Worker | Nanny] = {}

    async def __aenter__(self) -> Grid:
        self._config = dask.config.set(CONFIG)
        self._config.__enter__()
        self._directory = tempfile.TemporaryDirectory()
        self._local = LOCAL if self._processes else {**LOCAL, "protocol": "inproc", "host": None}
        self.scheduler = await Scheduler(port=0, preload=self._preload, validate=not self._processes, **self._local)
        await asyncio.gather(*(self.start(number, spec) for number, spec in enumerate(self._layout)))
        self.client = await Client(self.scheduler.address, asynchronous=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._close(), PATIENCE)
        self._directory.cleanup()
        self._config.__exit__(None, None, None)

    async def _close(self) -> None:
        await self.client.close()
        await asyncio.gather(*(self._stop(worker) for worker in self.workers.values()))
        await self.scheduler.close()

    async def start(self, number: int, spec: WorkerSpec) -> None:
        """Start a worker, and return once it has joined."""
        options = {
            "nthreads": spec.threads,
            "resources": dict(spec.resources),
            "memory_limit": spec.memory,
            "preload": self._preload,
            "local_directory": self._directory.name,
            **self._local,
        }
        if self._processes:
            self.workers[number] = await Nanny(self.scheduler.address, silence_logs=logging.CRITICAL, **options)
        else:
            self.workers[number] = await Worker(self.scheduler.address, **options)
        await until(lambda: self.address(number) in self.scheduler.workers)

    def address(self, number: int) -> str:
        """Return where a worker is, or was."""
        worker = self.workers[number]
        return str(worker.worker_address if self._processes else worker.address)

    def make_current(self) -> None:
        """Have tasks in this process take our client for theirs: one of a worker's would go with that worker."""
        _set_global_client(self.client)

    async def die(self, number: int) -> None:
        """End a worker without a word to its tasks."""
        worker = self.workers.pop(number)
        if self._processes:
            worker.auto_restart = False
            os.kill(worker.pid, signal.SIGKILL)
        await self._stop(worker)

    async def retire(self, number: int) -> None:
        """Have a worker leave as Dask lets it leave."""
        await self.client.retire_workers([self.address(number)])
        await self._stop(self.workers.pop(number))

    async def restore(self) -> bool:
        """Make it as it was before a program; tell whether that could be done."""
        # Released tasks may still run, and wait for children that need the workers that joined.
        if not await self._settled():
            return False
        for number in set(self.workers) - set(range(len(self._layout))):
            await self._stop(self.workers.pop(number))
        for number, spec in enumerate(self._layout):
            if number not in self.workers:
                await self.start(number, spec)
        return len(self.scheduler.workers) == len(self._layout)

    async def _settled(self) -> bool:
        """Wait until what a program let go of is forgotten; tell whether it was in time."""
        begin = monotonic()
        while self.scheduler.tasks or any(self._busy(worker) for worker in self.workers.values()):
            if monotonic() > begin + PATIENCE:
                return False
            if monotonic() > begin + UNASKED:
                gc.collect()  # what a traceback or an actor holds
            await asyncio.sleep(0.001 if monotonic() < begin + UNASKED else UNASKED)
        return True

    def _busy(self, worker: Worker | Nanny) -> bool:
        return not self._processes and bool(worker.state.tasks)

    async def _stop(self, worker: Worker | Nanny) -> None:
        how = {} if self._processes else {"executor_wait": False}
        await worker.close(timeout=2, **how)
