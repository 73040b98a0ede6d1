"""What was learned of a task type, and what is expected of its next run.

A *type* is whatever runs alike: Dask's task prefix, usually one function. A profile takes measurements
one by one and gives estimates; equal measurements in equal order give equal estimates.
"""

from __future__ import annotations

from dataclasses import dataclass

_MARGIN = 1.1
_ALLOCATOR_NOISE = 1 << 20
_FORGET = 0.2
_TELLING = 0.010  # seconds; in a shorter run the worker's own threads weigh more than the task's


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
    """

    wall: float
    cpu: float | None = None
    memory: int | None = None
    exact: bool = True
    inputs: int = 0
    fetched: int = 0
    killed: bool = False


class Profile:
    """Largest need seen of one task type, and its usual duration.

    An exact measurement is worth more than a bound: bounds count only while nothing exact is known,
    or where they show that less is enough.
    """

    __slots__ = ("_bound", "_exact", "cores", "count", "duration", "version")

    def __init__(self) -> None:
        self.count = 0
        self.version = 0  # rises whenever the next estimate of memory or cores may differ
        self.duration: float | None = None  # seconds, exponentially weighted
        self.cores = 1.0
        self._exact: int | None = None
        self._bound: int | None = None

    def learn(self, measurement: Measurement) -> None:
        """Take one more observation into account."""
        self.count += 1
        if self.duration is None:
            self.duration = measurement.wall
        else:
            self.duration += _FORGET * (measurement.wall - self.duration)
        if measurement.cpu is not None and measurement.exact and measurement.wall >= _TELLING:
            self.cores = max(self.cores, measurement.cpu / measurement.wall)
        if measurement.memory is not None:
            self._remember(measurement.memory, exact=measurement.exact)

    def _remember(self, memory: int, *, exact: bool) -> None:
        before = self._exact, self._bound
        if exact:
            self._exact = max(self._exact or 0, memory)
        else:
            self._bound = min(self._bound or memory, memory)
        self.version += before != (self._exact, self._bound)

    def memory(self, inputs: int = 0, *, failure_price: float = 4.0) -> int | None:  # noqa: ARG002
        """Return the bytes to set aside for the next run, or None while nothing is known.

        Parameters
        ----------
        inputs
            Bytes of the task's dependencies.
        failure_price
            What a run that is killed for its memory costs, in units of its own memory × time.
        """
        seen = self._exact if self._exact is not None else self._bound
        if seen is None:
            return None
        return int(seen * _MARGIN) + _ALLOCATOR_NOISE
