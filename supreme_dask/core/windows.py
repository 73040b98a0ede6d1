"""Usage over the last minute and the last five: running means, as the load averages of Unix.

What was sampled `t` seconds ago weighs ``exp(-t / span)``, so nothing but the mean itself is kept. A mean begins with
what it was told first, not at zero.
"""

from __future__ import annotations

from math import exp
from operator import attrgetter

from supreme_dask.core.snapshot import Usage, Windows

_MINUTE = 60.0
_FIVE_MINUTES = 300.0
_fields = attrgetter("cpu", "memory", "network", "allocated", "backlog")


class Means:
    """The means of one usage. It has one owner, who brings the time.

    Examples
    --------
    >>> means = Means()
    >>> means.add(Usage(cpu=100.0), now=0.0).minute.cpu
    100.0
    >>> round(means.add(Usage(cpu=0.0), now=60.0).five_minutes.cpu, 1)
    0.0
    """

    __slots__ = ("_at", "_five_minutes", "_minute")

    def __init__(self) -> None:
        self._at: float | None = None
        self._minute = _Mean(_MINUTE)
        self._five_minutes = _Mean(_FIVE_MINUTES)

    def add(self, usage: Usage, now: float) -> Windows:
        """Take in what was used since the last call, and return the means of all that was told."""
        elapsed = max(now - self._at, 0.0) if self._at is not None else 0.0
        self._at = now
        return Windows(usage, self._minute.add(usage, elapsed), self._five_minutes.add(usage, elapsed))


class _Mean:
    __slots__ = ("_mean", "_span", "_weight")

    def __init__(self, span: float) -> None:
        self._span = span
        self._mean = Usage()
        self._weight = 0.0  # of all samples, in a window that would weigh 1 if it were full

    def add(self, usage: Usage, elapsed: float) -> Usage:
        share = 1 - exp(-elapsed / self._span)
        self._weight += (1 - self._weight) * share
        part = share / self._weight if self._weight else 1.0
        pairs = zip(_fields(self._mean), _fields(usage), strict=True)
        self._mean = Usage(*[before + (sample - before) * part for before, sample in pairs])
        return self._mean
