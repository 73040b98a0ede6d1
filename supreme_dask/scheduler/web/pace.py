"""How often something is done for those who look: seldom enough to take a small part of the time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, thread_time

_SHARE = 200  # times as long as it took is rested


class Pace:
    """Does something when it is asked to, unless it was done lately.

    Parameters
    ----------
    work
        What is done.
    least
        Seconds between two times, at least.
    """

    def __init__(self, work: Callable[[], None], least: float = 0.0) -> None:
        self._work = work
        self._least = least
        self._due = float("-inf")

    def __call__(self) -> None:
        """Do it, unless it was done lately."""
        if monotonic() >= self._due:
            begun = thread_time()
            self._work()
            self._due = monotonic() + max(self._least, _SHARE * (thread_time() - begun))

    def end(self) -> None:
        """Do nothing more."""
        self._due = float("inf")
