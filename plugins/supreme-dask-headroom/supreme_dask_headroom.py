"""Spare workers, so that interactive users need not wait for one to start."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

from supreme_dask.core.policies import AtLeast, Situation


class Headroom:
    """Keep a group larger than what works there, by square-root staffing.

    Of R workers at work, chance makes the need vary by about √R. So many more are kept, times a factor (Halfin and
    Whitt, "Heavy-traffic limits for queues with many exponential servers", 1981).

    Parameters
    ----------
    group
        Name of the group.
    spare
        The factor.
    memory_seconds
        Time over which the busiest moment counts: people come back after thinking.

    Raises
    ------
    ValueError
        If a number is negative.
    """

    def __init__(self, group: str, spare: float = 1.0, memory_seconds: float = 600.0) -> None:
        if spare < 0 or memory_seconds < 0:
            raise ValueError(f"spare={spare!r}, memory_seconds={memory_seconds!r}: both are zero or more")
        self._group = group
        self._spare = spare
        self._memory_seconds = memory_seconds
        self._busy: deque[tuple[float, int]] = deque()

    def propose(self, situation: Situation) -> Iterator[AtLeast]:
        """Propose R + β√R for the busiest R that is remembered; nothing where nobody has worked for long."""
        supply = situation.groups.get(self._group)
        if supply is not None:
            at_work = self._busiest(situation.snapshot.now, sum(worker.running > 0 for worker in supply.staying))
            wanted = math.ceil(at_work + self._spare * math.sqrt(at_work))
            if at_work:
                yield AtLeast(self._group, wanted, f"{at_work} at work lately, and {wanted - at_work} spare")

    def _busiest(self, now: float, at_work: int) -> int:
        """Return the most of the time that is remembered; what a later one reaches is forgotten at once."""
        while self._busy and self._busy[-1][1] <= at_work:
            self._busy.pop()
        self._busy.append((now, at_work))
        while now - self._busy[0][0] > self._memory_seconds:
            self._busy.popleft()
        return self._busy[0][1]
