"""Who decides on scaling in a simulation, when, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan
from supreme_dask.core.simulation.outcomes import ScaleEvent
from supreme_dask.core.snapshot import Snapshot

_SLOWER = 16.0  # times the pace, at most, while there is always something new and it never changes anything
_FINE = 1.25  # times as long until the next decision while somebody idles: he leaves so much too late, at most
_SOON = 1 / 8  # of the shortest start-up time, until it is first decided on somebody who idles
_SLOWEST = 60.0  # s between two decisions while nothing happens: schedules go by the minute
_AT_REST = 3600.0  # s; when all that is left waits for a worker that may never come, nobody is in a hurry


class Planner(Protocol):
    """Decides how many workers there should be, as `core.scaling.Scaling` does."""

    def plan(self, snapshot: Snapshot) -> Plan:
        """Return absolute counts for every group, and all that should be on their way out."""


class Pace:
    """When to decide: soon after something happened, later and later while decisions change nothing.

    Live, decisions are made as often as there is reason to; here each costs as much as hours of virtual time.

    Attributes
    ----------
    events : list of ScaleEvent
        What was decided anew.
    evaluations : int
        How often it was decided.
    """

    def __init__(self, groups: Sequence[WorkerGroup], pace: float) -> None:
        self.events: list[ScaleEvent] = []
        self.evaluations = 0
        self._pace = self._quiet = pace
        # How long a worker may idle depends on how long it would take to start it again.
        self._idle = max(pace, _SOON * min((group.startup for group in groups), default=0.0))
        self._last = -pace
        self._planned = float("inf")
        self._generation = -1
        self._wanted = {group.name: group.count for group in groups}

    def wake(self, now: float) -> float | None:
        """Note that something happened; return when to decide, if that is not planned already."""
        return self._plan(max(now, self._last + min(self._quiet, _SLOWER * self._pace)))

    def idle(self, now: float) -> float | None:
        """Note that a worker has nothing to do; return when to decide, if that is not planned already."""
        self._quiet = min(self._quiet, self._idle)
        return self._plan(now + self._quiet)

    def is_due(self, when: float) -> bool:
        """Tell whether this is the time that is planned, and not one that was."""
        return when == self._planned

    def decided(self, plan: Plan, now: float, *, spare: bool, at_rest: bool) -> float:
        """Keep what was decided, and return when to decide again if nothing happens.

        Parameters
        ----------
        spare
            Whether a worker has nothing to do that could leave.
        at_rest
            Whether nothing but a worker that joins, or a task that arrives, can change anything.
        """
        self.evaluations += 1
        changed = plan.generation != self._generation
        self._generation = plan.generation
        self._note(plan, now)
        slower = (_FINE if spare else 2.0) * self._quiet
        self._quiet = self._pace if changed else min(slower, _AT_REST if at_rest else _SLOWEST)
        self._last, self._planned = now, now + self._quiet
        return self._planned

    def _plan(self, when: float) -> float | None:
        if self._planned <= when:
            return None
        self._planned = when
        return when

    def _note(self, plan: Plan, now: float) -> None:
        for target in plan.targets:
            had = self._wanted.get(target.group, 0)
            if target.workers != had:
                self._wanted[target.group] = target.workers
                self.events.append(ScaleEvent(now, target.group, had, target.workers, target.reason))
