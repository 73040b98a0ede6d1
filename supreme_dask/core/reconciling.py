"""What a controller does next so that the workers that exist become those that its plan wants.

Nothing it decides needs a plan to be right: of a group that failed it launches one at a time, with pauses; of no
group more than its maximum allows, nor faster than the fuse permits; and nothing for a plan that was made without
knowing what this controller has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from supreme_dask.core.fuse import Fuse
from supreme_dask.core.groups import WorkerGroup, group_of
from supreme_dask.core.plans import Plan, Progress, Steps, steps, supersedes
from supreme_dask.core.trials import Trial


class Reconciler:
    """Decides for one controller, which brings the time and acts.

    Parameters
    ----------
    name
        Of the controller.
    groups
        The worker groups of which it can launch workers.
    life
        Tells the process of the controller from every other.
    launches_per_hour
        How many of one group may be launched within an hour; None for the default of `core.fuse.Fuse`.

    Attributes
    ----------
    groups : dict of str to WorkerGroup
        By name.
    plan : Plan or None
        The plan in force.
    term : int
        Of its leadership; 0 if it launches nothing. It removes what is its own in any case.
    """

    def __init__(
        self, name: str, groups: Iterable[WorkerGroup], *, life: str = "", launches_per_hour: int | None = None
    ) -> None:
        self.name = name
        self.groups = {group.name: group for group in groups}
        self.plan: Plan | None = None
        self.term = 1
        self._life = life
        self._existing: Mapping[str, str] = {}
        self._arrived: Collection[str] = ()
        self._ending: dict[str, str] = {}
        self._removed: set[str] = set()
        self._ended: set[str] = set()
        self._fuse = Fuse(launches_per_hour)
        self._trials: dict[str, Trial] = {}

    # ------------------------------------------------------------------------------ what happens
    def accept(self, plan: Plan) -> bool:
        """Let a plan be in force from now on, and tell whether it is; one that is not later than the last is not."""
        if not supersedes(plan, self.plan):
            return False
        self.plan = plan
        return True

    def change_groups(self, groups: Iterable[WorkerGroup]) -> None:
        """Launch workers of these groups from now on; the fuse of a group that has changed is reset."""
        before, self.groups = self.groups, {group.name: group for group in groups}
        for name in {*before, *self.groups}:
            if before.get(name) != self.groups.get(name):
                self._fuse.reset(name)

    def take_in(self, existing: Mapping[str, str], arrived: Collection[str]) -> dict[str, str]:
        """Take in which workers exist and which of them have arrived; return the group of each that has ended.

        Those that are being removed are not told.
        """
        for name in existing.keys() & (set(arrived) - set(self._arrived)):
            self._trials.pop(existing[name], None)
        ended = {name: group for name, group in self._existing.items() if name not in {*existing, *self._ending}}
        self._ending = {name: group for name, group in self._ending.items() if name not in self._removed}
        self._removed.clear()
        removable = self.plan.removable if self.plan is not None else ()
        self._ended = {name for name in removable if name in self._ended or name in self._existing} - existing.keys()
        self._existing, self._arrived = dict(existing), arrived
        return ended

    def ended_early(self, name: str) -> bool:
        """Tell whether a worker that has ended had not arrived."""
        return name not in self._arrived

    def fail(self, group: str, reason: str, now: float) -> None:
        """Note that no worker of a group could be had."""
        self._trials[group] = self._trials.get(group, Trial()).failed(reason, now)

    def removed(self, names: Iterable[str]) -> None:
        """Note that a removal has ended; what exists still is removed again."""
        self._removed.update(names)

    # ---------------------------------------------------------------------------------- decision
    def next(self, now: float) -> Steps:
        """Return what is to be done now, and take it as done: those to remove are ending from now on."""
        if self.plan is None:
            return Steps()
        # Which workers count is for the plan alone to say. One that is being removed, and that it does not name, is
        # in its number; were it not in ours, each report would bring one more.
        todo = steps(self.plan, self._existing)
        leaving = tuple(name for name in todo.remove if name not in self._ending)
        self._ending.update({name: self._existing[name] for name in leaving})
        missing = todo.launch if self._may_launch(self.plan) else {}
        allowed = {group: self._allowed(self.plan, group, count, now) for group, count in missing.items()}
        return Steps(leaving, {group: count for group, count in allowed.items() if count})

    def _allowed(self, plan: Plan, group: str, missing: int, now: float) -> int:
        """Return how many workers of a group to launch, of those that are missing."""
        count = self._prudent(group, missing, now)
        if group not in self.groups:
            return count  # launching will say that it knows no such group
        leaving = {name: group_of(name, self.groups) for name in plan.removable if name not in self._ended}
        there = Counter({**leaving, **plan.others, **self._ending, **self._existing}.values())
        return self._fuse.allow(self.groups[group], count, there[group], now)

    def _may_launch(self, plan: Plan) -> bool:
        """Tell whether it leads, and the plan takes into account what it has reported since it does."""
        return self.term > 0 and plan.heard in (None, self.term)

    def _prudent(self, group: str, missing: int, now: float) -> int:
        """Return how many to try: after a failure one at a time, and none before its time."""
        trial = self._trials.get(group, Trial())
        if not trial.failures:
            return missing
        staying = {name: of for name, of in self._existing.items() if name not in self._ending}
        tried = any(of == group and name not in self._arrived for name, of in staying.items())
        return 0 if tried or trial.blocked(now) else 1

    # ------------------------------------------------------------------------------------ values
    def blown(self, now: float) -> dict[str, str]:
        """Return by group why its fuse has blown."""
        return self._fuse.blown(now)

    def progress(self, existing: Mapping[str, str], now: float) -> Progress:
        """Return how far the controller is, if these workers exist."""
        blocked = {group: reason for group, trial in self._trials.items() if (reason := trial.blocked(now))}
        self._existing = dict(existing)
        return Progress(self.name, self._existing, blocked | self.blown(now), self._life, self.term)
