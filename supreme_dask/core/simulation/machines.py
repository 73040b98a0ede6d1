"""One worker of a simulation: what runs there, and how much memory it takes at each instant."""

from __future__ import annotations

from collections import deque

from supreme_dask.core.draining import Drain
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.simulation.traces import Job


class Run:
    """One attempt of a job on a machine."""

    __slots__ = ("alone", "cancelled", "ends", "fetched", "job", "started")

    def __init__(self, job: Job, started: float, ends: float, fetched: int) -> None:
        self.job = job
        self.started = started
        self.ends = ends
        self.fetched = fetched
        self.alone = True  # so far
        self.cancelled = False

    def used(self, now: float) -> float:
        """Return the bytes that it takes now: they rise evenly, and reach their peak at its end."""
        if self.job.memory is None:
            return 0.0
        length = self.ends - self.started
        return self.job.memory * min((now - self.started) / length, 1.0) if length else float(self.job.memory)


class Machine:
    """One worker.

    Attributes
    ----------
    is_up, is_gone : bool
        Whether it takes part; whether it never will again.
    life : int
        Rises with all that starts or ends there.
    """

    __slots__ = (
        "_high",
        "_peaks",
        "drain",
        "due",
        "group",
        "idle_since",
        "is_gone",
        "is_up",
        "life",
        "name",
        "pending",
        "place",
        "running",
    )

    def __init__(self, name: str, place: int, group: WorkerGroup, due: float) -> None:
        self.name = name
        self.place = place  # of its group
        self.group = group
        self.due = due  # when it should be up
        self.is_up = self.is_gone = False
        self.running: dict[str, Run] = {}
        self.pending: deque[str] = deque()
        self.drain: Drain | None = None
        self.idle_since = due
        self.life = 0
        self._peaks = 0
        self._high = 0.0

    @property
    def has_notice(self) -> bool:
        """Whether it is about to be taken away."""
        return self.drain is not None and self.drain.origin == "notice"

    def start(self, run: Run) -> None:
        """Let a run begin."""
        if self.running:
            run.alone = False
            for other in self.running.values():
                other.alone = False
        else:
            self._high = 0.0
        self.running[run.job.key] = run
        self._peaks += run.job.memory or 0
        self.life += 1

    def end(self, run: Run, now: float) -> int | None:
        """Let a run end, and return its peak as its worker measures it: an upper bound, if others ran beside it."""
        if run.job.memory is not None and not run.alone:
            self._high = max(self._high, self.used(now))
        del self.running[run.job.key]
        self._peaks -= run.job.memory or 0
        self.life += 1
        self.idle_since = now
        return run.job.memory if run.alone or run.job.memory is None else int(self._high)

    def clear(self) -> list[Run]:
        """Return the runs that are lost with its process, and forget them and all that waits there."""
        lost = list(self.running.values())
        for run in lost:
            run.cancelled = True
        self.running.clear()
        self.pending.clear()
        self._peaks = 0
        self.life += 1
        return lost

    @property
    def busy(self) -> float:
        """Cores that are kept busy here."""
        return sum(run.job.cpu for run in self.running.values())

    def elapsed(self, now: float) -> float:
        """Return the seconds that all that runs here has been running."""
        return sum(now - run.started for run in self.running.values())

    def bursts(self, limit: int) -> float | None:
        """Return when what runs here will take more than `limit` bytes, if nothing else starts or ends; or None."""
        if self._peaks <= limit:
            return None
        # Each takes ``peak × (t − start) / length``: a line, and so is their sum.
        steady, slope, offset = 0.0, 0.0, 0.0
        for run in self.running.values():
            length, peak = run.ends - run.started, run.job.memory or 0
            if length:
                slope += peak / length
                offset += peak * run.started / length
            else:
                steady += peak
        when = (limit - steady + offset) / slope if slope else 0.0
        return when if when < min(run.ends for run in self.running.values()) else None

    def used(self, now: float) -> float:
        """Return the bytes that all that runs here takes now."""
        return sum(run.used(now) for run in self.running.values()) if self._peaks else 0.0
