"""Workers come, leave, are kept after all, get notice, and are killed while they leave; work goes on as ever.

Real processes: a scheduler with a store, and workers with and without nannies. Chains of tasks run all the time, data
is scattered, and a probe is submitted every 100 ms. Whatever was on a worker when it was killed may be run again, or
be lost if nobody can compute it; nothing else.
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from distributed import Client

from tests.scheduler.processes import processes

EVENTS = int(os.environ.get("SUPREME_SCALE_EVENTS", "50"))
FEWEST, MOST, BEGIN = 3, 6, 4  # workers
AT_ONCE = 4  # chains of tasks
KEPT = 30  # results and scattered data that are kept for later
PATIENCE = 60


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


def workers(dask_scheduler):
    states = dask_scheduler.plugins["supreme"].drains.states()
    return {ws.name: states.get(ws.name, "") for ws in dask_scheduler.workers.values()}


def on_it(name, dask_scheduler):
    """Return what depends on one worker: tasks that it runs, and results that nobody else holds, with all before."""
    ws = next((ws for ws in dask_scheduler.workers.values() if ws.name == name), None)
    found, ahead = set(), []
    if ws is not None:
        ahead = [*ws.processing, *(ts for ts in ws.has_what if len(ts.who_has) == 1)]
    while ahead:
        ts = ahead.pop()
        if ts.key not in found:
            found.add(ts.key)
            ahead.extend(ts.dependencies)
    return found


@dataclass
class Story:
    """What happens to one system, and what was seen."""

    started: object
    client: Client
    starts: Path
    chance: random.Random
    names: int = 0
    processes: dict = field(default_factory=dict)
    excused: set = field(default_factory=set)  # what was on workers that were killed
    kills: int = 0
    happened: Counter = field(default_factory=Counter)
    kept: list = field(default_factory=list)
    scattered: dict = field(default_factory=dict)
    latencies: list = field(default_factory=list)
    over: bool = False

    # --------------------------------------------------------------------------------- events
    async def join(self):
        name = f"small-{self.names}"
        self.names += 1
        nanny = "--nanny" if self.chance.random() < 0.5 else "--no-nanny"
        options = ("--nthreads", "2", "--memory-limit", "1 GiB", nanny)
        self.processes[name] = self.started.worker(name, *options)

    async def drain(self, name):
        await self.client.scheduler.supreme_drain(names=[name], reason="an event")

    async def keep(self, name):
        await self.client.scheduler.supreme_undrain(names=[name], reason="an event")

    async def notice(self, name):
        os.kill(self.processes[name].pid, signal.SIGTERM)

    async def kill(self, name):
        self.kills += 1
        self.excused |= await self.client.run_on_scheduler(on_it, name)
        with suppress(ProcessLookupError):  # it has just left
            os.killpg(self.processes[name].pid, signal.SIGKILL)
        await self.until(lambda there: name not in there)

    async def event(self):
        """Let something happen that may happen now; while workers start, that may be nothing."""
        async with asyncio.timeout(PATIENCE):
            while not (possible := await self.possible()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        act, names, _ = self.chance.choices(possible, [weight for *_, weight in possible])[0]
        await act(*([self.chance.choice(sorted(names))] if names else []))
        self.happened[act.__name__] += 1

    async def possible(self):
        there = await self.client.run_on_scheduler(workers)
        self.processes = {name: one for name, one in self.processes.items() if one.poll() is None}
        leaving = [name for name, state in there.items() if state]
        staying = [name for name, state in there.items() if not state]
        found = [(self.drain, staying, 3), (self.notice, staying, 1)] if len(staying) > FEWEST else []
        found += [(self.keep, leaving, 1), (self.kill, leaving, 1)] if leaving else []
        return found + ([(self.join, [], 4)] if len(self.processes) - len(leaving) < MOST else [])

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition(await self.client.run_on_scheduler(workers)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    # ----------------------------------------------------------------------------------- work
    async def chains(self, lane):
        number = 0
        while not self.over:
            key = f"{lane}-{number}"
            first = self.submit(f"first-{key}")
            last = self.submit(f"last-{key}", first)
            del first
            assert (await last).startswith(f"last-{key}".encode())
            self.keep_some(last)
            number += 1

    def submit(self, key, *inputs):
        seconds, size = self.chance.uniform(0.05, 0.8), self.chance.randint(10, 20_000)
        demand = {"memory": 1 << 20}
        return self.client.submit(run, key, seconds, size, self.starts, *inputs, key=key, resources=demand)

    def keep_some(self, future):
        self.kept.append(future)
        if len(self.kept) > KEPT:
            self.kept.pop(self.chance.randrange(KEPT))

    async def scatter(self):
        number = 0
        while not self.over:
            kills, content = self.kills, f"data {number} ".encode() * self.chance.randint(10, 10_000)
            try:
                future = await self.client.scatter(content, hash=False)
                self.scattered[future] = content
            except (OSError, KeyError):  # its worker was killed with the data on its way
                assert self.kills > kills
            if self.kills > kills:
                self.excused.add(future.key)
            if len(self.scattered) > KEPT:
                del self.scattered[self.chance.choice(list(self.scattered))]
            number += 1
            await asyncio.sleep(0.3)

    async def probes(self):
        under_way = []
        while not self.over:
            under_way.append(asyncio.create_task(self.probe(f"probe-{len(under_way)}")))
            await asyncio.sleep(0.1)
        await asyncio.wait_for(asyncio.gather(*under_way), PATIENCE)

    async def probe(self, key):
        begin = time.perf_counter()
        demand = {"memory": 1 << 20}
        assert await self.client.submit(probe, key, self.starts, key=key, priority=100, resources=demand) == key
        self.latencies.append(time.perf_counter() - begin)

    # ----------------------------------------------------------------------------------- story
    async def tell(self, events, seconds=None):
        """Let events happen, or nothing for some seconds; return how long it took."""
        for _ in range(BEGIN):
            await self.join()
        await self.client.wait_for_workers(BEGIN, timeout=PATIENCE)
        lanes = [asyncio.create_task(self.chains(lane)) for lane in range(AT_ONCE)]
        work = [*lanes, asyncio.create_task(self.scatter()), asyncio.create_task(self.probes())]
        begin = time.perf_counter()
        for _ in range(events):
            await self.event()
            await asyncio.sleep(self.chance.uniform(0.1, 0.8))
        await asyncio.sleep(seconds or 0)
        took = time.perf_counter() - begin
        self.over = True
        await asyncio.wait_for(asyncio.gather(*work), PATIENCE)
        return took

    async def check(self):
        """Return how many tasks ran again, and how much scattered data is gone, that no kill excuses."""
        for future in self.kept:
            assert (await future).startswith(future.key.encode())
        lost = [one.key for one, content in self.scattered.items() if not await self.holds(one, content)]
        begun = Counter(self.starts.read_text().split())
        again = [key for key, times in begun.items() if times > 1]
        assert len(set(again) | set(lost)) < len(begun)
        return sorted(set(again) - self.excused), sorted(set(lost) - self.excused)

    async def holds(self, future, content):
        with suppress(Exception):  # lost data is told in several ways
            return await asyncio.wait_for(future, PATIENCE) == content
        return False


async def told(directory, events, seconds=None, seed=1):
    directory.mkdir()
    store = {
        "DASK_SUPREME__STORE": f"sqlite://{directory}/store.db",
        "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "warning",
    }
    with processes(directory, **store) as started:
        started.scheduler()
        file = str(directory / "scheduler.json")
        async with Client(scheduler_file=file, asynchronous=True, timeout=PATIENCE) as client:
            story = Story(started, client, directory / "starts", random.Random(seed))
            took = await story.tell(events, seconds)
            return story, took, await story.check()


def latency(story):
    ascending = sorted(1000 * one for one in story.latencies)
    at = {
        name: ascending[int(part * (len(ascending) - 1))] for name, part in (("p50", 0.5), ("p99", 0.99), ("most", 1))
    }
    return ", ".join(f"{name} {found:.0f} ms" for name, found in at.items())


@pytest.mark.slow
@pytest.mark.timeout(12 * 3600)
def test_nothing_is_run_twice_or_lost_when_workers_leave_and_work_never_stops(tmp_path):
    story, took, (again, lost) = asyncio.run(told(tmp_path / "events", EVENTS))
    calm, _, _ = asyncio.run(told(tmp_path / "calm", 0, took))
    print(f"{EVENTS} events in {took:.0f} s: {dict(story.happened)}")
    print(f"excused by kills: {len(story.excused)} tasks; run again otherwise: {again}; data lost otherwise: {lost}")
    print(f"{len(story.latencies)} probes: {latency(story)}; {len(calm.latencies)} undisturbed: {latency(calm)}")
    assert again == []
    assert lost == []
    assert story.happened["drain"] > EVENTS // 10
