"""Workers that were killed for their memory: who is tried again, with how much, and who is given up.

A nanny that ends its worker for its memory says so in an event of its own. That alone counts as such a kill: a
worker that is killed otherwise, also by the kernel, is one that died, and Dask counts that against its tasks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dask.typing import Key
from distributed.scheduler import Scheduler

from supreme_dask.core import kills, reasons
from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.kills import Suspect
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.rows import Reservation
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.act import Hands
from supreme_dask.scheduler.demands import Demands

log = logging.getLogger(__name__)

EVENT = "worker-restart-memory"
_LOST_WORKERS = 20  # remembered: the nanny's event may come after the end of its worker


class MemoryKills:
    """Decides what becomes of tasks whose worker was killed for its memory.

    Parameters
    ----------
    base
        Bytes that a worker's process takes itself, by address.
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
        self._tried: dict[Key, list[int]] = {}
        self._lost: dict[str, tuple[int, list[Suspect]]] = {}
        self._largest = 0  # bytes for tasks of the largest worker ever seen; it may just be starting again

    def forget(self, key: Key) -> None:
        """Drop what is known of a task that is gone."""
        self._tried.pop(key, None)

    def lose(self, reservation: Reservation) -> None:
        """Remember who ran on a worker that is gone, until its nanny has had time to say why."""
        row = reservation.row
        _, suspects = self._lost.setdefault(row.address, (row.capacity[MEMORY_AXIS], []))
        suspects.extend(_suspects([reservation]))
        if len(self._lost) > _LOST_WORKERS:
            del self._lost[next(iter(self._lost))]

    def told(self, event: Mapping[str, Any]) -> None:
        """Take in that a nanny ends its worker for its memory, or has just done so."""
        address = event["worker"]
        row = self._admission.ledger.rows.get(address)
        if row is not None:
            suspects = _suspects(row.tasks.values())
            self._hands.acquit(observe.processing(self._scheduler, address))
            used = event["rss"] - self._base(address) - observe.stored(self._scheduler, address)
            self._judge(address, suspects, row.capacity[MEMORY_AXIS], used)
        elif address in self._lost:
            capacity, suspects = self._lost.pop(address)
            self._hands.acquit([one.key for one in suspects])
            self._judge(address, suspects, capacity, 0)
            self._hands.release(observe.waiting(self._scheduler, [one.key for one in suspects]))

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
        for one in self._note(_suspects([reservation]), reservation.row.capacity[MEMORY_AXIS]):
            log.warning("%s", reasons.overgrown(str(key), process))
            self._blame(one, max(process, one.reserved))

    def _judge(self, address: str, suspects: list[Suspect], capacity: int, used: int) -> None:
        suspects = self._note(suspects, capacity)
        if not suspects:
            return
        blamed = kills.culprit(suspects)
        log.warning("%s", reasons.killed(address, len(suspects), None if blamed is None else str(blamed.key)))
        if blamed is None:
            self._demands.alone.update(one.key for one in suspects)
        else:
            self._blame(blamed, max(used, blamed.reserved))

    def _note(self, suspects: list[Suspect], capacity: int) -> list[Suspect]:
        """Remember what was tried, and where; return those that nobody has cancelled meanwhile."""
        rows = self._admission.ledger.rows.values()
        self._largest = max(self._largest, capacity, *(row.capacity[MEMORY_AXIS] for row in rows))
        found = [one for one in suspects if one.key in self._scheduler.tasks]
        for one in found:
            self._tried.setdefault(one.key, []).append(one.reserved)
        return found

    def _blame(self, blamed: Suspect, peak: int) -> None:
        profile = self._admission.kinds[blamed.type].profile
        size = kills.larger(blamed.reserved, profile.retry(peak), self._largest)
        wall = profile.duration or 1.0
        self._admission.kinds.learn(blamed.type, Measurement(wall, memory=peak, inputs=blamed.inputs, killed=True))
        if size is None:
            sentence = reasons.too_large(str(blamed.key), peak, self._tried[blamed.key], self._largest)
            self._demands.refuse(blamed.key, MemoryError(sentence))
        else:
            self._demands.enlarge(self._scheduler.tasks[blamed.key], size)


def _suspects(reservations: Iterable[Reservation]) -> list[Suspect]:
    """Return those that ran; short ones mostly wait for their turn, and count only if nobody else is there."""
    found = [one for one in reservations if one.shape is not None and one.running]
    long = [one for one in found if not one.short]
    return [
        Suspect(one.key, one.shape.type, _reserved(one), one.shape.size)
        for one in long or found
        if one.shape is not None
    ]


def _reserved(one: Reservation) -> int:
    """Return the bytes that a task had: of unknown memory, all that there were."""
    return one.row.capacity[MEMORY_AXIS] if one.guessed else dict(one.need).get(MEMORY_AXIS, 0)
