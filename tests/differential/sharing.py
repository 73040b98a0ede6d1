"""Plays many programs in several processes at once, for one event loop fills one core."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.differential.judging import Difference, Judge, judge_all


@dataclass(slots=True)
class Report:
    """How many programs were played, where ours differs, and where plain Dask does with itself, or ours by chance."""

    played: int = 0
    found: list[Difference] = field(default_factory=list)
    unstable: list[int] = field(default_factory=list)
    once: list[int] = field(default_factory=list)


def report(seeds: Sequence[int], most: int, *, jobs: int | None = None, **how: Any) -> Report:
    """Play the programs of some seeds, as `Judge` is told; each process stops after so many differences."""
    jobs = min(jobs or os.cpu_count() or 1, len(seeds))
    shares = [seeds[first::jobs] for first in range(jobs)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(partial(_part, most=most, how=how), shares))
    return Report(
        sum(part.played for part in parts),
        [each for part in parts for each in part.found],
        sorted(seed for part in parts for seed in part.unstable),
        sorted(seed for part in parts for seed in part.once),
    )


def _part(seeds: Sequence[int], most: int, how: dict[str, Any]) -> Report:
    logging.disable(logging.CRITICAL)
    judge = Judge(**how)
    found = asyncio.run(judge_all(seeds, judge, most, _tell))
    return Report(judge.played, found, judge.unstable, judge.once)


def _tell(difference: Difference) -> None:
    print(difference, end="\n\n", flush=True)
