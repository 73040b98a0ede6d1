"""Puts and a watch over them, to see what faults do to both."""

import asyncio
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from itertools import count, pairwise

from supreme_dask.errors import AmbiguousWriteError, StoreError

LAST = "traffic/last"
PATIENCE = 40.0
CLEAN = {"lost": [], "repeated": [], "out of order": [], "invented": []}


class Traffic:
    """Puts of different values, one after the other, and a watch over them."""

    def __init__(self, store):
        self.store = store
        self.acknowledged = []
        self.doubtful = set()
        self.errors = Counter()
        self.seen = []
        self.longest_gap = 0.0
        self._worked = None
        self._stopping = False
        self._going = asyncio.Event()
        self._going.set()

    @classmethod
    @asynccontextmanager
    async def on(cls, store):
        traffic = cls(store)
        start = (await store.list("")).revision
        tasks = [asyncio.create_task(traffic._watch(start)), asyncio.create_task(traffic._write())]
        try:
            await traffic.more(20)
            yield traffic
            await traffic.more(20)
            traffic._stopping = True
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def more(self, number):
        """Wait until so many more values are written, and the watch has seen one of them."""
        before = len(self.acknowledged)
        await until(lambda: len(self.acknowledged) >= before + number)
        await until(lambda: self.seen and self.seen[-1][1] >= self.acknowledged[before])

    @asynccontextmanager
    async def at_rest(self):
        """Write nothing for a while, which is no gap."""
        self._going.clear()
        yield
        self._worked = None
        self._going.set()

    async def _write(self):
        loop = asyncio.get_running_loop()
        for value in count(1):
            await self._going.wait()
            last = self._stopping
            try:
                await self.store.put(LAST if last else f"traffic/{value % 20}", b"%d" % value)
            except AmbiguousWriteError as error:
                self.doubtful.add(value)
                self.errors[type(error).__name__] += 1
            except StoreError as error:  # so it was not applied
                self.errors[type(error).__name__] += 1
            else:
                self.acknowledged.append(value)
                self.longest_gap = max(self.longest_gap, loop.time() - (self._worked or loop.time()))
                self._worked = loop.time()
                if last:
                    return
            await asyncio.sleep(0.005)

    async def _watch(self, after):
        async with aclosing(self.store.watch("traffic/", after=after)) as watch:
            async for changes in watch:
                self.seen += [(changes.revision, int(event.kv.value)) for event in changes.events]
                if any(event.key == LAST for event in changes.events):
                    return

    def verdict(self):
        """Return what the watch got wrong, by kind."""
        values = [value for _, value in self.seen]
        certain = [value for value in values if value not in self.doubtful]
        return {
            "lost": sorted(set(self.acknowledged) - set(values)),
            "repeated": [value for value, count in Counter(values).items() if count > 1],
            "out of order": [pair for pair in pairwise(self.seen) if pair[0][0] >= pair[1][0]]
            + [pair for pair in pairwise(certain) if pair[0] >= pair[1]],
            "invented": sorted(set(values) - set(self.acknowledged) - self.doubtful),
        }

    def found(self):
        """Return what became of it all, for the matrix."""
        return {
            "written": len(self.acknowledged),
            "seen": len(self.seen),
            "verdict": self.verdict(),
            "gap": self.longest_gap,
            "errors": dict(self.errors),
        }


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  what is waited for happens in other processes
            await asyncio.sleep(0.01)
