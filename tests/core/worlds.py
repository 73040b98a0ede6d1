"""A whole system in virtual time: its scheduler, controllers, store and processes, and persons who meddle.

All that decides is the product's; what acts on it is a few lines each, and every method is one step that may come at
any moment.
"""

from dataclasses import dataclass, field, replace

from supreme_dask.core.groups import WorkerGroup, group_of
from supreme_dask.core.lifecycle import Lifecycle, Status
from supreme_dask.core.plans import Plan
from supreme_dask.core.policies import AtLeast, Policy, Spare
from supreme_dask.core.reconciling import Reconciler
from supreme_dask.core.scaling import Scaling
from tests.core.systems import system, view, worker

SMALL = WorkerGroup("small", cpu=1, memory="4 GiB", startup=1.0, minimum=1, maximum=4)
GROUPS = {SMALL.name: SMALL}
TIMEOUT = 60.0  # s


class World:
    """All of it, and the time."""

    def __init__(self):
        self.now, self.numbers, self.refused = 0.0, 0, False
        self.wanted, self.store = Wanted(), Store()
        self.processes, self.controllers = {}, {}
        self.scheduler = Scheduler(self, epoch=1)

    def number(self):
        self.numbers += 1
        return self.numbers

    def launch(self, directory):
        name = f"{SMALL.name}-{self.number()}"
        self.processes[name] = Process(directory)
        return name

    def join(self, name):
        self.processes[name].status = "joined"
        self.scheduler.join(name)

    def end(self, name):
        if name in self.processes:
            self.processes[name].status = "ending"

    def vanish(self, name):
        del self.processes[name]

    def names(self, *statuses):
        return sorted(name for name, one in self.processes.items() if one.status in statuses)

    def is_lost(self, process):
        """Tell whether a process has left the scheduler and ends, and no controller knows of it."""
        directories = {one.directory for one in self.controllers.values()}
        return process.status == "ending" and process.directory not in directories

    def unknown(self):
        """Return those that start and that neither a living controller nor the scheduler knows."""
        known = {name for one in self.controllers.values() for name in one.existing()}
        return set(self.names("starting")) - known - self.scheduler.lifecycle.existing().keys()

    def replace_scheduler(self):
        self.scheduler = Scheduler(self, self.scheduler.epoch + 1)

    def begin_controller(self, name, directory):
        self.controllers[name] = Controller(self, name, directory)

    def end_controller(self, name):
        self.controllers.pop(name).is_there = False

    def look(self, name):
        self.controllers[name].look()

    def expire(self):
        """Let the leases of controllers end that are not there."""
        if self.store.up:
            self.store.progress = {name: one for name, one in self.store.progress.items() if name in self.controllers}


@dataclass
class Process:
    """Of a worker: started from a directory, or by hand; ``starting``, ``joined`` or ``ending``."""

    directory: str = ""
    status: str = "starting"


@dataclass
class Wanted:
    """A rule that wants so many workers, and no others."""

    workers: int = 0

    def propose(self, situation):
        yield AtLeast(SMALL.name, self.workers, "a test wants them")
        yield Spare(SMALL.name, tuple(one.name for one in situation.groups[SMALL.name].staying), "a test does not")


@dataclass
class Store:
    """While it is down, it is neither read nor written."""

    up: bool = True
    plan: Plan | None = None
    progress: dict = field(default_factory=dict)
    leader: "Controller | None" = None


class Scheduler:
    """What `ScalabilityEngine` does with the same parts. A drain is ``returnable``, ``leaving`` or ``drained``."""

    def __init__(self, world, epoch):
        self.world, self.epoch, self.generation = world, epoch, 0
        self.lifecycle, self.scaling = Lifecycle(TIMEOUT), Scaling(Policy((("wanted", world.wanted),)))
        self.draining = {}

    def join(self, name):
        if self.lifecycle.is_ending(name):
            self.draining[name] = "leaving"
        else:
            self.lifecycle.launches.joined(SMALL.name, name)

    def decide(self):
        now, store, joined = self.world.now, self.world.store, set(self.world.names("joined"))
        if store.up and store.progress:
            self.lifecycle.report(store.progress, complete=True)
        self.lifecycle.look(joined, GROUPS, now)
        self.lifecycle.expire(now)
        self.draining = {name: state for name, state in self.draining.items() if name in joined}
        snapshot = self.snapshot(joined)
        plan = self.scaling.plan(snapshot)
        self.lifecycle.want(plan, snapshot, GROUPS, now)
        named = {name for target in plan.targets for name in target.victims}
        kept = {name for name, state in self.draining.items() if state == "returnable" and name not in named}
        self.draining = {name: state for name, state in self.draining.items() if name not in kept}
        self.draining |= dict.fromkeys(named - self.draining.keys(), "returnable")
        self.publish(plan, joined)

    def snapshot(self, joined):
        launches, now = self.lifecycle.launches, self.world.now
        group = replace(view(SMALL, blocked=launches.blocked(SMALL.name, now)), launching=launches.of(SMALL.name))
        drains = {name: {"draining": True, "leaving": state != "returnable"} for name, state in self.draining.items()}
        return system([group], [worker(name, SMALL, **drains.get(name, {})) for name in sorted(joined)], now=now)

    def publish(self, plan, joined):
        for name in self.lifecycle.unclaimed(joined):
            self.world.end(name)
        lives = self.lifecycle.lives({name: group_of(name, GROUPS) for name in joined}, self.draining)
        assert joined <= lives.keys() <= joined | self.lifecycle.existing().keys()
        assert all(name in joined for name, life in lives.items() if life.status in (Status.JOINED, Status.DRAINING))
        self.generation += 1
        if self.world.store.up:
            whole = self.lifecycle.complete(plan, lives)
            self.world.store.plan = replace(whole, generation=self.generation, epoch=self.epoch)

    def drained(self, name):
        self.draining[name] = "drained"
        if self.lifecycle.is_reported(name):
            self.lifecycle.drained(name)
        else:
            self.world.end(name)


class Controller:
    """What `Controller` and `Following` do with the same parts."""

    def __init__(self, world, name, directory):
        self.world, self.name, self.directory, self.is_there = world, name, directory, True
        self.reconciler = Reconciler(name, [SMALL], life=str(world.number()))
        self.reconciler.term = 0
        self.removing = set()

    def existing(self):
        return {name: SMALL.name for name, one in self.world.processes.items() if one.directory == self.directory}

    def look(self):
        store, reconciler, now = self.world.store, self.reconciler, self.world.now
        if store.up:
            self.campaign()
        existing = self.existing()
        reconciler.removed(self.removing - existing.keys())
        arrived = {name for name in existing if self.world.processes[name].status == "joined"}
        for name, group in reconciler.take_in(existing, arrived).items():
            if reconciler.ended_early(name):
                reconciler.fail(group, "it ended", now)
        todo = reconciler.next(now)
        self.removing = (self.removing & existing.keys()) | {*todo.remove}
        for name in todo.remove:
            self.world.end(name)
        self.launch(todo.launch.get(SMALL.name, 0))
        if store.up:
            store.progress = {**store.progress, self.name: reconciler.progress(self.existing(), now)}

    def launch(self, count):
        if count and self.world.refused:
            self.reconciler.fail(SMALL.name, "no such image", self.world.now)
        elif count:
            for _ in range(count):
                self.world.launch(self.directory)

    def campaign(self):
        store, reconciler = self.world.store, self.reconciler
        if store.leader is None or not store.leader.is_there:
            store.leader = self
            reconciler.term = self.world.number()
        elif store.leader is not self:
            reconciler.term = 0
        if store.plan is not None:
            reconciler.accept(store.plan)
