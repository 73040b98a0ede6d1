"""What becomes of tasks whose worker was killed for its memory: how much each gets next, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supreme_dask.core import kills, reasons
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.keys import Key
from supreme_dask.core.kills import Suspect
from supreme_dask.core.kinds import Kinds
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.rows import Reservation

_TELLING = 8 << 20
"""Bytes; a task that surely held less when it was stopped may have raised an error of its own."""
_PATIENT = 10
"""Stops in which others had taken what was set aside for a task, after which it gets a worker to itself."""
_ATTEMPTS = 2
"""After so many of these it gets a worker to itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from one kill.

    Attributes
    ----------
    blamed : hashable or None
        Key of the task that took too much; None if it may have been any of several, which all run alone next.
    size : int or None
        Bytes for the next attempt of the one that is blamed; None if there is none.
    refused : str
        Why there is none.
    last : bool
        Whether the next attempt, with the largest worker to itself, is the last: its error will be the task's own.
    """

    blamed: Key | None
    size: int | None = None
    refused: str = ""
    last: bool = False


class Court:
    """Judges kills for memory, and lets the profiles learn from them. It has one owner."""

    def __init__(self, ledger: Ledger, kinds: Kinds) -> None:
        self._ledger = ledger
        self._kinds = kinds
        self._tried: dict[Key, list[int]] = {}
        self._largest = 0  # bytes for tasks of the largest worker ever seen, or expected; it may be starting

    def expect(self, memory: int) -> None:
        """Take in the bytes for tasks of the largest worker that could be launched; 0 for none."""
        self._largest = max(self._largest, memory)

    def judge(self, suspects: Sequence[Suspect], capacity: int, used: int) -> Verdict:
        """Say what becomes of those that ran on a worker.

        Parameters
        ----------
        suspects
            At least one.
        capacity
            Bytes that the worker had for tasks.
        used
            Bytes that they took together when it was killed, as far as that is known; 0 if it is not.
        """
        rows = self._ledger.rows.values()
        self._largest = max(self._largest, capacity, *(row.capacity[MEMORY_AXIS] for row in rows))
        for one in suspects:
            self._tried.setdefault(one.key, []).append(one.reserved)
        blamed = kills.culprit(suspects)
        return Verdict(None) if blamed is None else self._blame(blamed, max(used, blamed.reserved))

    def stopped(self, one: Suspect, largest: int, held: int, asked: int) -> Verdict:
        """Say what becomes of a task that its worker stopped because it would have taken more than there was.

        Parameters
        ----------
        largest
            Bytes that the largest worker has on which it may run.
        held
            Bytes that the task had.
        asked
            Bytes that it asked for when it was stopped; 0 if that is not known.
        """
        peak = held + asked
        attempts = self._tried.setdefault(one.key, [])
        attempts.append(one.reserved)
        if peak <= one.reserved and asked:
            # Others took what was set aside for it; but nothing does so for ever.
            return Verdict(None) if len(attempts) < _PATIENT else Verdict(one.key, kills.whole(largest), last=True)
        profile = self._kinds[one.type].profile
        size = kills.after_stop(one.reserved, held, asked, profile.retry(max(peak, 1)))
        if held >= _TELLING:
            wall = profile.duration or 1.0
            self._kinds.learn(one.type, Measurement(wall, memory=peak, inputs=one.inputs, killed=True))
        may_be_its_own = held < _TELLING and not asked and len(attempts) >= _ATTEMPTS
        if size >= kills.NEARLY_ALL * largest or may_be_its_own:
            return Verdict(one.key, kills.whole(largest), last=True)
        return Verdict(one.key, size)

    def forget(self, key: Key) -> None:
        """Drop what is known of a task that is gone."""
        self._tried.pop(key, None)

    def _blame(self, blamed: Suspect, peak: int) -> Verdict:
        profile = self._kinds[blamed.type].profile
        size = kills.larger(blamed.reserved, profile.retry(peak), self._largest)
        wall = profile.duration or 1.0
        self._kinds.learn(blamed.type, Measurement(wall, memory=peak, inputs=blamed.inputs, killed=True))
        if size is None:
            tried = self._tried[blamed.key]
            return Verdict(blamed.key, None, reasons.too_large(str(blamed.key), peak, tried, self._largest))
        return Verdict(blamed.key, size)


def suspects(reservations: Iterable[Reservation]) -> list[Suspect]:
    """Return those that ran; short ones mostly wait for their turn, and count only if nothing else is there."""
    found = [one for one in reservations if one.shape is not None and one.running]
    long = [one for one in found if one.shape is not None and not one.shape.short and one not in one.row.waiting]
    return [suspect for one in long or found for suspect in of(one)]


def of(one: Reservation) -> list[Suspect]:
    """Return a task as a suspect; none if it is an actor."""
    return [] if one.shape is None else [Suspect(one.key, one.shape.type, _reserved(one), one.shape.size)]


def _reserved(one: Reservation) -> int:
    """Return the bytes that a task had: of unknown memory, all that there were."""
    return one.row.capacity[MEMORY_AXIS] if one.shape is not None and one.shape.probing else one.memory
