"""What was learned of a task type, and what is expected of its next run.

A *type* is whatever runs alike: Dask's task prefix, usually one function. A profile takes measurements
one by one and gives estimates; equal measurements in equal order give equal estimates.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, Self

from supreme_dask.core.needs import Needs, Seen
from supreme_dask.core.predictors import TYPICAL_PRICE

RESERVED_KEY = "supreme-reserved"
"""The annotation that tells a worker the bytes set aside for a task, whether its next error is its own, and whether
the bytes were declared."""

_PERIOD = 8
"""Runs after which duration, cores and network begin to be forgotten; after twice as many they are."""
_TELLING = 0.010
"""Seconds; in a shorter run the worker's own threads weigh more than the task's."""
_SHORTEST = 1e-3
"""Seconds that a run counts at least: clocks are no finer, and no run is worth nothing."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one task.

    Attributes
    ----------
    wall : float
        Seconds from start to end.
    cpu : float or None
        Processor seconds; None when it was not measured.
    memory : int or None
        Peak bytes above what the process held before; None when it was not measured.
    exact : bool
        Whether `memory` is this task's own. Otherwise others ran beside it, and `memory` is an upper bound.
    inputs : int
        Bytes of the dependencies.
    fetched : int
        Those of them that had to come over the network.
    killed : bool
        The run was ended for its memory: the true peak is above `memory`.
    result : int
        Bytes of its result.
    """

    wall: float
    cpu: float | None = None
    memory: int | None = None
    exact: bool = True
    inputs: int = 0
    fetched: int = 0
    killed: bool = False
    result: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a profile says, for humans.

    Attributes
    ----------
    count : int
        Measurements taken.
    predictor : str
        ``line`` over the input size, ``level``, ``largest`` so far, ``bounds`` of overlapped runs, ``none``.
    typical, high : int or None
        Median and largest need in bytes of the exact runs remembered; None before the first.
    waste : float or None
        Share of memory × time that these estimates would have left unused in those runs.
    kills : int
        Runs killed for their memory whose need was not measured since.
    duration : float or None
        Mean seconds of the recent runs.
    cores : float
        Most cores that a recent run kept busy.
    network : float
        Bytes fetched per second of run.
    """

    count: int
    predictor: str
    typical: int | None
    high: int | None
    waste: float | None
    kills: int
    duration: float | None
    cores: float
    network: float


class Profile:
    """What the runs of one task type took: processor time, network, duration and, foremost, memory.

    Attributes
    ----------
    count : int
        Measurements taken.
    version : int
        Rises whenever the next estimate of memory or cores may differ.
    result : int
        Bytes of a usual result; not kept beyond the process.
    """

    __slots__ = ("_needs", "_period", "_previous", "count", "result", "version")

    def __init__(self) -> None:
        self.count = 0
        self.version = 0
        self.result = 0
        self._period = _Period()
        self._previous = _Period()
        self._needs = Needs()

    def learn(self, measurement: Measurement) -> None:
        """Take one more observation into account."""
        self.count += 1
        full = self._period.runs >= _PERIOD
        cores = self.cores if full or measurement.cpu is not None else None
        if full:
            self._previous, self._period = self._period, _Period()
        self._period.add(measurement)
        self.result += (measurement.result - self.result) // min(self.count, _PERIOD)
        if cores is not None:
            self.version += cores != self.cores
        if measurement.memory is not None:
            self.version += self._needs.learn(_seen(measurement, measurement.memory))

    @property
    def is_sure(self) -> bool:
        """Whether some run told exactly what it needed, or that it needed more; others only bound it from above."""
        return self._needs.largest > 0 or self._needs.kills > 0

    @property
    def duration(self) -> float | None:
        """Mean seconds of the recent runs; None before the first."""
        runs = self._period.runs + self._previous.runs
        return (self._period.seconds + self._previous.seconds) / runs if runs else None

    @duration.setter
    def duration(self, seconds: float) -> None:
        """Believe `seconds` from now on, as of a full period of runs: tasks show it while they still run."""
        fetched, cores = int(self.network * seconds * _PERIOD), self.cores
        self._previous = _Period(_PERIOD, seconds * _PERIOD, fetched, cores)
        self._period = _Period()

    @property
    def cores(self) -> float:
        """Most cores that a recent run kept busy on average; at least 1, as a task holds a thread."""
        return max(self._period.cores, self._previous.cores)

    @property
    def network(self) -> float:
        """Bytes fetched per second of run, over the recent runs."""
        seconds = self._period.seconds + self._previous.seconds
        return (self._period.fetched + self._previous.fetched) / seconds if seconds else 0.0

    @property
    def refits(self) -> int:
        """How often the predictor of memory was chosen anew, the costly step."""
        return self._needs.refits

    def memory(self, inputs: int = 0, *, failure_price: float = TYPICAL_PRICE) -> int | None:
        """Return the bytes to set aside for the next run, or None while nothing is known.

        It may be more than any worker has; the caller knows the workers.

        Parameters
        ----------
        inputs
            Bytes of the task's dependencies.
        failure_price
            What a run that is killed for its memory costs, in units of its own memory × time: 1 where only
            its own reservation is lost, more where it takes others down. A higher price never gives less.
        """
        return self._needs.estimate(inputs, failure_price)

    def retry(self, failed: int) -> int:
        """Return the bytes for the next attempt of a task that was killed with `failed` bytes.

        The largest need known, if that is more; else twice as much. A task that is more than its like
        mostly needs what the largest of them did, and doubling would overshoot.
        """
        return self._needs.retry(failed)

    def summary(self) -> Summary:
        """Return what was learned, for humans."""
        runs = self._needs.remembered()
        middle, high = (runs[len(runs) // 2][1], runs[-1][1]) if runs else (None, None)
        predictor, kills = self._needs.predictor(), self._needs.kills
        waste, network = self._waste(runs), self.network
        return Summary(self.count, predictor, middle, high, waste, kills, self.duration, self.cores, network)

    def _waste(self, runs: list[tuple[int, int, float]]) -> float | None:
        aside = sum((self.memory(inputs) or 0) * wall for inputs, _, wall in runs)
        used = sum(min(need, self.memory(inputs) or 0) * wall for inputs, need, wall in runs)
        return 1 - used / aside if aside else None

    def to_wire(self) -> dict[str, Any]:
        """Return all that was learned, in numbers, strings, lists and dicts."""
        periods = [astuple(self._previous), astuple(self._period)]
        counts = {"count": self.count, "version": self.version}
        return counts | {"periods": [list(period) for period in periods]} | self._needs.to_wire()

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Return the profile that `to_wire` described; it learns and estimates exactly as that one."""
        profile = cls()
        profile.count, profile.version = wire["count"], wire["version"]
        profile._previous, profile._period = (_Period(*period) for period in wire["periods"])
        profile._needs = Needs.from_wire(wire)
        return profile


@dataclass(slots=True)
class _Period:
    """Sums and maxima over at most `_PERIOD` runs: the cheapest memory that forgets, and in no order."""

    runs: int = 0
    seconds: float = 0.0
    fetched: int = 0
    cores: float = 1.0

    def add(self, measurement: Measurement) -> None:
        self.runs += 1
        self.seconds += measurement.wall
        self.fetched += measurement.fetched
        if measurement.cpu is not None and measurement.exact and measurement.wall >= _TELLING:
            self.cores = max(self.cores, measurement.cpu / measurement.wall)


def _seen(measurement: Measurement, memory: int) -> Seen:
    wall = max(measurement.wall, _SHORTEST)
    return Seen(measurement.inputs, max(memory, 1), wall, measurement.exact, measurement.killed)
