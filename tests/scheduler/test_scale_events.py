"""Workers come, leave, are kept after all, get notice, and are killed while they leave; work goes on as ever.

Real processes. A scheduler with a store; guests, which are workers that this test starts, with and without nannies;
and a controller with workers of its own, which are scaled by the policies that are published, and by load. It is
killed every now and then, while workers start or leave, and started again. What was on a worker when that was killed
may be run again, or be lost if nobody can compute it; nothing else. That the controller is killed excuses nothing.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import psutil
import pytest
from distributed import Client

from supreme_dask.provisioners.processes import Process
from supreme_dask.stores import Store, open_store
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.plans import Plans
from tests.scheduler.processes import Processes, processes
from tests.scheduler.work import LITTLE, PATIENCE, Work

EVENTS = int(os.environ.get("SUPREME_SCALE_EVENTS", "50"))
SEED = int(os.environ.get("SUPREME_SCALE_SEED", "1"))
FEWEST, MOST, BEGIN = 2, 4, 3  # guests
MANAGED = 3  # workers of the controller, at most
SMALL = {"cpu": 2, "memory": "1 GiB", "startup": 3, "maximum": MANAGED, "resources": {"seat": 1}}
LONG_CALM = 90  # s, after which the figures do not change any more
SYSTEM = "default"


# ------------------------------------------------------------------------- within the scheduler
def workers(dask_scheduler):
    states = dask_scheduler.plugins["supreme"].drains.states()
    return {ws.name: states.get(ws.name, "") for ws in dask_scheduler.workers.values()}


def strike(name, kill, dask_scheduler):
    """Kill a worker, with nothing happening in between; return what depended on it."""
    found = on_it(name, dask_scheduler)
    with suppress(ProcessLookupError):  # it has just left
        kill()
    return found


def on_it(name, dask_scheduler):
    """Return tasks that a worker runs, and results that nobody else has who stays, with all before that is gone."""
    states = workers(dask_scheduler)
    ws = next((ws for ws in dask_scheduler.workers.values() if ws.name == name), None)

    def is_elsewhere(ts):
        return any(one is not ws and states[one.name] != "leaving" for one in ts.who_has or ())

    found, ahead = set(), [*ws.processing, *ws.has_what] if ws is not None else []
    while ahead:
        ts = ahead.pop()
        if ts.key not in found and not is_elsewhere(ts):
            found.add(ts.key)
            ahead.extend(ts.dependencies)
    return found


# --------------------------------------------------------------------------------------- story
@dataclass
class Story:
    """What happens to one system."""

    started: Processes
    store: Store
    work: Work
    names: int = 0
    guests: dict = field(default_factory=dict)
    happened: Counter = field(default_factory=Counter)
    controller: object = None
    revival: asyncio.Task | None = None

    @property
    def client(self):
        return self.work.client

    @property
    def chance(self):
        return self.work.chance

    # ------------------------------------------------------------------------- events: workers
    async def join(self):
        name = f"guest-{self.names}"
        self.names += 1
        nanny = "--nanny" if self.chance.random() < 0.5 else "--no-nanny"
        self.guests[name] = self.started.worker(name, "--nthreads", "2", "--memory-limit", "1 GiB", nanny)

    async def drain(self, name):
        await self.client.scheduler.supreme_drain(names=[name], reason="an event")

    async def keep(self, name):
        await self.client.scheduler.supreme_undrain(names=[name], reason="an event")

    async def notice(self, name):
        with suppress(ProcessLookupError):
            os.kill(self.pid(name), signal.SIGTERM)

    async def kill(self, name):
        """Kill a worker that leaves, with all of its processes, or only the first, which may be a nanny."""
        await self.drain(name)
        await self.until(lambda there: there.get(name) != "asked")
        await asyncio.sleep(self.chance.uniform(0, 0.5))
        end = partial(self.chance.choice([os.kill, os.killpg]), self.pid(name), signal.SIGKILL)
        self.work.kills += 1
        self.work.excused |= await self.client.run_on_scheduler(strike, name, end)
        await self.until(lambda there: name not in there)

    # ---------------------------------------------------------------------- events: controller
    async def policy(self, fewest=None, most=None):
        """Have the controller's workers scaled within other limits."""
        fewest = self.chance.randint(0, MANAGED - 1) if fewest is None else fewest
        most = self.chance.randint(max(fewest, 1), MANAGED) if most is None else most
        rules = {
            "limits": {"kind": "schedule", "minimum": {"small": fewest}, "maximum": {"small": most}},
            "backlog": {"kind": "demand"},
            "rest": {"kind": "idle", "after-seconds": 1},
        }
        await Documents(self.store, SYSTEM).publish("policy/default", rules, author="ann")

    async def load(self):
        """Have work done that only the controller's workers can do; there may be none of them."""
        self.work.load(self.chance.randint(2, 10), {**LITTLE, "seat": 1})

    async def kill_controller(self):
        """Kill it soon after it got something to do, at any moment."""
        there = await self.client.run_on_scheduler(workers)
        managed = [name for name, state in there.items() if not state and name not in self.guests]
        if managed and self.chance.random() < 0.5:
            await self.drain(self.chance.choice(managed))
        else:
            await self.policy(*self.chance.choice([(MANAGED, MANAGED), (0, 1), ()]))
        await asyncio.sleep(self.chance.uniform(0, 1))
        await self.note_moment()
        self.controller.kill()
        self.controller.wait()
        forgotten = self.chance.random() < 0.1  # by the store, as it has not been heard of for so long
        self.revival = asyncio.create_task(self.revive(20 if forgotten else self.chance.uniform(0, 4)))

    async def note_moment(self):
        there = await self.client.run_on_scheduler(workers)
        arrived = {path.parent.name for path in self.started.managed.glob("*/arrived")}
        self.happened["… while workers start"] += bool(self.managed().keys() - arrived)
        self.happened["… while workers leave"] += any(
            there.get(name, "gone") for name in self.managed().keys() & arrived
        )

    async def revive(self, seconds):
        await asyncio.sleep(seconds)
        self.controller = self.started.controller()

    # ------------------------------------------------------------------------------ what is seen
    def managed(self):
        """Return the number of the process of each worker that the controller has written down and that lives."""
        written = {}
        for path in self.started.managed.glob("*/process.json"):
            with suppress(FileNotFoundError):
                process = Process(**json.loads(path.read_text())["process"])
                if process.alive():
                    written[path.parent.name] = process.pid
        return written

    def pid(self, name):
        return self.guests[name].pid if name in self.guests else self.managed().get(name, 2**30)  # nobody has that

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition(await self.client.run_on_scheduler(workers)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def event(self):
        """Let something happen that may happen now."""
        self.work.check()
        assert self.controller.returncode is not None or self.controller.poll() is None  # only we kill it
        possible = await self.possible()
        act, names, _ = self.chance.choices(possible, [weight for *_, weight in possible])[0]
        await act(*([self.chance.choice(sorted(names))] if names else []))
        self.happened[act.__name__] += 1

    async def possible(self):
        there = await self.client.run_on_scheduler(workers)
        self.guests = {name: one for name, one in self.guests.items() if one.poll() is None}
        leaving = [name for name, state in there.items() if state]
        staying = [name for name, state in there.items() if not state and name in self.guests]
        managed = [name for name, state in there.items() if not state and name not in self.guests]
        may_go = staying if len(staying) > FEWEST else []
        found = [
            (self.policy, [], 4),
            (self.load, [], 1),
            (self.kill_controller, [], 3 * (self.revival is None or self.revival.done())),
            (self.join, [], 4 * (len(self.guests.keys() - set(leaving)) < MOST)),
        ]
        found += [(act, may_go, weight) for act, weight in ((self.drain, 3), (self.notice, 1)) if may_go]
        found += [(act, managed, 1) for act in (self.drain, self.notice) if managed]
        found += [(self.keep, leaving, 2)] if leaving else []
        found += [(self.kill, names, 1) for names in (leaving, may_go, managed) if names]
        return [(act, names, weight) for act, names, weight in found if weight]

    # ----------------------------------------------------------------------------------- story
    async def tell(self, events, seconds):
        """Let events happen, or nothing for some seconds; return how long it took."""
        await self.begin()
        self.work.begin()
        begin = time.perf_counter()
        for _ in range(events):
            await self.event()
            await asyncio.sleep(self.chance.uniform(0.1, 2))
        await asyncio.sleep(seconds)
        took = time.perf_counter() - begin
        if self.revival is not None:
            await self.revival
        await self.work.end()
        for wanted in (2, 0):
            await self.settle(wanted)
        self.controller.terminate()
        assert self.controller.wait(PATIENCE) == 0
        return took

    async def begin(self):
        await Documents(self.store, SYSTEM).publish("groups/default", {"small": SMALL}, author="ann")
        await self.policy(1, 1)
        self.controller = self.started.controller()
        for _ in range(BEGIN):
            await self.join()
        await self.until(lambda there: len(there) == BEGIN + 1)

    async def settle(self, wanted):
        """Wait until there are as many workers as the plan says, and all agree who they are."""
        await self.policy(wanted, wanted)
        seen = None
        try:
            async with asyncio.timeout(2 * PATIENCE):
                while not _agree(seen := await self.views(), wanted):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{wanted} workers were wanted: {seen}") from None

    async def views(self):
        """Return the plan, and who is there as scheduler, controller and operating system see it."""
        plan, progress = await Plans(self.store, SYSTEM).newest(), Plans(self.store, SYSTEM).follow_progress()
        reported = (await anext(progress)).get("local")
        await progress.aclose()
        there = await self.client.run_on_scheduler(workers)
        known = {name: state for name, state in there.items() if name.startswith("small-")}
        return plan, known, reported and set(reported.workers), set(self.managed())


def _agree(views, wanted):
    plan, known, reported, living = views
    (target,) = plan.targets
    at_rest = not target.victims and not any(known.values())
    return at_rest and target.workers == wanted == len(known) and known.keys() == reported == living


# --------------------------------------------------------------------------------------- told
async def told(directory, events, seconds=0):
    directory.mkdir()
    url = f"sqlite://{directory}/store.db"
    settings = {"DASK_SUPREME__STORE": url, "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "warning"}
    with nobody_left(url), processes(directory, **settings) as started:
        started.scheduler()
        file = str(directory / "scheduler.json")
        async with (
            Client(scheduler_file=file, asynchronous=True, timeout=PATIENCE) as client,
            open_store(url) as store,
        ):
            story = Story(started, store, Work(client, directory / "starts", random.Random(SEED)))
            took = await story.tell(events, seconds)
            return story, took, await story.work.again_and_lost()


@contextmanager
def nobody_left(url):
    """See that no process is left in the end that had this store in its environment, and end those that are."""
    try:
        yield
    finally:
        _, left = psutil.wait_procs([one for one in psutil.process_iter() if _has(one, url)], 10)
        for one in left:
            one.kill()
    assert left == []


def _has(process, url):
    with suppress(psutil.Error):
        return process.environ().get("DASK_SUPREME__STORE") == url
    return False


def latency(story):
    ascending = sorted(1000 * one for one in story.work.latencies)
    at = {
        name: ascending[int(part * (len(ascending) - 1))] for name, part in (("p50", 0.5), ("p99", 0.99), ("most", 1))
    }
    return f"{len(ascending)} probes: " + ", ".join(f"{name} {found:.0f} ms" for name, found in at.items())


@pytest.mark.slow
@pytest.mark.timeout(12 * 3600)
def test_nothing_is_run_twice_or_lost_when_workers_leave_and_work_never_stops(tmp_path):
    story, took, (again, lost) = asyncio.run(told(tmp_path / "events", EVENTS))
    calm, _, _ = asyncio.run(told(tmp_path / "calm", 0, min(took, LONG_CALM)))
    print(f"{EVENTS} events in {took:.0f} s: {dict(story.happened)}")
    print(f"excused by kills: {len(story.work.excused)}; run again otherwise: {again}; data lost otherwise: {lost}")
    print(f"{latency(story)}; undisturbed, {latency(calm)}")
    assert again == []
    assert lost == []
    assert {"drain", "policy", "kill", "kill_controller"} <= story.happened.keys()
