"""Whose fault it was that a worker was killed for its memory, and how much the next attempt gets.

Nobody measures a task that is killed. If it ran alone, it is the one. Otherwise each of those that ran may be,
however little was set aside for it, and none is blamed: each runs alone next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from supreme_dask.core.keys import Key

_WHOLE = 0.90
"""Part of the largest worker that a task gets at most: what a process takes itself varies a little."""
NEARLY_ALL = 0.85
"""Part of the largest worker that leaves nothing to try."""

_ROOM = 1.1
"""Part of what a task held and asked for when it was stopped that it gets next."""
_STEP = 1.25
"""The least by which an attempt exceeds the one before it."""


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


def price(own: float, stake: float) -> float:
    """Return what it costs when a task brings its worker down, in units of what it takes itself.

    Its attempt is lost, and what else is at stake there, of which half an attempt is its own.

    Parameters
    ----------
    own
        Bytes that it needs × seconds that it runs.
    stake
        Byte-seconds that would be lost with a worker.

    Examples
    --------
    >>> price(10.0, stake=4 * 5.0)  # four equal tasks, half done
    2.5
    """
    return 1 + max(stake / own - 0.5, 0.0) if own > 0 else 1.0


def culprit(suspects: Sequence[Suspect]) -> Suspect | None:
    """Return the task that took too much, or None if it may have been any of several."""
    return suspects[0] if len(suspects) == 1 else None


def larger(reserved: int, wanted: int, largest: int) -> int | None:
    """Return the bytes for the next attempt of a culprit, or None if no worker has more than it had.

    Never less than it had, and at most the largest worker: the attempts come to an end.

    Parameters
    ----------
    reserved
        Bytes that it had.
    wanted
        Bytes that it is likely to need; greater than `reserved`.
    largest
        Bytes that the largest worker has for tasks.
    """
    return None if reserved >= NEARLY_ALL * largest else min(wanted, whole(largest))


def whole(largest: int) -> int:
    """Return the bytes for a task that gets the largest worker to itself."""
    return ceil(_WHOLE * largest)


def after_stop(reserved: int, held: int, asked: int, likely: int) -> int:
    """Return the bytes for the next attempt of a task that its worker stopped.

    What it asked for is enough if it said so, with a little more for what else it makes; otherwise what its like are
    `likely` to need. Always more than it had, so that the attempts come to an end.

    Examples
    --------
    >>> after_stop(reserved=100, held=50, asked=450, likely=1000)
    550
    >>> after_stop(reserved=100, held=300, asked=0, likely=600)
    600
    """
    wanted = ceil(_ROOM * (held + asked)) if asked else max(likely, 2 * reserved)
    return max(wanted, ceil(_STEP * max(reserved, held, 1)))
