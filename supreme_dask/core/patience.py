"""What becomes of those who wait too long.

A task that is passed over is promised a worker; so is one that would end when all else is done. A type that nobody
has measured may probe on more workers the longer its first probe takes, and in the end beside others: those may be
waiting for it. Tasks that wait on a worker behind one that turned out long are taken back when another worker idles.
Tasks that no worker could ever run are reported, and fail only if the operator says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from supreme_dask.core import placement, reasons
from supreme_dask.core.axes import CORE, CPU_AXIS, THREADS_AXIS
from supreme_dask.core.instructions import Fail, Instruction, Recall, Settings, Warn
from supreme_dask.core.kinds import Kinds
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.queues import Queues
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Shape

_STALL = 0.1  # seconds without a short task ending on a worker that has some waiting
_PACES = 2.0  # how many usual task durations a task may be passed over
_BLOCKED = 10.0  # patiences after which tasks that run may be waiting for those that do not
_BUSY = 6.0  # times as long where the worker computes: another task of its process may, or one that is still growing
_FEW = 8
_REPORT = 0.5


class Patience:
    """Watches the waiting on behalf of `Admission`.

    Attributes
    ----------
    pace : float
        Usual duration of a task, in seconds; exponentially weighted over those that ended.
    """

    def __init__(self, ledger: Ledger, queues: Queues, kinds: Kinds, settings: Settings) -> None:
        self.pace = 0.0
        self._ledger = ledger
        self._queues = queues
        self._kinds = kinds
        self._settings = settings
        self._promised: dict[Row, Shape] = {}
        self._next_report = 0.0

    def tick(self, now: float) -> list[Instruction]:
        """Return what is to be done for those who have waited too long at the time `now`."""
        self._widen_probes(now)
        self._unblock(now)
        self._keep_promises(now)
        return [*self._recalls(now), *self._report_infeasible(now)]

    def lacks_host(self) -> bool:
        """Tell whether something waits that no open worker could run, even if nothing else ran there."""
        return any(not self._has_host(shape) for shape in self._queues.in_order())

    # ----------------------------------------------------------------------------------- probes
    def _widen_probes(self, now: float) -> None:
        for kind in self._kinds:
            if kind.probes and now - max(kind.probes.values()) > self._settings.patience:
                kind.quota = 2 * len(kind.probes)
                self._ledger.gained.update((row, None) for row in self._ledger.open_rows() if not row.active)

    def _unblock(self, now: float) -> None:
        """Let tasks of unknown memory run beside others on workers where nothing has moved for long.

        Tasks talk to each other, by events, locks and queues. One that has a worker to itself until it was measured,
        and waits there for another, would wait for ever.
        """
        long = max(_BLOCKED * self._settings.patience, _BLOCKED * self.pace)
        waiting = [shape for shape in self._queues.in_order() if now - shape.since > long]
        blocked = (
            [row for row in self._ledger.open_rows() if row.active and _is_quiet(row, now, long)] if waiting else []
        )
        if not blocked:
            return
        for row in blocked:
            self._ledger.trust_heartbeats(row)
        for shape in waiting:
            if shape.probing:
                self._kinds.assume(shape.type)
                self._ledger.gained.update((row, None) for row in blocked)

    # --------------------------------------------------------------------------------- promises
    def _keep_promises(self, now: float) -> None:
        self._end_promises()
        patience = max(self._settings.patience, _PACES * self.pace)
        allowed = max(1, len(self._ledger.rows) // _FEW)
        backlog = sum(shape.count * shape.rank for shape in self._queues.in_order())
        promised = Counter(self._promised.values())
        for shape in islice(self._queues.in_order(), _FEW):
            if len(self._promised) >= allowed:
                # Nor may all drain for those that would end last: while work goes on to come, nothing does.
                return
            passed_over = now - shape.since > patience and not promised[shape]
            if (passed_over or _ends_last(shape, promised[shape], backlog)) and self._may_be_promised(shape):
                self._promise(shape)

    def _may_be_promised(self, shape: Shape) -> bool:
        return not shape.short and self._kinds.may_start(shape) and self._has_host(shape)

    def _end_promises(self) -> None:
        for row, shape in list(self._promised.items()):
            if row.promise is None or row.promise.shape is not shape:
                del self._promised[row]
            elif not shape.count:
                del self._promised[row]
                self._ledger.end_promise(row)

    def _promise(self, shape: Shape) -> None:
        free = [row for row in placement.hosts(self._ledger, shape) if row.promise is None]
        if free:
            row = max(free, key=lambda row: placement.freedom(row, shape.need))
            self._ledger.promise(row, shape, shape.need)
            self._promised[row] = shape

    # ---------------------------------------------------------------------------------- recalls
    def _recalls(self, now: float) -> Iterator[Recall]:
        late = [row for row in self._ledger.open_rows() if row.behind and self._is_late(row, now)]
        if late and self._somebody_idles():
            for row in late:
                waiting = [key for key, reservation in row.tasks.items() if reservation.short][row.lanes :]
                yield Recall(row.address, waiting)
                row.progress = now  # ask again only after as long a wait

    def _is_late(self, row: Row, now: float) -> bool:
        if now - row.progress > _STALL:
            for name in {res.shape.type for res in row.tasks.values() if res.short and res.shape is not None}:
                self._kinds.stalled(name, now - row.progress)
            return True
        return any(res.short and res.shape is not None and not res.shape.short for res in row.tasks.values())

    def _somebody_idles(self) -> bool:
        thread = ((THREADS_AXIS, 1), (CPU_AXIS, CORE))
        return next(iter(self._ledger.rows_fitting(thread)), None) is not None

    # ------------------------------------------------------------------------------- infeasible
    def _report_infeasible(self, now: float) -> Iterator[Instruction]:
        if now < self._next_report or not self._ledger.rows:
            return
        self._next_report = now + _REPORT
        timeout = self._settings.infeasible_timeout
        for shape in list(self._queues.in_order()):
            if self._has_host(shape):
                shape.infeasible_since = None
            elif shape.infeasible_since is None:
                shape.infeasible_since = now
                yield Warn(self._why(shape), shape.is_bound)
            elif timeout is not None and now - shape.infeasible_since > timeout:
                yield Fail(shape.keys(), reasons.gave_up(timeout, self._why(shape)))

    def _has_host(self, shape: Shape) -> bool:
        seen = (self._ledger.version, shape.need)
        if shape.hosts_seen != seen:
            shape.hosts_seen, shape.has_host = seen, bool(placement.hosts(self._ledger, shape))
        return shape.has_host

    def _why(self, shape: Shape) -> str:
        return reasons.waiting(shape.type, placement.refuse(self._ledger, shape))


def _is_quiet(row: Row, now: float, seconds: float) -> bool:
    return now - row.progress > (_BUSY * seconds if row.busy else seconds)


def _ends_last(shape: Shape, promised: int, backlog: float) -> bool:
    """Tell whether the tasks of a shape would still run when all other work is done.

    Largest first needs room for the largest while there is other work to put beside it. `backlog` is the seconds in
    which the whole cluster could do all that waits.
    """
    return shape.count * shape.duration > max(shape.running + promised, 1) * backlog
