"""Tasks that say where and when they ran, and what of that overlapped in truth."""

from collections import defaultdict
from time import monotonic, sleep
from typing import NamedTuple

from distributed import get_worker


class Run(NamedTuple):
    """One run of one task; times of one machine's clock, the same for all its processes."""

    number: int
    worker: str
    start: float
    stop: float
    amounts: dict


def run(number, seconds=0.0, amounts=None, *inputs):
    """Occupy a worker for a while."""
    start = monotonic()
    sleep(seconds)
    return Run(number, get_worker().address, start, monotonic(), amounts or {})


def peaks(runs):
    """Return the largest sum of amounts that truly ran at once, by worker and name."""
    changes = defaultdict(list)
    for each in runs:
        for name, amount in [("tasks", 1), *each.amounts.items()]:
            changes[each.worker, name] += [(each.start, amount), (each.stop, -amount)]
    return {place: _peak(steps) for place, steps in changes.items()}


def _peak(steps):
    level = highest = 0
    for _, change in sorted(steps):
        level += change
        highest = max(highest, level)
    return highest
