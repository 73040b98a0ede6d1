"""A live system that scales: how soon a graph makes a provisioner launch workers, and how well those are used.

A scheduler with a store, two workers that belong to no group, and a controller that follows the store.

======  ============================================================================================
launch  seconds from a client's `submit` of what fits nowhere to the provisioner's `launch`, each time for
        two workers more, which are noted and never come; the two that are there have work of their own
share   what is reserved of the scarcest resource while tasks wait that would fit some worker, and no
        worker is starting: waves of sleeping tasks of 0.1 to 1.5 GiB on worker processes that come and go
======  ============================================================================================

::

    python tests/benchmarks/live_scaling.py --store etcd://127.0.0.1:2379 --json live_scaling.json
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clusters import cluster, quantile, write_json
from distributed import Client, wait
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.controller.controller import Controller
from supreme_dask.controller.following import Following
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan
from supreme_dask.provisioners.base import Provisioner
from supreme_dask.provisioners.local import LocalProvisioner
from supreme_dask.stores import schemas

SYSTEM = "live"
GROUP = {"cpu": 16, "memory": "4 GiB", "startup": 3}
MOST = 5  # workers that a machine of two cores carries
POLICY = {"demand": {"kind": "demand", "within-seconds": 4}, "idle": {"kind": "idle", "after-seconds": 2}}
LARGEST = 1536  # MiB that a task of a wave takes
BACKLOG = 64  # waiting tasks that keep everybody busy, as in simulations
LOOK = 0.01  # s between two looks at what is reserved
PAUSE = 8.0  # s between two waves
PATIENCE = 30.0
TWO_MORE = 16  # tasks, of 0.5 s as Dask assumes, that ask for two workers: each could do eight in four seconds
CHANCE = random.Random(1)


class Noting:
    """A provisioner whose workers never join; it notes when it is asked for them."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self._existing: dict[str, str] = {}

    async def launch(self, group: WorkerGroup, count: int) -> None:
        self.asked.put_nowait(time.monotonic())
        there = len(self._existing)
        self._existing.update((f"{group.name}-{number}", group.name) for number in range(there, there + count))

    async def heed(self, plan: Plan) -> None:
        """Give numbers as ever: nothing else makes workers here."""

    async def remove(self, names: Collection[str]) -> None:
        for name in names:
            self._existing.pop(name, None)

    async def workers(self) -> Mapping[str, str]:
        return dict(self._existing)

    async def arrived(self) -> Collection[str]:
        return set(self._existing)

    async def trouble(self, name: str) -> str:
        return ""

    async def last_words(self, name: str) -> str:
        return ""


class Meter(SchedulerPlugin):
    """Looks at what is reserved, a hundred times a second.

    Attributes
    ----------
    reserved, there : dict of int to Counter
        Amount × time of each resource, while at least so many tasks wait.
    """

    name = "meter"

    def __init__(self) -> None:
        self.reserved = {1: Counter[str](), BACKLOG: Counter[str]()}
        self.there = {1: Counter[str](), BACKLOG: Counter[str]()}
        self.seconds = Counter[int]()
        self.targets: list[int] = []

    async def start(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._supreme = scheduler.plugins["supreme"]
        self._looks = asyncio.create_task(self._look_on())

    async def close(self) -> None:
        self._looks.cancel()

    async def _look_on(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            self._look(now, now - before)
            before = now

    def _look(self, now: float, elapsed: float) -> None:
        target = sum(target.workers for target in self._supreme.scaling.plan.targets)
        if self.targets[-1:] != [target]:
            self.targets.append(target)
        seen = self._supreme.admission.snapshot(now)
        hosts = [worker for worker in seen.workers if worker.open]
        names = [str(self._scheduler.workers[worker.address].name) for worker in hosts]
        starting = sum(name.startswith("small-") for name in names) < target
        fitting = sum(one.count for one in seen.waiting if any(one.demand.fits(host.capacity) for host in hosts))
        for least in self.there:
            if fitting >= least and not starting:
                self.seconds[least] += elapsed
                for host in hosts:
                    self.there[least].update({name: amount * elapsed for name, amount in host.capacity.items()})
                    self.reserved[least].update({name: amount * elapsed for name, amount in host.reserved.items()})

    def shares(self) -> dict[str, Any]:
        """Return the share of the scarcest resource, by how many tasks waited."""
        found: dict[str, Any] = {"targets": self.targets}
        for least, there in self.there.items():
            shares = {name: self.reserved[least][name] / amount for name, amount in there.items() if amount}
            scarcest = max(shares, key=shares.__getitem__, default="")
            found[f"waiting >= {least}"] = {
                "resource": scarcest,
                "share": shares.get(scarcest, 0.0),
                "seconds": self.seconds[least],
            }
        return found


@asynccontextmanager
async def system(store: str, provisioner: Provisioner, most: int) -> AsyncIterator[Client]:
    """Run a scheduler that plans for one group, two workers that belong to none, and a controller."""
    groups = {"small": {**GROUP, "maximum": most}}
    os.environ |= {
        "DASK_SUPREME__STORE": store,
        "DASK_SUPREME__SYSTEM": SYSTEM,
        "DASK_SUPREME__SCALING__GROUPS": repr(groups),
        "DASK_SUPREME__SCALING__POLICY": repr(POLICY),
        "DASK_SUPREME__SCALING__LAUNCH_TIMEOUT": "1h",
    }
    controller = Controller(provisioner, schemas.groups(groups))
    with cluster("supreme", workers=2, memory="1GiB") as found:
        async with Client(found.address, asynchronous=True) as client:
            await client.wait_for_workers(2)
            following = asyncio.create_task(Following(store, SYSTEM, controller, fixed=True).run())
            try:
                yield client
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)


def small(seconds: float) -> None:
    """Be a task of another type than `time.sleep`."""
    time.sleep(seconds)


async def work_on_the_side(client: Client) -> None:
    while True:
        futures = client.map(small, [0.05] * 10, pure=False, resources={"memory": 1 << 20})
        await wait(futures)


async def launches(store: str, events: int) -> list[float]:
    """Return the seconds from each submission to the launch that follows it."""
    noting, taken = Noting(), []
    async with system(store, noting, 2 * events) as client:
        futures, work = [], asyncio.create_task(work_on_the_side(client))
        for event in range(events):
            keys = [f"large-{event}-{number}" for number in range(TWO_MORE)]
            begun = time.monotonic()
            futures += client.map(time.sleep, [0.5] * TWO_MORE, key=keys, resources={"memory": 3 << 30})
            taken.append(await asyncio.wait_for(noting.asked.get(), PATIENCE) - begun)
            await asyncio.sleep(CHANCE.uniform(0.1, 1.0))
        work.cancel()
        assert noting.asked.empty()  # no launch but those that were waited for
    return taken


async def waves(store: str, directory: Path, count: int, tasks: int) -> dict[str, Any]:
    """Return the shares that were reserved while waves of tasks came."""
    with LocalProvisioner(directory / "workers", store=store, system=SYSTEM) as provisioner:
        async with system(store, provisioner, MOST) as client:
            meter = Meter()
            await client.register_plugin(meter)
            for number in range(count):
                futures = [
                    client.submit(
                        time.sleep,
                        CHANCE.uniform(0.2, 1.5),
                        key=f"wave-{number}-{task}",
                        resources={"memory": CHANCE.randint(100, LARGEST) << 20},
                    )
                    for task in range(tasks)
                ]
                await wait(futures)
                await asyncio.sleep(PAUSE)
            shares = await client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.plugins["meter"].shares())
        await provisioner.remove(await provisioner.workers())
    return shares


def main() -> None:
    arguments = parse_arguments()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        store = arguments.store or f"sqlite://{directory}/launch.db"
        if arguments.events:
            taken = asyncio.run(launches(store, arguments.events))
            report["launch"] = {name: quantile(taken, q) for name, q in (("p50", 0.5), ("p99", 0.99), ("most", 1.0))}
            print("launch  " + ", ".join(f"{name} {1000 * one:.1f} ms" for name, one in report["launch"].items()))
        if arguments.waves:
            store = arguments.store or f"sqlite://{directory}/share.db"
            report["share"] = asyncio.run(waves(store, directory, arguments.waves, arguments.tasks))
            print(f"share   {report['share']}")
    write_json(arguments.json, report)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", help="address of an empty store; a file of SQLite by default")
    parser.add_argument("--events", type=int, default=200, help="0: no launches")
    parser.add_argument("--waves", type=int, default=4, help="0: no shares")
    parser.add_argument("--tasks", type=int, default=400, help="of a wave")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
