"""What rules look at: the snapshot, sorted by group."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import MEMORY, NETWORK, Resources
from supreme_dask.core.snapshot import GroupView, Snapshot, WorkerView

_FOR_TASKS = 0.85
"""Part of a worker's memory limit that tasks can have, as long as no worker of its group shows it: the safe fraction
of `supreme.yaml`, less what a process of Python takes itself."""
_NETWORK = Resources.parse({NETWORK: "1.25 GB/s"})
"""What a worker is taken to move until one shows it."""


@dataclass(frozen=True, slots=True)
class Supply:
    """The workers of one group.

    Attributes
    ----------
    view : GroupView
        The group.
    staying, draining : tuple of WorkerView
        Its workers, in the order in which they joined.
    room : Resources
        What one of them has for tasks when nothing else is there.
    """

    view: GroupView
    staying: tuple[WorkerView, ...]
    draining: tuple[WorkerView, ...]
    room: Resources

    @property
    def group(self) -> WorkerGroup:
        """What each of the workers is."""
        return self.view.group

    @property
    def count(self) -> int:
        """How many there are, those on their way in counted, and without those on their way out."""
        return len(self.staying) + len(self.view.launching)

    @property
    def returnable(self) -> tuple[WorkerView, ...]:
        """Those on their way out that can be had back."""
        return tuple(worker for worker in self.draining if not worker.leaving)

    @property
    def growth(self) -> int | None:
        """How many more can be had; None for any number."""
        if self.view.blocked:
            return 0
        maximum = self.group.maximum
        return None if maximum is None else max(maximum - self.count, 0)


@dataclass(frozen=True, slots=True)
class Situation:
    """The cluster as rules see it.

    Attributes
    ----------
    snapshot : Snapshot
        All of it.
    groups : dict of str to Supply
        The groups that can be scaled, by name.
    strangers : tuple of WorkerView
        Workers that belong to none of these, and stay.
    """

    snapshot: Snapshot
    groups: dict[str, Supply]
    strangers: tuple[WorkerView, ...]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Situation:
        """Return a snapshot, sorted."""
        members: dict[str, list[WorkerView]] = {view.group.name: [] for view in snapshot.groups}
        strangers = []
        for worker in snapshot.workers:
            if worker.group in members:
                members[worker.group].append(worker)
            elif not worker.draining:
                strangers.append(worker)
        groups = {view.group.name: _supply(view, members[view.group.name]) for view in snapshot.groups}
        return cls(snapshot, groups, tuple(strangers))


def _supply(view: GroupView, workers: list[WorkerView]) -> Supply:
    staying = tuple(worker for worker in workers if not worker.draining)
    draining = tuple(worker for worker in workers if worker.draining)
    room = view.room or room_of(view.group, [worker.capacity for worker in workers])
    return Supply(view, staying, draining, room)


def room_of(group: WorkerGroup, capacities: Collection[Resources]) -> Resources:
    """Return what the worker in the middle has; by what the group promises, if there is none."""
    if capacities:
        return sorted(capacities, key=_by_memory)[len(capacities) // 2]
    memory = Resources.of({MEMORY: int(group.capacity[MEMORY] * _FOR_TASKS)})
    return _NETWORK.overlaid(group.capacity).overlaid(memory)


def _by_memory(capacity: Resources) -> int:
    return capacity[MEMORY]
