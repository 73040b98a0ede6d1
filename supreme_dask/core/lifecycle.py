"""The life of each worker of a system, as its scheduler knows it: one table, on which plan and controllers agree.

=============  ================================================================  ======
Status         The worker ...                                                    Supply
=============  ================================================================  ======
``starting``   is reported by a controller and has not joined                    yes
``joined``     has joined                                                        yes
``lost``       had joined, is gone, and is still reported: its process lives on  yes
``draining``   has joined and is on its way out                                  no
``removable``  is drained; the controller that reports it removes it             no
``abandoned``  has not joined in time; the controller that reports it removes it no
=============  ================================================================  ======

One that a plan asks for and that no controller reports yet has no name: `launching.Launches` counts it. One that has
joined and is not reported belongs to a group by its name. One that was reported as starting by a controller that has
been replaced since, and that does not report it, is taken to be starting until it is late: it may still join.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from enum import StrEnum

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.launching import Launches
from supreme_dask.core.plans import Plan, Progress
from supreme_dask.core.snapshot import Snapshot


class Status(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    JOINED = "joined"
    LOST = "lost"
    DRAINING = "draining"
    REMOVABLE = "removable"
    ABANDONED = "abandoned"


_ENDING = frozenset({Status.REMOVABLE, Status.ABANDONED})


@dataclass(frozen=True, slots=True)
class Life:
    """One worker.

    Attributes
    ----------
    name, group : str
        Its name, and the worker group that it belongs to.
    status : Status
        Where it is in its life.
    controller : str
        Which controller reports it; empty if none does.
    is_led : bool
        Whether that controller launches workers, and so counts it by itself.
    """

    name: str
    group: str
    status: Status
    controller: str = ""
    is_led: bool = False


class Lifecycle:
    """The workers of one system. It has one owner, which brings the time.

    Parameters
    ----------
    timeout
        Seconds within which a worker must have joined; three start-up times of its group, if that is longer.

    Attributes
    ----------
    launches : Launches
        Those that have not joined, by group.
    """

    def __init__(self, timeout: float) -> None:
        self.launches = Launches(timeout)
        self._progress: dict[str, Progress] = {}
        self._removable: set[str] = set()
        self._missing: dict[str, str] = {}

    @property
    def is_reported_to(self) -> bool:
        """Whether a controller has reported."""
        return bool(self._progress)

    def existing(self) -> dict[str, str]:
        """Return the group of each worker that exists, starting or running, as far as controllers have reported."""
        reported = {name: group for one in self._progress.values() for name, group in one.workers.items()}
        return {**self._missing, **reported}

    def is_reported(self, name: str) -> bool:
        """Tell whether a controller may have made a worker: where some report, it is one that they name."""
        return not self._progress or any(name in one.workers for one in self._progress.values())

    def is_ending(self, name: str) -> bool:
        """Tell whether a worker may be removed at any moment."""
        return name in self._removable or name in self.launches.abandoned

    # ------------------------------------------------------------------------------ what happens
    def report(self, progress: Mapping[str, Progress], *, complete: bool = False) -> list[Progress]:
        """Take in how far controllers are, by name; return those reports that say something new.

        Parameters
        ----------
        complete
            Whether these are all controllers that there are.
        """
        changed = [one for name, one in progress.items() if self._progress.get(name) != one]
        after = dict(progress) if complete else {**self._progress, **progress}
        self._missing.update(self._unaccounted(after))
        self._progress = after
        return changed

    def _unaccounted(self, after: Mapping[str, Progress]) -> Iterator[tuple[str, str]]:
        for name, before in self._progress.items():
            if name not in after or after[name].life != before.life:
                yield from before.workers.items()

    def look(self, joined: Set[str], groups: Mapping[str, WorkerGroup], now: float) -> list[str]:
        """Compare which exist with which have joined; return a sentence for each group of which some ended before."""
        # A removable worker is leaving, even while its process is still ending.
        coming = {name: group for name, group in self.existing().items() if name not in self._removable}
        sentences = self.launches.report(coming, joined, groups, now)
        reported = {name for one in self._progress.values() for name in one.workers}
        expected = {launch.name for group in {*self._missing.values()} for launch in self.launches.of(group)}
        self._missing = {name: self._missing[name] for name in (self._missing.keys() & expected) - joined - reported}
        return sentences

    def want(self, plan: Plan, snapshot: Snapshot, groups: Mapping[str, WorkerGroup], now: float) -> None:
        """Expect as many workers as a plan that was made of a snapshot wants and does not find there."""
        leaving = {name for target in plan.targets for name in target.victims}
        there = Counter(one.group for one in snapshot.workers if one.name not in leaving and not one.draining)
        for target in plan.targets:
            if target.group in groups:
                self.launches.want(groups[target.group], target.workers - there[target.group], now)

    def expire(self, now: float) -> list[str]:
        """Give up those that are late; return a sentence for each group that has such."""
        return self.launches.expire(now)

    def drained(self, name: str) -> None:
        """Note that a worker may be removed."""
        self._removable.add(name)

    def unclaimed(self, joined: Set[str]) -> list[str]:
        """Return workers that may be removed and that no controller reports any more: nothing else ends them."""
        return sorted(name for name in self._removable & joined if not self.is_reported(name))

    # ------------------------------------------------------------------------------------ values
    def lives(self, joined: Mapping[str, str], draining: Collection[str] = ()) -> dict[str, Life]:
        """Return all workers of groups by name.

        Parameters
        ----------
        joined
            Group of each worker that has joined; empty for those that belong to none.
        draining
            Names of those on their way out.
        """
        self._removable &= self.existing().keys() | joined.keys()
        found = {name: group for name, group in joined.items() if group} | self.existing()
        makers = {name: one for one in self._progress.values() for name in one.workers}
        return {name: self._life(name, group, makers.get(name), joined, draining) for name, group in found.items()}

    def complete(self, plan: Plan, lives: Mapping[str, Life]) -> Plan:
        """Return a plan with what a controller needs to count as the plan does, and to remove what has left."""
        ending = {name for name, life in lives.items() if life.status in _ENDING}
        others = {name: life.group for name, life in lives.items() if not life.is_led and name not in ending}
        return replace(plan, removable=tuple(sorted(ending)), others=others, heard=self._term())

    def _term(self) -> int:
        """Return the latest term of a controller."""
        return max((one.term for one in self._progress.values()), default=0)

    def _life(
        self,
        name: str,
        group: str,
        maker: Progress | None,
        joined: Collection[str],
        draining: Collection[str],
    ) -> Life:
        status = self._status(name, joined, draining)
        return Life(
            name,
            group,
            status,
            maker.controller if maker else "",
            maker is not None and maker.term == self._term() > 0,
        )

    def _status(self, name: str, joined: Collection[str], draining: Collection[str]) -> Status:
        if name in self._removable:
            return Status.REMOVABLE
        if name in self.launches.abandoned:
            return Status.ABANDONED
        if name in joined:
            return Status.DRAINING if name in draining else Status.JOINED
        return Status.LOST if self.launches.has_joined(name) else Status.STARTING
