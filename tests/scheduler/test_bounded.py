"""Scaling cannot run away, though workers are started by hand and controllers forget theirs."""

import asyncio
import os
import random
import time

import pytest
from distributed import wait
from distributed.core import Status

from supreme_dask.controller.controller import Controller
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.provisioners.names import Names
from tests.scheduler.clusters import GiB, named, plugin, supreme, until
from tests.scheduler.test_scaling import warnings

SMALL = WorkerGroup("small", cpu=1, memory="4 GiB", startup=0.1, minimum=1, maximum=3)
SOON = {"demand": {"kind": "demand", "within-seconds": 0.1}, "idle": {"kind": "idle"}}
ROUNDS = int(os.environ.get("SUPREME_BOUNDED_ROUNDS", "3"))
STEPS = 12


def work(number, seconds):
    time.sleep(seconds)
    return number


class InProcess:
    """Makes real workers in this process, slow to start and slow to end."""

    def __init__(self, scheduler, names, chance):
        self.most = 0
        self.workers_of = {}
        self._scheduler, self._names, self._chance = scheduler, names, chance
        self._tasks = set()
        self._ending = set()

    async def launch(self, group, count):
        for _ in range(count):
            name = self._names.next(group.name)
            self.workers_of[name] = None
            self._begin(self._start(name))
        self.most = max(self.most, len(self.workers_of))

    async def heed(self, plan):
        pass

    async def remove(self, names):
        await asyncio.gather(*(self._end(name) for name in names))

    async def workers(self):
        for name, worker in list(self.workers_of.items()):
            if worker is not None and worker.status == Status.closed and name not in self._ending:
                del self.workers_of[name]
        return dict.fromkeys(self.workers_of, SMALL.name)

    async def arrived(self):
        return {name for name, worker in self.workers_of.items() if worker is not None}

    async def trouble(self, name):
        return ""

    async def last_words(self, name):
        return ""

    async def close(self):
        await asyncio.gather(*self._tasks)
        await self.remove(list(self.workers_of))

    def _begin(self, story):
        task = asyncio.create_task(story)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, name):
        await asyncio.sleep(self._chance.uniform(0, 0.1))
        self.workers_of[name] = await named(self._scheduler, name, threads=1)

    async def _end(self, name):
        await until(lambda: self.workers_of.get(name) is not None or name not in self.workers_of)
        if name in self.workers_of:
            self._ending.add(name)
            await self.workers_of[name].close()
            await asyncio.sleep(self._chance.uniform(0, 0.2))
            self._ending.discard(name)
            self.workers_of.pop(name, None)


class System:
    """One scheduler and its controller, which may be replaced by one that knows nothing."""

    def __init__(self, scheduler, chance):
        self.scheduler, self.chance = scheduler, chance
        self.names, self.provisioners, self.by_hand = Names(), [], []
        self.controller = None
        self.engine = plugin(scheduler).scaling

    async def begin(self):
        await self.replace_controller()
        self.engine.begin(lambda plan: self.controller.accept(plan), policy=SOON, groups=[SMALL])

    async def replace_controller(self):
        if self.controller is not None:
            await self.controller.stop()
        self.provisioners.append(InProcess(self.scheduler, self.names, self.chance))
        self.controller = Controller(self.provisioners[-1], [SMALL])
        self.controller.lead(term=len(self.provisioners))
        self.controller.on_progress = self.engine.report
        if self.engine.plan.targets:
            self.controller.accept(self.engine.plan)
        await self.controller.look()
        self.engine.report(self.controller.progress)
        self.controller.start()

    async def start_by_hand(self):
        number = len(self.by_hand)
        if number < 3:
            self.by_hand.append(await named(self.scheduler, f"small-mine-{number}", threads=1))

    async def end(self):
        await self.controller.stop()
        for provisioner in self.provisioners:
            await provisioner.close()
        for worker in self.by_hand:
            await worker.close()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_never_more_exist_than_the_maximum_and_in_the_end_the_supply_is_right(seed):
    @supreme()
    async def story(client, scheduler):
        chance = random.Random(seed)
        system = System(scheduler, chance)
        await system.begin()
        futures = []
        try:
            for _ in range(STEPS):
                match chance.choice(["work", "work", "hand", "hand ends", "forget"]):
                    case "work":
                        futures += client.map(
                            work, range(chance.randint(1, 6)), seconds=0.05, resources={"memory": GiB}, pure=False
                        )
                    case "hand":
                        await system.start_by_hand()
                    case "hand ends" if system.by_hand:
                        await chance.choice(system.by_hand).close()
                    case "forget":
                        await system.replace_controller()
                await asyncio.sleep(chance.uniform(0, 0.2))
            await wait(futures, 60)
            await until(lambda: len(scheduler.workers) == SMALL.minimum, 60)
            assert await client.gather(futures) is not None
            assert all(provisioner.most <= SMALL.maximum for provisioner in system.provisioners)
        finally:
            await system.end()

    story()


@supreme()
async def test_one_that_was_started_by_hand_is_counted_and_said(client, scheduler):
    plans = []
    engine = plugin(scheduler).scaling
    async with named(scheduler, "small-mine"):
        controller = Controller(InProcess(scheduler, Names(), random.Random(0)), [SMALL])
        controller.on_progress = engine.report
        engine.begin(plans.append, policy={"stay": {"kind": "idle", "after-seconds": 1000}}, groups=[SMALL])
        engine.report(controller.progress)
        await until(lambda: plans and plans[-1].others == {"small-mine": "small"})
        assert plans[-1].targets[0].workers == 1
        assert (await controller.carry_out(plans[-1])).workers == {}
        await until(lambda: any("small-mine was started by no controller" in said for said in warnings(scheduler)))
