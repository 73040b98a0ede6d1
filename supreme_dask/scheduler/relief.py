"""Workers near their limit are relieved, and what is done is kept twice while workers are being killed.

A worker says when its process fills its memory. If that is more than was reserved there, it gets no more tasks, gives
back those that it has not begun, and others copy what only it holds. Because the next one may grow too fast for
that, small results are copied from then on as they come, until nothing has happened for some minutes. All workers
may die within a second, and the copies with them; so while they are being killed, one of them is a haven: it gets no
tasks, and nothing can kill it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from dask.typing import Key
from distributed.scheduler import Scheduler

from supreme_dask.core import reasons, relief
from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.instructions import Recall
from supreme_dask.core.rows import Row
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.act import Hands

log = logging.getLogger(__name__)

_SMALL = 64 << 10  # bytes of a result that is copied as a precaution
_CALM = 300.0  # seconds without danger after which nothing is copied any more
_WHY = "relief"
_EVERY = 0.25  # seconds between two batches of copies
_HAVEN = 30.0  # seconds after a kill in which another makes a haven worth its idle threads
_FEWEST = 3  # workers of which one can be spared
_NEVER = (float("-inf"), float("-inf"))
_AGAIN = 2.0  # seconds that a copy may take before it is asked for again


class Relief:
    """Relieves the workers of one scheduler.

    Parameters
    ----------
    base
        Bytes that a worker's process takes itself, by address.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, hands: Hands, base: Callable[[str], int]) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._hands = hands
        self._base = base
        self._strained: set[str] = set()
        self._uncopied: dict[Key, float] = {}  # results, and when to look at them
        self._alarmed = 0.0
        self._killed = _NEVER  # when the last two workers were
        self._haven: str | None = None
        self._parting: float | None = None  # since when others copy what it holds, so that it can be opened
        self._next = 0.0
        self._is_alarmed = False

    # ------------------------------------------------------------------------------- one worker
    def strained(self, address: str, process: int) -> list[Recall]:
        """Take in how many bytes a worker's process takes; return the tasks that it should give back, if any."""
        row = self._admission.ledger.rows.get(address)
        if row is None or row.unlimited or address in self._strained or not self._in_danger(row, process):
            return []
        alone = observe.unique(self._scheduler, observe.in_memory(self._scheduler, address))
        log.warning("%s", reasons.relieved(address, process, len(alone)))
        self._strained.add(address)
        self._admission.close_worker(address)
        self.alarm()
        self._hand_out(alone)
        behind = [one.key for one in row.waiting]
        return [Recall(address, behind)] if behind else []

    def keeps_closed(self, address: str) -> bool:
        """Tell whether a worker takes no tasks though Dask lets it run: it is near its limit, or the haven."""
        return address in self._strained or address == self._haven

    def relaxed(self, address: str) -> None:
        """Take in that a worker's process has given its memory back."""
        if address in self._strained:
            self._strained.discard(address)
            self._open(address)

    def gone(self, address: str) -> None:
        """Forget a worker that is gone; what it held may now be held once only."""
        self._strained.discard(address)
        if address == self._haven:
            self._haven = self._parting = None
        if self._is_alarmed:
            self._uncopied.update(dict.fromkeys(self._hands.spared(_WHY), 0.0))

    def _open(self, address: str) -> None:
        if observe.is_running(self._scheduler, address) and not self.keeps_closed(address):
            self._admission.open_worker(address)

    def _in_danger(self, row: Row, process: int) -> bool:
        reserved = row.capacity[MEMORY_AXIS] - row.burden - row.free[MEMORY_AXIS]
        stored = observe.stored(self._scheduler, row.address)
        return relief.in_danger(process, self._base(row.address), stored, reserved)

    # ------------------------------------------------------------------------------ all results
    def alarm(self) -> None:
        """Keep small results twice from now on: a worker is in danger, or was killed."""
        self._alarmed = monotonic()
        if not self._is_alarmed:
            self._is_alarmed = True
            self._uncopied.update(dict.fromkeys(observe.in_memory(self._scheduler), 0.0))

    def killed(self) -> None:
        """Take in that a worker was killed for its memory."""
        self._killed = (self._killed[1], monotonic())
        self.alarm()

    def done(self, key: Key) -> None:
        """Note a new result."""
        if self._is_alarmed:
            self._uncopied[key] = 0.0

    def tick(self, now: float) -> None:
        """Copy what came since the last time, or was not copied though it should have been; or end that."""
        if not self._is_alarmed or now < self._next:
            return
        self._next = now + _EVERY
        self._keep_haven(now)
        if now - self._alarmed > _CALM:
            self.end()
            return
        due = [key for key, at in self._uncopied.items() if at <= now]
        small = [one for one in observe.unique(self._scheduler, due, self._shelter) if one.size <= _SMALL]
        for key in due:
            del self._uncopied[key]
        # Once more until there are two: there may have been no room, or the other worker may die before it has it.
        self._uncopied.update((one.key, now + _AGAIN) for one in small)
        self._hand_out(small)

    def end(self) -> None:
        """Keep nothing twice any more: Dask drops the copies."""
        self._is_alarmed = False
        self._leave_haven()
        self._uncopied.clear()
        self._hands.spare_no_more(_WHY)

    def _keep_haven(self, now: float) -> None:
        """Spare one worker while others are killed, unless some task can run on no other."""
        stormy = now - self._killed[0] < 2 * _HAVEN and now - self._killed[1] < _HAVEN
        rows = [row for row in self._admission.ledger.open_rows() if not row.unlimited]
        if self._haven is None:
            if stormy and len(rows) >= _FEWEST and not self._admission.lacks_host():
                self._make_haven(min(rows, key=lambda row: (row.capacity[MEMORY_AXIS], row.active)))
        elif not stormy:
            self._part(now)
        elif self._parting is not None:
            self._make_haven(self._admission.ledger.rows[self._haven])
        elif len(rows) >= _FEWEST - 1 and self._admission.lacks_host():  # not because the others start again
            self._killed = _NEVER  # no other before more are killed
            self._leave_haven()

    def _make_haven(self, row: Row) -> None:
        self._haven, self._parting = row.address, None
        self._admission.close_worker(row.address)
        self._uncopied.update(dict.fromkeys(observe.in_memory(self._scheduler), 0.0))

    def _part(self, now: float) -> None:
        """Open the haven when others hold what it holds, or have had time for that: it may be killed from then on."""
        there = observe.in_memory(self._scheduler, self._haven)
        if self._parting is None:
            self._parting = now
            self._uncopied.update(dict.fromkeys(there, 0.0))
        elif now - self._parting > _HAVEN or not any(
            one.size <= _SMALL for one in observe.unique(self._scheduler, there)
        ):
            self._leave_haven()

    @property
    def _shelter(self) -> str | None:
        """Return the haven, while everything is to be there."""
        return self._haven if self._parting is None else None

    def _leave_haven(self) -> None:
        haven, self._haven, self._parting = self._haven, None, None
        if haven is not None:
            self._open(haven)

    def _hand_out(self, results: list[relief.Result]) -> None:
        rooms = {
            address: row.free[MEMORY_AXIS]
            for address, row in self._admission.ledger.rows.items()
            if address == self._shelter or (self._shelter is None and row.is_open and address not in self._strained)
        }
        for address, keys in relief.copies(results, rooms).items():
            self._hands.copy(address, keys, why=_WHY)
