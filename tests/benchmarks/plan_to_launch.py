"""Time from the publication of a plan to the call of the provisioner, through a store.

python tests/benchmarks/plan_to_launch.py sqlite:///tmp/store.db [TIMES]
"""

import asyncio
import sys
from time import perf_counter

from supreme_dask.controller.controller import Controller
from supreme_dask.controller.following import Following
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Target
from supreme_dask.stores import open_store
from supreme_dask.stores.layout import epoch_key
from supreme_dask.stores.plans import Plans


class Stopwatch:
    """A provisioner that notes when it is called; its workers are there at once."""

    def __init__(self):
        self.existing, self.called = {}, asyncio.Event()

    async def launch(self, group, count):
        self.called.set()
        self.existing.update({f"{group.name}-{len(self.existing)}": group.name for _ in range(count)})

    async def remove(self, names): ...

    async def workers(self):
        return dict(self.existing)

    async def arrived(self):
        return set(self.existing)

    async def last_words(self, name):
        return ""


async def main(url, times):
    stopwatch, taken = Stopwatch(), []
    controller = Controller(stopwatch, [WorkerGroup("small")])
    following = asyncio.create_task(Following(url, "blue", controller).run())
    async with open_store(url) as store:
        await store.put(epoch_key("blue"), b"1")
        for number in range(1, times + 1):
            stopwatch.called.clear()
            begun = perf_counter()
            await Plans(store, "blue").publish(Plan(number, (Target("small", number, (), ""),), epoch=1))
            await stopwatch.called.wait()
            taken.append(perf_counter() - begun)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    taken = sorted(taken[1:])  # before the first it connects
    for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 0.99999)):
        print(f"{name} {1000 * taken[int(part * len(taken))]:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int((sys.argv[2:] or ["300"])[0])))
