"""Work that goes on all the time, of which each start leaves a mark: what ran twice, and what is gone, can be told.

Chains of tasks, scattered data, and a probe every 100 ms.
"""

import asyncio
import os
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

AT_ONCE = 4  # chains of tasks
KEPT = 30  # results and scattered data that are kept for later
PATIENCE = 60
LITTLE = {"memory": 1 << 20}


def run(number, seconds, size, starts, *inputs):
    """Leave a mark that this was begun; return something that can be checked."""
    mark(starts, number)
    time.sleep(seconds)
    return number.encode() * size


def probe(number, starts):
    mark(starts, number)
    return number


def mark(starts, key):
    file = os.open(starts, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{key}\n".encode())  # short and at once: whole, whoever else writes
    os.close(file)


@dataclass
class Work:
    """What one client has done, and what it saw."""

    client: Client
    starts: Path
    chance: random.Random
    excused: set = field(default_factory=set)  # what was on workers that were killed
    kills: int = 0
    kept: list = field(default_factory=list)
    scattered: dict = field(default_factory=dict)
    latencies: list = field(default_factory=list)
    loads: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _going: list = field(default_factory=list)

    def begin(self):
        works = [*(self._chains(lane) for lane in range(AT_ONCE)), self._scatter(), self._probes()]
        self._going = [asyncio.create_task(one) for one in works]

    async def end(self):
        """Let what has begun end, and see that it does."""
        self._over.set()
        await asyncio.wait_for(asyncio.gather(*self._going), 3 * PATIENCE)  # a group may be blocked for a while

    def check(self):
        """See that nothing has failed so far."""
        for one in self._going:
            if one.done():
                one.result()
        self._going = [one for one in self._going if not one.done()]

    def load(self, count, resources):
        """Have some more done at once, of what not every worker can do."""
        self.loads += 1
        futures = [self._submit(f"load-{self.loads}-{number}", resources=resources) for number in range(count)]
        self._going.append(asyncio.create_task(self._is_right(futures)))

    async def again_and_lost(self):
        """Return which tasks ran again, and which scattered data is gone, that no kill excuses."""
        await asyncio.wait_for(self._is_right(self.kept), PATIENCE)
        lost = [one.key for one, content in self.scattered.items() if not await _holds(one, content)]
        begun = Counter(self.starts.read_text().split())
        again = [key for key, times in begun.items() if times > 1]
        assert len(set(again) | set(lost)) < len(begun)
        return sorted(set(again) - self.excused), sorted(set(lost) - self.excused)

    # ----------------------------------------------------------------------------------- kinds
    async def _chains(self, lane):
        number = 0
        while not self._over.is_set():
            key = f"{lane}-{number}"
            first = self._submit(f"first-{key}")
            last = self._submit(f"last-{key}", first)
            del first
            await self._is_right([last])
            self._keep_some(last)
            number += 1

    def _submit(self, key, *inputs, resources=LITTLE):
        seconds, size = self.chance.uniform(0.05, 0.8), self.chance.randint(10, 20_000)
        return self.client.submit(run, key, seconds, size, self.starts, *inputs, key=key, resources=resources)

    async def _is_right(self, futures):
        for future in futures:
            assert (await future).startswith(future.key.encode())

    def _keep_some(self, future):
        self.kept.append(future)
        if len(self.kept) > KEPT:
            self.kept.pop(self.chance.randrange(KEPT))

    async def _scatter(self):
        number = 0
        while not self._over.is_set():
            kills, content = self.kills, f"data {number} ".encode() * self.chance.randint(10, 10_000)
            try:
                future = await self.client.scatter(content, hash=False)
            except (OSError, KeyError):  # its worker was killed with the data on its way
                assert self.kills > kills
            else:
                self.scattered[future] = content
                if self.kills > kills:
                    self.excused.add(future.key)
            if len(self.scattered) > KEPT:
                del self.scattered[self.chance.choice(list(self.scattered))]
            number += 1
            await asyncio.sleep(0.3)

    async def _probes(self):
        number = 0
        async with asyncio.TaskGroup() as under_way:
            while not self._over.is_set():
                under_way.create_task(asyncio.wait_for(self._probe(f"probe-{number}"), PATIENCE))
                number += 1
                await asyncio.sleep(0.1)

    async def _probe(self, key):
        begin = time.perf_counter()
        assert await self.client.submit(probe, key, self.starts, key=key, priority=100, resources=LITTLE) == key
        self.latencies.append(time.perf_counter() - begin)


async def _holds(future, content):
    with suppress(Exception):  # lost data is told in several ways
        return await asyncio.wait_for(future, PATIENCE) == content
    return False
