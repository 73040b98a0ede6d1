"""What becomes of tasks that wait too long.

A task that is passed over is promised a worker, for as long as that is likely to help; so is one that would end when
all else is done. Tasks may wait for each other, by events, queues or results, so no reservation keeps another task
waiting without end: what takes far longer than its like, and does not hold what it has reserved, lends that. Tasks
that wait on a worker are taken back when another idles. Tasks that no worker could ever run are reported, and fail
only if the operator says so.

Where types of unknown memory run alone, more of them may the longer the first takes, and in the end beside others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator
from itertools import islice

from supreme_dask.core import placement, reasons
from supreme_dask.core.axes import CORE, CPU_AXIS, MEMORY_AXIS, THREADS_AXIS, within
from supreme_dask.core.instructions import Fail, Instruction, Recall, Settings, Warn
from supreme_dask.core.kinds import Kinds
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.queues import Queues
from supreme_dask.core.rows import Reservation, Row
from supreme_dask.core.shapes import Shape

_STALL = 0.1  # seconds that tasks wait on a worker where none has ended, before an idle one may have them
_PACES = 2.0  # how many usual task durations a task may be passed over
_OVERDUE = 2.0  # expected durations after which a task may be waiting for others
_DECLARED = 5.0  # times as long for one whose memory its user has declared
_BUSY = 6.0  # times as long where nothing stops a task that grows, and the worker computes: it may be growing
_BLOCKED = 10.0  # patiences after which that is so at the earliest, and types of unknown memory no longer run alone
_LONGEST = 6  # doublings of the pause after promises in vain
_FEW = 8
_REPORT = 0.5  # seconds between two looks at every worker
_NAMED = 20  # sorts of tasks of which it is said by name why no worker could run them

_Sort = tuple[Hashable, ...]


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
        self._infeasible: dict[_Sort, Shape] = {}  # of each sort of tasks that no worker could run, one
        self._next_lending = 0.0

    def tick(self, now: float) -> list[Instruction]:
        """Return what is to be done for those who have waited too long at the time `now`."""
        self._widen_probes(now)
        self._lend(now)
        self._keep_promises(now)
        return [*self._recalls(now), *self._report_infeasible(now)]

    def lacks_host(self) -> bool:
        """Tell whether something waits that no open worker could run, even if nothing else ran there."""
        return any(not self.has_host(shape) for shape in self._queues.in_order())

    # ----------------------------------------------------------------------------------- probes
    def _widen_probes(self, now: float) -> None:
        for kind in self._kinds:
            if kind.probes and now - max(kind.probes.values()) > self._settings.patience:
                kind.quota = 2 * len(kind.probes)
                self._ledger.gained.update((row, None) for row in self._ledger.open_rows() if not row.active)

    # ---------------------------------------------------------------------------------- lending
    def _lend(self, now: float) -> None:
        """Let tasks have the memory that others have reserved and do not hold though they run long."""
        if now < self._next_lending:
            return
        self._next_lending = now + _REPORT
        waiting = [shape for shape in self._queues.in_order() if now - shape.since > self._settings.patience]
        if not waiting:
            return
        for row in self._ledger.open_rows():
            behind = row.waiting
            for one in list(row.tasks.values()):
                if not one.lent and self._is_overdue(one, now) and one not in behind:
                    self._ledger.lend(one)
            self._ledger.set_stuck(row, row.active > 0 and all(one.lent for one in row.tasks.values() if one.running))
        for shape in waiting:
            if now - shape.since > _BLOCKED * self._settings.patience:
                self._concede(shape)

    def _concede(self, shape: Shape) -> None:
        """Let a task that waits for an undeclared amount of memory try with a little less than its like need.

        What runs may never end. A task that needs more is stopped, and has lost its own attempt.
        """
        if shape.probing and not shape.alone:
            self._kinds.assume(shape.type)
        elif not self._kinds.cautious:
            rows = placement.hosts(self._ledger, shape)
            row = max(rows, key=lambda row: self._ledger.room(row)[MEMORY_AXIS], default=None)
            if row is not None:
                self._kinds.concede(shape, self._ledger.room(row)[MEMORY_AXIS])

    def _is_overdue(self, reservation: Reservation, now: float) -> bool:
        shape = reservation.shape
        if shape is None or not reservation.running:
            return False
        expected = max(self._settings.patience, _OVERDUE * shape.duration)
        if shape.declares_memory:
            expected *= _DECLARED
        if self._kinds.cautious:
            expected = max(expected, _BLOCKED * self._settings.patience) * (_BUSY if reservation.row.busy else 1.0)
        return now - reservation.since > expected

    # --------------------------------------------------------------------------------- promises
    def _keep_promises(self, now: float) -> None:
        self._end_promises(now)
        patience = max(self._settings.patience, _PACES * self.pace)
        allowed = max(1, len(self._ledger.rows) // _FEW)
        backlog = sum(shape.count * shape.rank for shape in self._queues.in_order())
        promised = Counter(self._promised.values())
        first = next(self._queues.in_order(), None)
        for shape in islice(self._queues.in_order(), _FEW):
            if len(self._promised) >= allowed or first is None or shape.user_priority != first.user_priority:
                # Nor may all drain for those that would end last: while work goes on to come, nothing does.
                return
            passed_over = now - shape.since > patience and not promised[shape]
            if (passed_over or _ends_last(shape, promised[shape], backlog)) and self._may_be_promised(shape, now):
                self._promise(shape, now)

    def _may_be_promised(self, shape: Shape, now: float) -> bool:
        if shape.short or now < shape.promise_after:
            return False
        if shape.laned and any(within(shape.rest, row.free) for row in self._ledger.open_rows()):
            return False  # it lacks a thread only, and gets the next in its turn
        return self._kinds.may_start(shape) and self.has_host(shape)

    def _end_promises(self, now: float) -> None:
        for row, shape in list(self._promised.items()):
            if row.promise is None or row.promise.shape is not shape:
                del self._promised[row]
            elif now > row.promise.until:
                del self._promised[row]
                # Each in vain lets others run for twice as long before the next: what runs here may never end.
                shape.promises += 1
                shape.promise_after = now + self._settings.patience * 2 ** min(shape.promises, _LONGEST)
                self._ledger.end_promise(row)
            elif not shape.count or row.promise.need != shape.need:
                del self._promised[row]
                self._ledger.end_promise(row)

    def _promise(self, shape: Shape, now: float) -> None:
        free = [row for row in placement.hosts(self._ledger, shape) if row.promise is None]
        if free:
            row = max(free, key=lambda row: placement.freedom(row, shape.need))
            self._ledger.promise(row, shape, now + self._drains_within(row, now))
            self._promised[row] = shape

    def _drains_within(self, row: Row, now: float) -> float:
        """Return the seconds in which what runs on a row ought to have ended."""
        running = ((one.since, one.shape) for one in row.tasks.values() if one.shape is not None)
        left = (since + _OVERDUE * shape.duration - now for since, shape in running)
        return self._settings.patience + max(0.0, max(left, default=0.0))

    # ---------------------------------------------------------------------------------- recalls
    def _recalls(self, now: float) -> Iterator[Recall]:
        """Take tasks back that wait on a worker where none has ended for a while, if an idle one could run them."""
        late = [row for row in self._ledger.open_rows() if row.behind and self._is_late(row, now)]
        found = self._ledger.rows_fitting(((THREADS_AXIS, 1), (CPU_AXIS, CORE))) if late else ()
        idle = list(islice(found, _FEW))
        threads = sum(row.free[THREADS_AXIS] for row in idle)
        for row in late if idle else ():
            behind = islice(row.waiting, _FEW * _FEW)
            keys = [one.key for one in behind if any(self._gains(one, other, now) for other in idle)][:threads]
            if keys:
                threads -= len(keys)
                row.progress = now  # ask again only after as long a wait
                yield Recall(row.address, keys)

    def _is_late(self, row: Row, now: float) -> bool:
        if now - row.progress > _STALL:
            for name in {one.shape.type for one in row.tasks.values() if one.laned and one.shape and one.shape.short}:
                self._kinds.stalled(name, now - row.progress)
            return True
        return any(one.shape is not None and not one.shape.short for one in row.waiting)

    def _gains(self, reservation: Reservation, idle: Row, now: float) -> bool:
        """Tell whether a task that waits on a worker may run on an idle one, and need not stay for its inputs."""
        shape, inputs = reservation.shape, reservation.inputs
        if shape is None or not within(shape.need, self._ledger.room(idle)):
            return False
        return inputs is None or not placement.waits_for_inputs(self._ledger, idle, shape, inputs, now)

    # ------------------------------------------------------------------------------- infeasible
    def _report_infeasible(self, now: float) -> Iterator[Instruction]:
        if now < self._next_report or not self._ledger.rows:
            return
        self._next_report = now + _REPORT
        timeout = self._settings.infeasible_timeout
        before, self._infeasible = self._infeasible, {}
        for shape in list(self._queues.in_order()):
            if self.has_host(shape):
                shape.infeasible_since = None
                continue
            if shape.infeasible_since is None:
                shape.infeasible_since = now
            if timeout is not None and now - shape.infeasible_since > timeout:
                yield Fail(shape.keys(), reasons.gave_up(timeout, self._why(shape)))
            else:
                self._infeasible.setdefault(_sort(shape), shape)
        yield from self._warn_of_infeasible(before)

    def _warn_of_infeasible(self, before: Collection[_Sort]) -> Iterator[Warn]:
        """Warn of each sort once, of the first ones by name: those of other amounts have the same trouble."""
        for sort, shape in islice(self._infeasible.items(), _NAMED):
            if sort not in before:
                yield Warn(self._why(shape), shape.is_bound)
        more, fewer = len(self._infeasible) - _NAMED, len(before) - _NAMED
        if more > 0 and (fewer <= 0 or reasons.further(more) != reasons.further(fewer)):
            yield Warn(reasons.further(more), bound=False)

    def has_host(self, shape: Shape) -> bool:
        """Tell whether some open worker could run a shape, if nothing else ran there."""
        seen = (self._ledger.version, shape.need)
        if shape.hosts_seen != seen:
            shape.hosts_seen, shape.has_host = seen, bool(placement.hosts(self._ledger, shape))
        return shape.has_host

    def _why(self, shape: Shape) -> str:
        return reasons.waiting(shape.type, placement.refuse(self._ledger, shape))


def _sort(shape: Shape) -> _Sort:
    return shape.type, shape.is_bound, *(axis for axis, _ in shape.need)


def _ends_last(shape: Shape, promised: int, backlog: float) -> bool:
    """Tell whether the tasks of a shape would still run when all other work is done.

    Largest first needs room for the largest while there is other work to put beside it. `backlog` is the seconds in
    which the whole cluster could do all that waits.
    """
    return shape.count * shape.duration > max(shape.running + promised, 1) * backlog
