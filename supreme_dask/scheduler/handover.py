"""Moves the results of one worker that leaves to those that stay."""

from __future__ import annotations

from time import monotonic, perf_counter

from distributed.scheduler import Scheduler

from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.handover import Handover
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.act import Hands

NOTICE = "notice"
_SHARE = 20
"""A worker that holds very much is looked at in so small a part of the time."""


class Results:
    """What a worker holds alone.

    Parameters
    ----------
    address
        The worker; it takes no tasks.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, hands: Hands, address: str) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._hands = hands
        self._address = address
        self._handover = Handover()
        self._next_look = 0.0

    def left(self) -> int:
        """Return how many there are, as far as that is known; 0 only if it was just looked at."""
        self._handover.settle(observe.moved(self._scheduler, self._address, self._handover.under_way))
        if len(self._handover):
            return len(self._handover)
        if monotonic() < self._next_look:
            return 1
        begin = perf_counter()
        self._handover = Handover(observe.sole(self._scheduler, self._address))
        self._next_look = monotonic() + _SHARE * (perf_counter() - begin)
        return len(self._handover)

    def look_again(self) -> None:
        """Look at everything when it is asked next."""
        self._next_look = 0.0

    def move(self, *, keep: bool) -> None:
        """Let others copy as much as may be under way.

        Parameters
        ----------
        keep
            Whether Dask must not drop those copies: it would, in favour of a worker that has use for them, which
            may be the one that leaves.
        """
        if self.left():
            why = NOTICE if keep else None
            for taker, keys in self._handover.next(self.rooms(), monotonic()).items():
                self._hands.copy(taker, [key for key in keys if key in self._scheduler.tasks], why=why)

    def rooms(self) -> dict[str, int]:
        """Return the bytes of memory that are left on each worker that stays."""
        return {
            row.address: row.free[MEMORY_AXIS]
            for row in self._admission.ledger.open_rows()
            if observe.is_running(self._scheduler, row.address)
        }
