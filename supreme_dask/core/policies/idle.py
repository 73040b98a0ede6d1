"""Let workers go that have had nothing to do for as long as it would take to start them again.

Whoever rents skis does not know how often he will ski. If he buys when the rent paid so far reaches the price, he
never pays more than twice what he would have paid had he known (Karlin and others, "Competitive snoopy caching",
1988). Here the rent is an idle worker, and the price is the time in which a worker starts.

That holds whatever comes. Where the same comes again, such as a burst every minute, one can do better: when a group
has to grow again soon after it shrank, its workers stay twice as long from then on, up to sixteen times; when it has
not had to for long, half as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

from supreme_dask.core import reasons
from supreme_dask.core.policies.base import Proposal, Spare
from supreme_dask.core.policies.situation import Situation, Supply
from supreme_dask.core.resources import MEMORY
from supreme_dask.core.snapshot import WorkerView
from supreme_dask.core.victims import choose

_FULL = 0.6
"""Part of the memory of those that stay that may be filled with results: above it Dask begins to write them to disk
(distributed.worker.memory.target)."""
_SOON, _LATE = 4.0, 16.0
"""Patiences after which it was right to let workers go: not yet, and certainly."""
_MOST = 16.0


@dataclass(slots=True)
class Regret:
    """How much longer than it takes to start one the idle workers of a group stay.

    Attributes
    ----------
    factor : float
        Between 1 and 16.
    """

    factor: float = 1.0
    _count: int = 0
    _shrank: float | None = None

    def look(self, count: int, now: float, startup: float) -> None:
        """Take in how many workers there are now, those on their way in counted."""
        if count < self._count:
            self._shrank = now
        elif count > self._count and self._shrank is not None:
            patiences = (now - self._shrank) / max(self.factor * startup, 1e-9)
            self._shrank = None
            if patiences <= _SOON:
                self.factor = min(2 * self.factor, _MOST)
            elif patiences >= _LATE:
                self.factor = max(self.factor / 2, 1.0)
        self._count = count


@dataclass(slots=True)
class Idle:
    """Let idle workers go.

    Attributes
    ----------
    seconds : float or None
        How long a worker must have been idle; None for the start-up time of its group, or longer where workers that
        went were wanted again soon.
    """

    follows_clock: ClassVar[bool] = False

    seconds: float | None = None
    _regrets: dict[str, Regret] = field(default_factory=dict)

    def propose(self, situation: Situation) -> Iterable[Proposal]:
        """Propose those that are idle for long enough, as far as the others can store what they store."""
        stored = sum(worker.unique for worker in situation.snapshot.workers)
        capacity = sum(worker.capacity[MEMORY] for worker in situation.snapshot.workers if not worker.draining)
        for name, supply in situation.groups.items():
            patience = self._patience(name, supply, situation.snapshot.now) if self.seconds is None else self.seconds
            most = max(supply.count - supply.group.minimum, 0)
            spare: list[str] = []
            for worker in islice(self._idle(supply, situation.snapshot.now, patience), most):
                if stored > _FULL * (capacity - worker.capacity[MEMORY]):
                    break
                capacity -= worker.capacity[MEMORY]
                spare.append(worker.name)
            if spare:
                yield Spare(name, tuple(spare), reasons.idle(patience))

    def _patience(self, name: str, supply: Supply, now: float) -> float:
        regret = self._regrets.setdefault(name, Regret())
        regret.look(supply.count, now, supply.group.startup)
        return regret.factor * supply.group.startup

    def _idle(self, supply: Supply, now: float, patience: float) -> Iterator[WorkerView]:
        idle = {
            worker.name: worker
            for worker in supply.staying
            if not worker.running and worker.idle_since is not None and now - worker.idle_since >= patience
        }
        return (idle[name] for name in choose(idle.values(), len(idle)))
