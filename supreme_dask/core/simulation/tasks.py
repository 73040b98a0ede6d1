"""The jobs of a simulation, and how far they are."""

from __future__ import annotations

from collections.abc import Sequence

from supreme_dask.core.resources import MEMORY, Resources
from supreme_dask.core.shapes import Inputs, Task
from supreme_dask.core.simulation.traces import Job

_GENERATION = 0.1
"""Seconds within which submissions share a generation, as with Dask (``fifo_timeout``)."""


class Tasks:
    """The jobs, and how far they are.

    Attributes
    ----------
    unended : dict of str to None
        Keys of those that may end yet.
    failed : dict of str to str
        Why some failed.
    given_up : set of str
        Those that wait for one that failed.
    alone : set of str
        Those beside which nothing may run.
    finished : int
        How many have ended well.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = {job.key: job for job in jobs}
        self.unended = dict.fromkeys(self.jobs)
        self.failed: dict[str, str] = {}
        self.given_up: set[str] = set()
        self.alone: set[str] = set()
        self.finished = 0
        self._numbers = {job.key: number for number, job in enumerate(jobs)}
        self._declared: dict[str, Resources | None] = {}
        self._lacking = {job.key: len(set(job.after)) + 1 for job in jobs}
        self._since: dict[str, float] = {}
        self._dependents: dict[str, list[str]] = {}
        self._where: dict[str, str] = {}
        for job in jobs:
            for key in dict.fromkeys(job.after):
                self._dependents.setdefault(key, []).append(job.key)

    def one_less(self, key: str, now: float) -> bool:
        """Note that a job waits for one thing less, and tell whether it can run now."""
        self._lacking[key] -= 1
        if self._lacking[key] or key not in self.unended:
            return False
        self._since[key] = now
        return True

    def started(self, key: str) -> float | None:
        """Return since when a job could run, when it starts for the first time."""
        return self._since.pop(key, None)

    def task(self, key: str) -> Task:
        """Return a job as the scheduler knows it."""
        job = self.jobs[key]
        declared = self._declared.get(key, job.declared)
        priority = (0.0, job.arrival // _GENERATION, self._numbers[key])
        return Task(key, job.type, priority, declared, None, self.inputs(key), alone=key in self.alone)

    def inputs(self, key: str) -> Inputs | None:
        """Return what a job takes, evenly of those that it depends on, each where that ran."""
        job = self.jobs[key]
        if not job.inputs and not job.after:
            return None
        held: dict[str, int] = {}
        for dependency in job.after:
            where = self._where[dependency]
            held[where] = held.get(where, 0) + job.inputs // len(job.after)
        return Inputs(job.inputs, held)

    def enlarge(self, key: str, memory: int) -> None:
        """Give a job so many bytes from now on."""
        declared = self._declared.get(key, self.jobs[key].declared) or Resources()
        self._declared[key] = declared.overlaid(Resources.of({MEMORY: memory}))

    def finish(self, key: str, where: str) -> list[str]:
        """Note the end of a job, and return those that may have waited for it."""
        del self.unended[key]
        self.finished += 1
        dependents = self._dependents.get(key, [])
        if dependents:
            self._where[key] = where
        return dependents

    def fail(self, key: str, why: str) -> None:
        """Note that a job will never end well, nor will those that wait for it."""
        self.failed[key] = why
        del self.unended[key]
        lost = [key]
        while lost:
            for dependent in self._dependents.get(lost.pop(), ()):
                if dependent in self.unended:
                    del self.unended[dependent]
                    self.given_up.add(dependent)
                    lost.append(dependent)
