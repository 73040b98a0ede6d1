"""What the world of a simulation is like, beside its workers and its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.instructions import Settings
from supreme_dask.core.resources import MEMORY, Resources


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the world of a simulation is like, beside its workers and its jobs.

    Attributes
    ----------
    seed : int
        Of all chance. Equal seeds give equal outcomes.
    usable : float
        Part of a worker's memory limit that tasks may fill.
    base : int
        Bytes that a worker's process takes itself.
    terminate : float
        Part of its memory limit at which a worker is killed.
    restart : float
        Seconds until a worker that was killed for its memory is back.
    failures : float
        How often per hour one worker dies.
    notice : float
        Seconds from being told to being gone, when a worker of a group with `interruptions` is taken away.
    startups : mapping of str to tuple of float
        Start-up times by group, for its first workers to be asked for; afterwards that of the group.
    spread : float
        By which part start-up times differ from that of their group, at most, either way.
    bandwidth : float
        Bytes per second at which a worker fetches inputs.
    wall : float
        When it starts, as seconds since 1970, for policies that depend on the calendar.
    pace : float
        Seconds between two decisions to scale, at least; sixteen times as many while they change nothing.
    backlog : int
        So many waiting tasks are work enough to keep everybody busy: over that time `Outcome.allocated` is told.
    settings : Settings
        Of admission.
    """

    seed: int = 0
    usable: float = 0.92
    base: int = 128 << 20
    terminate: float = 0.95
    restart: float = 2.0
    failures: float = 0.0
    notice: float = 0.0
    startups: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    spread: float = 0.0
    bandwidth: float = float("inf")
    wall: float = 0.0
    pace: float = 1.0
    backlog: int = 64
    settings: Settings = field(default_factory=Settings)

    def room(self, group: WorkerGroup) -> Resources:
        """Return what a worker of a group has for tasks."""
        memory = max(int(group.capacity[MEMORY] * self.usable) - self.base, 0)
        return group.capacity.overlaid(Resources.of({MEMORY: memory}))

    def limit(self, group: WorkerGroup) -> int:
        """Return the bytes that tasks may really take on a worker of a group before it is killed."""
        return int(group.capacity[MEMORY] * self.terminate) - self.base
