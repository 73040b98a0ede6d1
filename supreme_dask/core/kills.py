"""Whose fault it was that a worker was killed for its memory, and how much the next attempt gets.

Nobody measures a task that is killed. If it ran alone, or had nearly all of its worker set aside, it is the one.
Otherwise each of those that ran may be, and none is blamed: each runs alone next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supreme_dask.core.keys import Key

_WHOLE = 0.90
"""Part of a worker that a task gets which is to run alone there: what a process takes itself varies a little."""
_NEARLY_ALL = 0.85
"""Part of a worker beside which nothing of importance can have run."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A task that ran on a worker when that was killed.

    Attributes
    ----------
    reserved : int
        Bytes that were set aside for it.
    inputs : int
        Bytes of its dependencies.
    """

    key: Key
    type: str
    reserved: int
    inputs: int = 0


def culprit(suspects: Sequence[Suspect], capacity: int) -> Suspect | None:
    """Return the task that took too much, or None if it may have been any of several.

    Parameters
    ----------
    capacity
        Bytes that the worker had for tasks.
    """
    if len(suspects) == 1:
        return suspects[0]
    return next((one for one in suspects if one.reserved >= _NEARLY_ALL * capacity), None)


def alone(capacity: int) -> int:
    """Return the bytes to set aside for a task that is to run alone on a worker of some capacity."""
    return int(_WHOLE * capacity)


def larger(reserved: int, wanted: int, capacities: Iterable[int]) -> int | None:
    """Return the bytes for the next attempt of a culprit, or None if no worker has more than it had.

    Never less than it had, and at most the largest worker: the attempts come to an end.

    Parameters
    ----------
    reserved
        Bytes that it had.
    wanted
        Bytes that it is likely to need; greater than `reserved`.
    capacities
        Bytes that each worker has for tasks.
    """
    largest = max(capacities, default=0)
    return None if reserved >= _NEARLY_ALL * largest else min(wanted, alone(largest))
