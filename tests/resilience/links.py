"""A scheduler in this process, workers that are processes of their own, and links that can be cut."""

import asyncio
import os
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import dask
from distributed import Client, Scheduler

from supreme_dask.testing import Proxy
from tests.scheduler.clusters import PRELOAD, plugin, until

ROOT = Path(__file__).parents[2]


@dataclass
class Linked:
    """A worker or a client, and its link to the scheduler."""

    link: Proxy
    process: asyncio.subprocess.Process | None = None
    client: Client | None = None
    name: str = ""

    def signal(self, number):
        """Send a signal to all processes of a worker, its nanny included."""
        os.killpg(self.process.pid, number)


class Cluster:
    """What a test gets; everything ends with it."""

    def __init__(self, scheduler, stack, directory):
        self.scheduler = scheduler
        self.directory = directory
        self._stack = stack

    async def worker(self, name, *options):
        """Start a worker and wait until it has joined."""
        link = await self._link()
        command = [sys.executable, "-m", "dask", "worker", f"tcp://{link.host}", "--host", "127.0.0.1"]
        command += ["--name", name, "--nthreads", "1", "--memory-limit", "2 GiB", "--no-dashboard"]
        command += ["--preload", *PRELOAD, "--local-directory", str(self.directory), *options]
        with (self.directory / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=_environment(), stdout=log, stderr=log, start_new_session=True
            )
        self._stack.push_async_callback(_end, process)
        await until(lambda: name in self.names(), seconds=60)
        return Linked(link, process, name=name)

    async def workers(self, *names):
        """Start several workers."""
        return await asyncio.gather(*(self.worker(name) for name in names))

    async def client(self):
        """Connect a client."""
        link = await self._link()
        client = await self._stack.enter_async_context(Client(f"tcp://{link.host}", asynchronous=True, timeout=30))
        return Linked(link, client=client)

    def names(self):
        """Return the names of the workers that are there."""
        return {ws.name for ws in self.scheduler.workers.values()}

    def address(self, worker):
        return self.scheduler.aliases[worker.name]

    def running(self, worker):
        """Return how many tasks a worker has."""
        return len(self.scheduler.workers[self.address(worker)].processing)

    def runs(self):
        """Return how often each task was begun."""
        return {int(path.stem): path.stat().st_size for path in self.directory.glob("*.runs")}

    async def _link(self):
        return await self._stack.enter_async_context(Proxy(self.scheduler.address.removeprefix("tcp://")))


def linked(config=None):
    """Give a test a `Cluster`; with settings of ours or of Dask's."""

    def decorate(test):
        @wraps(test)
        def run(tmp_path):
            asyncio.run(story(tmp_path))

        async def story(tmp_path):
            async with running(tmp_path, config or {}) as cluster:
                await test(cluster)

        del run.__wrapped__  # pytest would ask for what the test takes
        return run

    return decorate


def work(number, directory, seconds):
    """Leave a mark that this was begun, and take some time."""
    with (Path(directory) / f"{number}.runs").open("a") as marks:
        marks.write("x")
    time.sleep(seconds)
    return number * number


@asynccontextmanager
async def running(directory, config):
    """Run a scheduler with these settings; its workers get them too."""
    settings = {"distributed.scheduler.preload": PRELOAD, "supreme.demands": {"work": {"memory": "1 MiB"}}}
    with dask.config.set({**settings, **config}):
        async with (
            Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler,
            AsyncExitStack() as stack,
        ):
            yield Cluster(scheduler, stack, directory)
            assert plugin(scheduler).active


def _environment():
    return {**os.environ, "DASK_INTERNAL_INHERIT_CONFIG": dask.config.serialize(dask.config.global_config)}


async def _end(process):
    for number in (signal.SIGCONT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
    await process.wait()
