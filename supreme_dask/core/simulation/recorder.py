"""Keeps sums over time while a simulation runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from supreme_dask.core.axes import Need
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.simulation.outcomes import Moment, Totals
from supreme_dask.core.simulation.traces import Job

_HOUR = 3600.0
_MILLI = 1000
_MOST_MOMENTS = 2000


class Recorder:
    """Keeps sums over time. Told of every change, and of the time before it.

    Attributes
    ----------
    paid, present : list of int
        Workers that are paid for, and that take part, by group.
    running : int
        Tasks that run.
    """

    def __init__(self, groups: Sequence[WorkerGroup], backlog: int) -> None:
        self.paid = [0] * len(groups)
        self.present = [0] * len(groups)
        self.running = 0
        self._cores = 0  # that running tasks keep busy, in thousandths: their sum comes back to nothing
        self.worker_seconds = [0.0] * len(groups)
        self.moments: list[Moment] = []
        self._groups = groups
        self._backlog = backlog
        self._at = 0.0
        self._spacing = 0.0
        self._names: dict[int, str] = {}
        self._whole = _Areas()
        self._busy = _Areas()
        self._capacity: dict[int, int] = {}
        self._reserved: dict[int, int] = {}
        self._core_seconds = self._cores_there = 0.0

    def name(self, axis: int, resource: str) -> None:
        """Count what is reserved of a resource."""
        self._names[axis] = resource
        for amounts in (self._capacity, self._reserved):
            amounts.setdefault(axis, 0)

    def supply(self, place: int, capacity: Sequence[int], sign: int) -> None:
        """Count what a worker of a group brings, or with ``sign=-1`` takes away."""
        self.present[place] += sign
        for axis in self._capacity:
            self._capacity[axis] += sign * capacity[axis]

    def run(self, job: Job, sign: int) -> None:
        """Count a task that starts, or with ``sign=-1`` ends."""
        self.running += sign
        self._cores += sign * round(job.cpu * _MILLI)

    def reserve(self, need: Need, sign: int) -> None:
        """Count what a task reserves, or with ``sign=-1`` gives back."""
        for axis, amount in need:
            if axis in self._reserved:
                self._reserved[axis] += sign * amount

    def advance(self, now: float, waiting: int) -> None:
        """Add the time up to `now`, in which nothing has changed and `waiting` tasks waited."""
        elapsed = now - self._at
        if elapsed <= 0:
            return
        self._at = now
        for place, count in enumerate(self.paid):
            self.worker_seconds[place] += count * elapsed
        self._core_seconds += self._cores / _MILLI * elapsed
        self._cores_there += sum(map(_cores, self._groups, self.present)) * elapsed
        self._whole.add(self._reserved, self._capacity, elapsed)
        if waiting >= self._backlog:
            self._busy.add(self._reserved, self._capacity, elapsed)

    def shares(self) -> dict[str, float]:
        """Return what is reserved now of each resource, as a share of what is there."""
        return {
            name: self._reserved[axis] / self._capacity[axis] if self._capacity[axis] else 0.0
            for axis, name in self._names.items()
        }

    def look(self, now: float, waiting: int) -> None:
        """Keep the moment, unless the last one is too near."""
        if self.moments and now - self.moments[-1].time < self._spacing:
            return
        self.moments.append(Moment(now, waiting, self.running, tuple(self.present), self.shares()))
        if len(self.moments) > _MOST_MOMENTS:
            self.moments = self.moments[::2]
            self._spacing = 2 * now / _MOST_MOMENTS

    @property
    def cost(self) -> float:
        """What all workers have cost so far."""
        return sum(
            seconds / _HOUR * group.cost for seconds, group in zip(self.worker_seconds, self._groups, strict=True)
        )

    def usage(self) -> Totals:
        """Return the sums over all the time that has passed."""
        areas = self._busy if self._busy.seconds else self._whole
        scarce, allocated = areas.scarcest(self._names)
        hours = [seconds / _HOUR for seconds in self.worker_seconds]
        return Totals(
            self.cost,
            {group.name: paid for group, paid in zip(self._groups, hours, strict=True)},
            scarce,
            allocated,
            self._busy.seconds,
            self._core_seconds / self._cores_there if self._cores_there else 0.0,
        )


class _Areas:
    """Amounts × time, by axis."""

    __slots__ = ("capacity", "reserved", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.reserved: dict[int, float] = {}
        self.capacity: dict[int, float] = {}

    def add(self, reserved: Mapping[int, int], capacity: Mapping[int, int], elapsed: float) -> None:
        self.seconds += elapsed
        for axis, amount in reserved.items():
            self.reserved[axis] = self.reserved.get(axis, 0.0) + amount * elapsed
            self.capacity[axis] = self.capacity.get(axis, 0.0) + capacity[axis] * elapsed

    def scarcest(self, names: Mapping[int, str]) -> tuple[str, float]:
        """Return the resource of which the largest share was reserved, and that share."""
        shares = [
            (self.reserved[axis] / self.capacity[axis], name)
            for axis, name in names.items()
            if self.capacity.get(axis)
        ]
        share, name = max(shares, default=(0.0, ""))
        return name, share


def _cores(group: WorkerGroup, count: int) -> float:
    return group.cpu * count
