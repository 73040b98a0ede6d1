"""One sentence per outage of a store, for each that uses it."""

from __future__ import annotations

import logging


class Outage:
    """Says that a store fails once, and once that it does not any more; failures in between are for debugging.

    It is over when what had failed has worked. That the store can be read proves nothing to one that writes: a disk
    that is full is read as before.

    Parameters
    ----------
    log
        Logger of the caller.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lasts = False

    def failed(self, meanwhile: str, error: BaseException | str) -> None:
        """Take in a failure; `meanwhile` says what it means for the caller's work."""
        level = logging.DEBUG if self._lasts else logging.WARNING
        self._log.log(level, "%s: %s", meanwhile, str(error) or "no answer in time")
        self._lasts = True

    def ended(self, again: str = "") -> bool:
        """Take in that what had failed has worked, or would have, and return whether anything had.

        `again` says so, unless that is told otherwise.
        """
        lasted, self._lasts = self._lasts, False
        if lasted and again:
            self._log.info("%s", again)
        return lasted
