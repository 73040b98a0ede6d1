"""How much memory each worker has for tasks, kept true by its heartbeats.

The budget of a worker is ``limit × safe fraction − base``: the base is what its process takes when it runs and
stores nothing. Its burden is what it stores, plus growth that nobody reserved: a leak, or a task that takes more
than it was expected to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from distributed.scheduler import WorkerState

from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.rows import Row
from supreme_dask.scheduler import observe

log = logging.getLogger(__name__)

_NOISE = 8 << 20  # bytes by which a process may grow before its base is set anew
_DRIFT = 0.25  # part of a grown base that is believed at once: an allocator gives memory back late


class MemoryWatch:
    """Watches the memory of all workers on behalf of the ledger.

    Parameters
    ----------
    admission
        Whose workers are kept true.
    safe_fraction
        Part of a worker's memory limit that may be filled.
    network
        Bytes per second of a worker that declares none.
    """

    def __init__(self, admission: Admission, safe_fraction: float, network: int) -> None:
        self._admission = admission
        self._safe_fraction = safe_fraction
        self._network = network
        self._watched: dict[str, _Watched] = {}

    def join(self, ws: WorkerState) -> Row:
        """Note a worker that joined."""
        for error in observe.misdeclared(ws):
            log.warning("Worker %s declares what cannot be, and is taken to have none of it: %s", ws.address, error)
        self._watched[ws.address] = _Watched(observe.unmanaged(ws))
        return self._resize(ws)

    def leave(self, address: str) -> None:
        """Forget a worker that is gone."""
        self._watched.pop(address, None)
        self._admission.remove_worker(address)

    def base(self, address: str) -> int:
        """Return the bytes that a worker's process takes when it runs and stores nothing."""
        watched = self._watched.get(address)
        return watched.base if watched is not None else 0

    def stored(self, ws: WorkerState, row: Row, held: int | None = None) -> None:
        """Note what a worker stores, after a result was added or dropped.

        Parameters
        ----------
        held
            Bytes that its process holds with nothing running, if it has just said so. What a task imports stays;
            no heartbeat would tell before the worker rests.
        """
        if row.unlimited:
            return
        watched = self._watched[ws.address]
        if held is not None and abs(held - observe.managed(ws) - watched.base) > _NOISE:
            watched.base = max(held - observe.managed(ws), 0)
            self._resize(ws)
        self._admission.ledger.set_burden(row, watched.growth + observe.managed(ws))

    def look(self, workers: Iterable[WorkerState]) -> None:
        """Take in the heartbeats that came since the last look."""
        rows = self._admission.ledger.rows
        for ws in workers:
            watched = self._watched.get(ws.address)
            if watched is not None and watched.seen != ws.last_seen:
                watched.seen = ws.last_seen
                self._heartbeat(ws, rows[ws.address], watched)

    def _heartbeat(self, ws: WorkerState, row: Row, watched: _Watched) -> None:
        row.busy = observe.is_busy(ws)
        if watched.resources != ws.resources or row.threads != ws.nthreads:
            self._resize(ws)
        if row.unlimited:
            return
        self._admission.ledger.set_stake(row, observe.redo(ws))
        unmanaged = observe.unmanaged(ws)
        # The first heartbeat after a task may still count what the task took.
        if not row.tasks and watched.progress == row.progress and self._settle_base(watched, unmanaged):
            self._resize(ws)
        watched.progress = row.progress
        reserved = row.capacity[MEMORY_AXIS] - row.burden - row.free[MEMORY_AXIS]
        growth = max(unmanaged - watched.base - reserved, 0)
        self._admission.ledger.set_unbacked(row, max(reserved + watched.base - unmanaged, 0))
        # The lower of two heartbeats: one may still count a task that ended a moment before it.
        watched.growth, watched.last = min(growth, watched.last), growth
        self.stored(ws, row)

    def _settle_base(self, watched: _Watched, unmanaged: int) -> bool:
        if unmanaged < watched.base:
            watched.base = unmanaged
            return True
        if unmanaged - watched.base > _NOISE:
            watched.base += int(_DRIFT * (unmanaged - watched.base))
            return True
        return False

    def _resize(self, ws: WorkerState) -> Row:
        watched = self._watched[ws.address]
        watched.resources = dict(ws.resources)
        capacity = observe.capacity(ws, watched.base, self._safe_fraction, self._network)
        return self._admission.add_worker(ws.address, ws.host, ws.nthreads, capacity)


class _Watched:
    """What is known of one worker's memory, in bytes."""

    __slots__ = ("base", "growth", "last", "progress", "resources", "seen")

    def __init__(self, base: int) -> None:
        self.base = base
        self.growth = 0
        self.last = 0
        self.progress = 0.0  # of its row, at the last heartbeat
        self.seen = 0.0
        self.resources: dict[str, float] = {}
