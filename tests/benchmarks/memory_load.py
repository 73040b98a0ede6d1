"""A load of mixed memory: 120 tasks that hold 100 MB, 400 MB or 1.2 GB, on three workers of 2 GB.

Three functions, so that Dask sees three task types; or one, whose memory depends on its input. Every page is touched,
so the memory is real.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

MB = 10**6
WORKERS, THREADS, LIMIT = 3, 4, 2000 * MB
USABLE = 1700 * MB  # of LIMIT: below the nanny's 0.95, without the process itself


class Run(NamedTuple):
    """One completed task: its bytes, when it began and ended, and the process that ran it."""

    bytes: int
    began: float
    ended: float
    pid: int


def small() -> Run:
    return _hold(100 * MB, 1.0)


def medium() -> Run:
    return _hold(400 * MB, 2.0)


def large() -> Run:
    return _hold(1200 * MB, 3.0)


BYTES: dict[Callable[[], Run], int] = {small: 100 * MB, medium: 400 * MB, large: 1200 * MB}


SECONDS: dict[int, float] = {100 * MB: 1.0, 400 * MB: 2.0, 1200 * MB: 3.0}
GROWTH = 100  # times the bytes of its input is what `expand` holds


def expand(block: bytes) -> Run:
    """Hold as much as one of the others, as its input says."""
    amount = GROWTH * len(block)
    return _hold(amount, SECONDS[amount])


def load(seed: int, scale: float = 1.0) -> list[Callable[[], Run]]:
    """Return the tasks in the order in which they are submitted."""
    tasks = [task for task, count in ((small, 72), (medium, 36), (large, 12)) for _ in range(round(count * scale))]
    random.Random(seed).shuffle(tasks)
    return tasks


def used_while_waiting(runs: Iterable[Run], since: float) -> float:
    """Return the part of the usable memory that running tasks truly held, from `since` to the last start."""
    runs = list(runs)
    until = max((run.began for run in runs), default=since)
    held = sum(run.bytes * max(min(run.ended, until) - run.began, 0.0) for run in runs)
    return held / (WORKERS * USABLE * (until - since)) if until > since else 0.0


def most_at_once(runs: Iterable[Run]) -> int:
    """Return the most bytes that the tasks of one process truly held at the same time."""
    changes = [
        (time, pid, sign * amount) for amount, began, ended, pid in runs for time, sign in ((began, 1), (ended, -1))
    ]
    holding: dict[int, int] = {}
    most = 0
    for _, pid, change in sorted(changes):
        holding[pid] = holding.get(pid, 0) + change
        most = max(most, holding[pid])
    return most


def _hold(amount: int, seconds: float) -> Run:
    import numpy as np

    began = time.time()
    pages = np.empty(amount // 8)
    pages[::512] = 1.0
    time.sleep(max(0.0, began + seconds - time.time()))
    del pages
    return Run(amount, began, time.time(), os.getpid())
