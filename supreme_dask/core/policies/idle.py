"""Let workers go that have had nothing to do for as long as it would take to start them again.

Whoever rents skis does not know how often he will ski. If he buys when the rent paid so far reaches the price, he
never pays more than twice what he would have paid had he known (Karlin and others, "Competitive snoopy caching",
1988). Here the rent is an idle worker, and the price is the time in which a worker starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from supreme_dask.core import reasons
from supreme_dask.core.policies.base import Proposal, Spare
from supreme_dask.core.policies.situation import Situation, Supply
from supreme_dask.core.resources import MEMORY
from supreme_dask.core.snapshot import WorkerView
from supreme_dask.core.victims import choose

_FULL = 0.6
"""Part of the memory of those that stay that may be filled with results: above it Dask begins to write them to disk
(distributed.worker.memory.target)."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Let idle workers go.

    Attributes
    ----------
    seconds : float or None
        How long a worker must have been idle; None for the start-up time of its group.
    """

    seconds: float | None = None

    def propose(self, situation: Situation) -> Iterable[Proposal]:
        """Propose those that are idle for long enough, as far as the others can store what they store."""
        stored = sum(worker.unique for worker in situation.snapshot.workers)
        capacity = sum(worker.capacity[MEMORY] for worker in situation.snapshot.workers if not worker.draining)
        for name, supply in situation.groups.items():
            patience = supply.group.startup if self.seconds is None else self.seconds
            most = max(supply.count - supply.group.minimum, 0)
            spare: list[str] = []
            for worker in islice(self._idle(supply, situation.snapshot.now, patience), most):
                if stored > _FULL * (capacity - worker.capacity[MEMORY]):
                    break
                capacity -= worker.capacity[MEMORY]
                spare.append(worker.name)
            if spare:
                yield Spare(name, tuple(spare), reasons.idle(patience))

    def _idle(self, supply: Supply, now: float, patience: float) -> Iterator[WorkerView]:
        idle = {
            worker.name: worker
            for worker in supply.staying
            if not worker.running and worker.idle_since is not None and now - worker.idle_since >= patience
        }
        return (idle[name] for name in choose(idle.values(), len(idle)))
