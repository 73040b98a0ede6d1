"""When to try again to get workers of a group that cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST = 1.0  # s
_LONGEST = 60.0  # s


@dataclass(frozen=True, slots=True)
class Trial:
    """How it went with a group since one of its workers joined.

    Attributes
    ----------
    failures : int
        In a row.
    reason : str
        Of the last one.
    again : float
        When to try again, on the clock of whoever tries.
    """

    failures: int = 0
    reason: str = ""
    again: float = float("-inf")

    def failed(self, reason: str, now: float) -> Trial:
        """Return how it went after one more failure: each waits twice as long as the last, up to a minute.

        Examples
        --------
        >>> Trial().failed("no image", 10.0).failed("no image", 20.0)
        Trial(failures=2, reason='no image', again=22.0)
        """
        wait = min(_FIRST * 2.0**self.failures, _LONGEST)
        return Trial(min(self.failures + 1, 10), reason, now + wait)

    def blocked(self, now: float) -> str:
        """Return why nothing is to be tried now; empty if something is."""
        return self.reason if now < self.again else ""
