"""Workers that were killed for their memory: who is tried again, with how much, and who is given up.

A nanny that ends its worker for its memory says so in an event of its own. That alone counts as such a kill: a
worker that is killed otherwise, also by the kernel, is one that died, and Dask counts that against its tasks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from dask.typing import Key
from distributed.scheduler import Scheduler

from supreme_dask.core import placement, reasons, verdicts
from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.kills import Suspect
from supreme_dask.core.rows import Reservation, Row
from supreme_dask.core.verdicts import Court, Verdict
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.act import Hands
from supreme_dask.scheduler.demands import Demands

log = logging.getLogger(__name__)

_LOST_WORKERS = 20  # remembered: the nanny's event may come after the end of its worker


class MemoryKills:
    """Decides what becomes of tasks whose worker was killed for its memory.

    Parameters
    ----------
    base
        Bytes that a worker's process takes itself, by address.

    Attributes
    ----------
    launchable : callable
        Returns the bytes for tasks of the largest worker that would be launched for what waits; 0 for none.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        admission: Admission,
        demands: Demands,
        hands: Hands,
        base: Callable[[str], int],
    ) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._demands = demands
        self._hands = hands
        self._base = base
        self.launchable: Callable[[], int] = lambda: 0
        self._court = Court(admission.ledger, admission.kinds)
        self._lost: dict[Row, _Lost] = {}

    def forget(self, key: Key) -> None:
        """Drop what is known of a task that is gone."""
        self._court.forget(key)

    def lose(self, reservation: Reservation) -> None:
        """Remember which tasks ran on a worker that is gone, until its nanny has had time to say why.

        Dask counts the death against every task that the worker had; those that waited there had no part in it.
        """
        row = reservation.row
        lost = self._lost.get(row)
        if lost is None:
            behind = {one.key for one in row.waiting}
            lost = self._lost[row] = _Lost(row.address, row.capacity[MEMORY_AXIS], behind)
        if reservation.key in lost.behind:
            self._hands.acquit([reservation.key])
        else:
            lost.suspects.extend(verdicts.suspects([reservation]))
        if len(self._lost) > _LOST_WORKERS:
            del self._lost[next(iter(self._lost))]

    def told(self, address: str, process: int) -> None:
        """Take in that a nanny ends its worker, whose process held so many bytes, or has just done so."""
        row = self._admission.ledger.rows.get(address)
        if row is not None:
            suspects = verdicts.suspects(row.tasks.values())
            self._hands.acquit(observe.processing(self._scheduler, address))
            used = process - self._base(address) - observe.stored(self._scheduler, address)
            self._judge(address, suspects, row.capacity[MEMORY_AXIS], used)
        elif (gone := next((one for one in self._lost if one.address == address), None)) is not None:
            lost = self._lost.pop(gone)
            keys = [one.key for one in lost.suspects]
            self._hands.acquit(keys)
            self._judge(address, lost.suspects, lost.capacity, 0)
            self._hands.release(observe.waiting(self._scheduler, keys))

    def overgrown(self, key: Key, address: str, process: int) -> None:
        """Take in that a worker ended the child processes of a task, and gives it back.

        Parameters
        ----------
        process
            Bytes that these held.
        """
        reservation = self._admission.ledger.reservations.get(key)
        if reservation is None or reservation.row.address != address:
            return
        suspects = self._known(verdicts.suspects([reservation]))
        if suspects:
            log.warning("%s", reasons.overgrown(str(key), process))
            self._court.expect(self.launchable())
            self._carry_out(self._court.judge(suspects, reservation.row.capacity[MEMORY_AXIS], process), suspects)

    def stopped(self, key: Key, address: str, *, held: int, asked: int, free: int) -> None:
        """Take in that a worker stopped a task which would have taken more memory than there was, and gives it back.

        Parameters
        ----------
        held, asked
            Bytes that the task had, and that it asked for when it was stopped (0 if that is not known).
        free
            Bytes that are free on the worker without it.
        """
        reservation = self._admission.ledger.reservations.get(key)
        if reservation is None or reservation.row.address != address:
            return
        row = reservation.row
        for one in self._known(verdicts.of(reservation)):
            log.info("%s", reasons.stopped(str(key), address, held, asked))
            verdict = self._court.stopped(one, self._largest_for(reservation), held, asked)
            if verdict.blamed is not None:
                self._carry_out(verdict, [one])
        # Until the next heartbeat: its like would be sent into the same wall.
        taken = row.free[MEMORY_AXIS] + reservation.memory - free
        if taken > 0:
            self._admission.ledger.set_burden(row, row.burden + taken)

    def _largest_for(self, reservation: Reservation) -> int:
        """Return the bytes of the largest worker on which a task may run."""
        ledger, shape = self._admission.ledger, reservation.shape
        rows = placement.permitted(ledger, shape) if shape is not None else []
        launched = 0 if shape is None or shape.is_bound else self.launchable()
        return max(launched, *(row.capacity[MEMORY_AXIS] for row in [reservation.row, *rows]))

    def _judge(self, address: str, suspects: list[Suspect], capacity: int, used: int) -> None:
        suspects = self._known(suspects)
        if suspects:
            self._court.expect(self.launchable())
            verdict = self._court.judge(suspects, capacity, used)
            blamed = None if verdict.blamed is None else str(verdict.blamed)
            log.warning("%s", reasons.killed(address, len(suspects), blamed))
            self._carry_out(verdict, suspects)

    def _known(self, suspects: list[Suspect]) -> list[Suspect]:
        """Return those that nobody has cancelled meanwhile."""
        return [one for one in suspects if one.key in self._scheduler.tasks]

    def _carry_out(self, verdict: Verdict, suspects: list[Suspect]) -> None:
        if verdict.blamed is None:
            self._demands.alone.update(one.key for one in suspects)
        elif verdict.size is None:
            self._demands.refuse(verdict.blamed, MemoryError(verdict.refused))
        else:
            self._demands.enlarge(self._scheduler.tasks[verdict.blamed], verdict.size)
            if verdict.last:
                self._demands.alone.add(verdict.blamed)
                self._demands.last.add(verdict.blamed)


class _Lost:
    """A worker that is gone: what it had for tasks, which of them waited there, and which ran."""

    def __init__(self, address: str, capacity: int, behind: set[Key]) -> None:
        self.address = address
        self.capacity = capacity
        self.behind = behind
        self.suspects: list[Suspect] = []
