"""What may be spent, and how fast a cluster may grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from supreme_dask.core import reasons
from supreme_dask.core.policies.base import AtMost, Cap, Proposal
from supreme_dask.core.policies.situation import Situation


@dataclass(frozen=True, slots=True)
class Budget:
    """What the workers may cost, in the unit of `WorkerGroup.cost`.

    Attributes
    ----------
    per_hour : float or None
        All of them together; None for no limit.
    total : float or None
        Altogether. When it is spent, each group shrinks to its minimum.
    """

    follows_clock: ClassVar[bool] = False

    per_hour: float | None = None
    total: float | None = None

    def propose(self, situation: Situation) -> Iterable[Proposal]:
        """Propose what may still be launched; nothing, and the minimum for all, when everything is spent."""
        spent = situation.snapshot.spent
        if self.total is not None and spent >= self.total:
            reason = reasons.spent(spent, self.total)
            yield Cap(reason, workers=0)
            yield from (AtMost(name, one.group.minimum, reason) for name, one in situation.groups.items())
        if self.per_hour is not None:
            costs = sum(supply.count * supply.group.cost for supply in situation.groups.values())
            yield Cap(reasons.within_budget(self.per_hour), cost=max(self.per_hour - costs, 0.0))


@dataclass(slots=True)
class Rate:
    """How many workers may be launched in how many seconds: a slip in a policy must not rent a data centre.

    Attributes
    ----------
    workers : int
        Of all groups together.
    seconds : float
        In which they are counted.
    """

    follows_clock: ClassVar[bool] = False

    workers: int
    seconds: float
    _counts: deque[tuple[float, int]] = field(default_factory=deque)
    _before: int | None = None

    def propose(self, situation: Situation) -> Iterator[Proposal]:
        """Propose what is left of the allowance."""
        now = situation.snapshot.now
        # With those on their way out: one that is had back was not launched.
        supply = sum(one.count + len(one.draining) for one in situation.groups.values())
        if self._before is not None and supply > self._before:
            self._counts.append((now, supply - self._before))
        self._before = supply
        while self._counts and now - self._counts[0][0] >= self.seconds:
            self._counts.popleft()
        used = sum(many for _, many in self._counts)
        yield Cap(reasons.at_rate(self.workers, self.seconds), workers=max(self.workers - used, 0))
