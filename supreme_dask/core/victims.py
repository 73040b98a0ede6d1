"""Who goes when fewer workers are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from supreme_dask.core.snapshot import WorkerView


def choose(workers: Iterable[WorkerView], count: int) -> tuple[str, ...]:
    """Return the names of the workers whose leaving costs least, at most `count`.

    Those that do nothing come first, then those whose tasks have been running for the shortest time; among equals
    those on hosts where fewest others stay busy, so that whole hosts become empty; then those with least to hand
    over, then the youngest. Whoever holds what cannot be moved stays, and whoever leaves already is not named again.

    Parameters
    ----------
    workers
        In the order in which they joined.
    """
    there = list(workers)
    held = Counter(worker.host for worker in there if worker.running or worker.pinned)
    staying = Counter(worker.host for worker in there if not worker.draining)
    candidates = [(place, worker) for place, worker in enumerate(there) if _may_go(worker)]
    candidates.sort(
        key=lambda one: (
            one[1].running > 0,
            one[1].elapsed,
            held[one[1].host],
            staying[one[1].host],
            one[1].host,
            one[1].unique,
            -one[0],
        )
    )
    return tuple(worker.name for _, worker in candidates[: max(count, 0)])


def _may_go(worker: WorkerView) -> bool:
    return not worker.draining and not worker.pinned
