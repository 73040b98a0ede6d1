"""What came of a simulation: figures, events, and a series of moments to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from when tasks could run until they first did."""

    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class ScaleEvent:
    """One change of what a group should have.

    Attributes
    ----------
    time : float
        Seconds after the start.
    group : str
        Its name.
    before, after : int
        Workers that it should have.
    reason : str
        The sentence of the plan.
    """

    time: float
    group: str
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of the run.

    Attributes
    ----------
    time : float
        Seconds after the start.
    waiting, running : int
        Tasks.
    workers : tuple of int
        Workers that take tasks, by group, in the order in which the groups were given.
    allocated : dict of str to float
        By resource, the share of all workers' that tasks have reserved.
    """

    time: float
    waiting: int
    running: int
    workers: tuple[int, ...]
    allocated: dict[str, float]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the time of a run.

    Attributes
    ----------
    cost : float
        Of all workers, each from when it was asked for, in the unit of `WorkerGroup.cost`.
    worker_hours : dict of str to float
        The hours that were paid for, by group.
    scarce : str
        The resource of which most was reserved while work waited; over the whole run, if none did.
    allocated : float
        The reserved share of it, over the time in which at least `Conditions.backlog` tasks waited.
    backlog : float
        That time, in seconds.
    utilised : float
        Core-seconds that tasks really computed, as a share of those of the workers that were there.
    """

    cost: float
    worker_hours: dict[str, float]
    scarce: str
    allocated: float
    backlog: float
    utilised: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a simulation.

    Attributes
    ----------
    tasks, finished : int
        How many there were, and how many ended well.
    failed : dict of str to str
        Why tasks failed that no worker could hold, by key.
    unmet : tuple of str
        Keys of the tasks that never ran to their end, for want of a worker or of what they depend on.
    unhosted : tuple of str
        What the last decision said of demands that no group could ever host; if it said nothing, what those wait for
        that still do.
    makespan : float
        Seconds from the start until the last task ended.
    waiting : Waits
        How long tasks waited.
    usage : Totals
        What it cost, and how well it was used.
    reruns : int
        Tasks begun again because their worker was lost.
    kills, failures, interruptions : int
        Workers killed for their memory, that died, and that were taken away.
    launched, removed : int
        Workers that were asked for, those of the start not counted, and that left as they were told to.
    evaluations : int
        Decisions to scale, most of which changed nothing.
    scale_events : tuple of ScaleEvent
        Those that changed something.
    moments : tuple of Moment
        In order of time; thinned out where there are very many.
    """

    tasks: int
    finished: int
    failed: dict[str, str]
    unmet: tuple[str, ...]
    unhosted: tuple[str, ...]
    makespan: float
    waiting: Waits
    usage: Totals
    reruns: int
    kills: int
    failures: int
    interruptions: int
    launched: int
    removed: int
    evaluations: int
    scale_events: tuple[ScaleEvent, ...]
    moments: tuple[Moment, ...] = field(repr=False)

    def to_wire(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def waits(seconds: Sequence[float]) -> Waits:
    """Return the mean, some quantiles (of those that were seen) and the longest of some waits."""
    if not seconds:
        return Waits()
    found = np.array(seconds)
    p50, p95, p99 = map(float, np.quantile(found, (0.5, 0.95, 0.99), method="inverted_cdf"))
    return Waits(float(found.mean()), p50, p95, p99, float(found.max()))
