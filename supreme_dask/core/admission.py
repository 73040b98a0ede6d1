"""Which task runs where, and which waits: events in, instructions out.

A task is admitted to a worker where it fits now, or held. One task may wait on each worker behind those that run
there, so that no thread is idle for a message; of types that are measured to be short many may, and they are sent in
batches, because small messages cost more than decisions. A task waits for the worker that has its inputs where it
would start there sooner than they could be fetched.

See `queues` for the order, `placement` for the choice of a worker, `patience` for tasks that wait long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from supreme_dask.core import placement
from supreme_dask.core.axes import IDLE_AXIS, MEMORY_AXIS, THREADS_AXIS, Need, within
from supreme_dask.core.instructions import Instruction, Placed, Settings
from supreme_dask.core.keys import Key
from supreme_dask.core.kinds import Kinds
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.patience import Patience
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.queues import Queues
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Inputs, Shape, Task, Waiting
from supreme_dask.core.snapshot import Snapshot, take

_PACE = 0.05

_Goals = dict[Shape | str, int]
"""How many tasks may be on a row: by shape, and the fair part of each type."""


class Admission:
    """The queues, and the ledger that they draw on. It has one owner, who brings the time.

    Parameters
    ----------
    settings
        What an operator may change.

    Attributes
    ----------
    ledger : Ledger
        What is free where. Workers are added, resized and removed through `Admission`.
    considered : int
        Shapes looked at since the start: a measure of work that does not depend on the machine.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.ledger = Ledger()
        self.queues = Queues()
        self.kinds = Kinds(self.ledger, self.settings)
        self.considered = 0
        self._patience = Patience(self.ledger, self.queues, self.kinds, self.settings)
        self._start = 0
        self._postponed = False  # whether a task stayed behind for its inputs

    # ---------------------------------------------------------------------------------- workers
    def add_worker(self, address: str, host: str, threads: int, capacity: Mapping[str, int]) -> Row:
        """Note a worker that joined, or what an earlier one has now."""
        row = self.ledger.rows.get(address)
        if row is None:
            row = self.ledger.add_row(address, host, threads, capacity)
        else:
            self.ledger.resize(row, threads, capacity)
        self._workers_changed()
        return row

    def remove_worker(self, address: str) -> None:
        """Forget a worker that is gone."""
        row = self.ledger.rows.get(address)
        if row is not None:
            for key in row.tasks:
                self._end_probe(key)
            self.ledger.remove_row(row)
            self._workers_changed()
            self._loosen()

    def close_worker(self, address: str) -> None:
        """Place nothing more on a worker that pauses or leaves; what runs there goes on."""
        self.ledger.close_row(self.ledger.rows[address])
        self._workers_changed()
        self._loosen()

    def open_worker(self, address: str) -> None:
        """Let tasks be placed on a worker (again)."""
        self.ledger.open_row(self.ledger.rows[address])
        self._workers_changed()

    # ------------------------------------------------------------------------------ tasks come
    def arrive(self, task: Task, now: float) -> str | None:
        """Admit a task that became ready and return the address of its worker; or hold it, and return None.

        It never overtakes a task that the user put before it, nor one of its own shape.
        """
        shape = self.kinds.shape(task)
        # While no worker gained room, those before it have been looked at: they fit nowhere.
        overtakes = bool(self.ledger.gained) and self.queues.any_before(task.priority[0])
        if overtakes and not shape.count:
            self._look_everywhere()
        elif not shape.count and self.kinds.may_start(shape):
            row = placement.pick(self.ledger, shape, task.inputs, self._start)
            if row is not None and not self._stays(row, shape, task.inputs, now):
                self._start = row.index + 1
                self._admit(task.key, shape, task.inputs, row, now)
                return row.address
        self._note_waiting(shape, task.inputs, now)
        self.queues.push(task, shape)
        return None

    def occupy(self, task: Task, address: str, now: float) -> None:
        """Note a task that a worker has already: it was placed before we came."""
        self._admit(task.key, self.kinds.shape(task), task.inputs, self.ledger.rows[address], now)

    def keep_actor(self, key: Key, demand: Mapping[str, int], address: str) -> None:
        """Note an actor that lives on a worker already."""
        self.ledger.reserve(key, self.ledger.rows[address], self.ledger.need(demand, threads=0))

    def feeds(self, key: Key) -> None:
        """Note that a waiting task has a result that others need."""
        shape = self.queues.shape_of(key)
        if shape is not None and not shape.feeds:
            shape.feeds = self.kinds.reranked = True

    # -------------------------------------------------------------------------------- tasks end
    def finish(self, key: Key, measurement: Measurement | None, now: float) -> None:
        """Give back what a task held; learn from it, unless nothing is to be learned."""
        reservation = self.ledger.release(key)
        if reservation is None or reservation.shape is None:
            return
        shape, row = reservation.shape, reservation.row
        row.progress = now
        self._end_probe(key, shape)
        if measurement is not None:
            if reservation.fetched:
                measurement = replace(measurement, fetched=reservation.fetched)
            self._patience.pace += _PACE * (measurement.wall - self._patience.pace)
            if self.kinds.learn(shape.type, measurement):
                self._wake(shape)

    def abandon(self, key: Key) -> None:
        """Keep what a cancelled task holds until `settle`: its thread may still run."""
        reservation = self.ledger.reservations.get(key)
        if reservation is not None:
            self._end_probe(key, reservation.shape)
            self.ledger.abandon(key)

    def secede(self, key: Key) -> None:
        """Give back the thread, the cpu and the memory of a task that left its worker's pool of threads."""
        reservation = self.ledger.reservations[key]
        self._end_probe(key, reservation.shape)
        self.ledger.secede(key)

    def grown(self, key: Key, address: str, held: int) -> None:
        """Note that a running task holds so many bytes by now: others cannot have them."""
        reservation = self.ledger.reservations.get(key)
        if reservation is None or reservation.row.address != address or reservation.shape is None:
            return
        if held > reservation.memory:
            self.ledger.set_memory(reservation, held)
        if reservation.guessed:
            self.kinds.seen(reservation.shape.type, held)

    def drop(self, key: Key) -> None:
        """Forget a waiting task."""
        self.queues.remove(key)

    # ------------------------------------------------------------------------------- decisions
    def fill(self, now: float) -> list[Placed]:
        """Admit waiting tasks to the workers that gained room, and say where they go."""
        if self.kinds.reranked:
            self.kinds.reranked = False
            self.queues.rank()
        gained = self.ledger.gained
        placed: list[Placed] = []
        while gained and self.queues:
            row = next(iter(gained))
            del gained[row]
            self._fill_row(row, placed, now)
        gained.clear()
        return placed

    def tick(self, now: float) -> list[Instruction]:
        """Look after tasks that wait long; to be called every 50 ms or so, before `fill`."""
        if self._postponed or any(shape.is_loose for shape in self.queues.in_order()):
            self._postponed = False
            self.ledger.gained.update((row, None) for row in self.ledger.open_rows() if row.free[THREADS_AXIS] > 0)
        return self._patience.tick(now)

    def lacks_host(self) -> bool:
        """Tell whether something waits that no open worker could run, even if nothing else ran there."""
        return self._patience.lacks_host()

    def has_host(self, key: Key) -> bool:
        """Tell whether some open worker could run a waiting task, if nothing else ran there."""
        shape = self.queues.shape_of(key)
        return shape is not None and self._patience.has_host(shape)

    def snapshot(self, now: float, more: Callable[[Row], Mapping[str, Any]] | None = None) -> Snapshot:
        """Return the cluster as it is at the time `now`, with what `more` says of workers; see `snapshot.take`."""
        return take(self.ledger, self.queues, now, *([more] if more else []))

    # ----------------------------------------------------------------------------------- inside
    def _note_waiting(self, shape: Shape, inputs: Inputs | None, now: float) -> None:
        """Let workers look that may run one more task of a shape though nothing has changed there."""
        if not shape.count:
            shape.since = now
            shape.infeasible_since = None
            if shape.laned:
                self.ledger.gained.update(self.ledger.hungry)
            if shape.is_loose:
                self._look_everywhere()
        elif inputs is not None:
            home = self.ledger.rows.get(inputs.home)
            if home is not None and home.is_open and not shape.count_at(home.address):
                self.ledger.gained[home] = None  # those before it have their inputs elsewhere

    def _fill_row(self, row: Row, placed: list[Placed], now: float) -> None:
        goals: _Goals = {}
        while (choice := self._next(row, goals, now)) is not None:
            shape, entry = choice
            self.queues.remove(entry.key)
            self._admit(entry.key, shape, entry.inputs, row, now)
            placed.append(Placed(entry.key, row.address))
        self.ledger.set_refill(row)

    def _next(self, row: Row, goals: _Goals, now: float) -> tuple[Shape, Waiting] | None:
        """Return the waiting task that goes next on a row, and its shape."""
        room, free = self.ledger.room(row), row.free
        # What waits on the worker gets its next thread, so nothing may that comes after a task which lacks only that.
        thread_wanted = False
        for shape in self.queues.in_order():
            self.considered += 1
            entry = None
            if within(shape.need, room):
                entry = self._fitting_head(row, shape, now)
            elif not within(shape.rest, free):
                continue
            elif not shape.laned:
                thread_wanted = thread_wanted or row.behind > 0
            elif not thread_wanted:
                # Its memory would lie idle there: no long one waits there while another task lacks memory.
                roomy = shape.short or self._all_have_memory(row)
                thread_wanted = not roomy or row.laned >= self._goal(row, shape, goals)
                entry = None if thread_wanted else self._look_ahead(row, shape, now)
            if entry is not None:
                return shape, entry
        return None

    def _fitting_head(self, row: Row, shape: Shape, now: float) -> Waiting | None:
        entry = shape.head(row.address)
        if entry is None or not self.kinds.may_start(shape):
            return None
        if not placement.fits(self.ledger, row, shape, entry.inputs):
            return None
        return None if self._stays(row, shape, entry.inputs, now) else entry

    def _goal(self, row: Row, shape: Shape, goals: _Goals) -> int:
        """Return how many tasks may be on a row, as far as a shape is concerned."""
        goal = goals.get(shape)
        if goal is None:
            goal = goals[shape] = min(self.kinds.depth(shape, row), self._part(row, shape, goals))
        return goal

    def _part(self, row: Row, shape: Shape, goals: _Goals) -> int:
        """Return a fair part for a type, so that the last batch is not one worker's.

        Of long ones, one is left for every thread, since any of these may be the next to be free.
        """
        part = goals.get(shape.type)
        if part is None:
            threads = max(self.ledger.total[THREADS_AXIS], 1)
            spare = len(self.queues) - (0 if shape.short else threads)
            part = goals[shape.type] = row.laned + max(spare, 0) * row.threads // threads
        return part

    def _all_have_memory(self, row: Row) -> bool:
        return all(within(shape.rest, row.free) for shape in self.queues.in_order())

    def _look_ahead(self, row: Row, shape: Shape, now: float) -> Waiting | None:
        """Return the task that may wait on a row behind those that run there."""
        entry = shape.head(row.address)
        if entry is None:
            return None
        behind = placement.with_inputs(shape.rest, entry.inputs, row)
        if not self.ledger.fits_behind(row, behind, shape):
            return None
        return None if self._stays(row, shape, entry.inputs, now) else entry

    def _stays(self, row: Row, shape: Shape, inputs: Inputs | None, now: float) -> bool:
        if inputs is None or not placement.waits_for_inputs(self.ledger, row, shape, inputs, now):
            return False
        self._postponed = True
        return True

    def _admit(self, key: Key, shape: Shape, inputs: Inputs | None, row: Row, now: float) -> None:
        if shape.probing:
            if not shape.alone:
                self.kinds[shape.type].probes[key] = now
            need = _everything(shape, row)
        else:
            need = placement.with_inputs(shape.rest if shape.laned else shape.need, inputs, row)
            if inputs is not None:
                need = placement.cut(need, row)
        reservation = self.ledger.reserve(key, row, need, shape)
        reservation.since = now
        reservation.inputs = inputs
        if shape.laned and not row.behind:
            self.ledger.hungry[row] = None
        shape.since = row.progress = now
        shape.promises, shape.promise_after = 0, 0.0
        if row.promise is not None and row.promise.shape is shape:
            self.ledger.end_promise(row)

    def _end_probe(self, key: Key, shape: Shape | None = None) -> None:
        if shape is None and key in self.ledger.reservations:
            shape = self.ledger.reservations[key].shape
        if shape is not None and self.kinds[shape.type].probes.pop(key, None) is not None:
            # Another may probe now, on any idle worker.
            self._wake(shape)

    def _wake(self, shape: Shape) -> None:
        """Let every worker look at the queues again: what a type needs has changed."""
        if any(other.count for other in self.kinds[shape.type].shapes.values()):
            self._look_everywhere()

    def _workers_changed(self) -> None:
        if self.kinds.workers_changed():
            self._look_everywhere()

    def _loosen(self) -> None:
        # Those who only preferred a worker that is gone may run anywhere, and those who fitted with their inputs
        # nowhere else may do without the room for these.
        if any(_prefers(shape) for shape in self.queues.in_order()):
            self._look_everywhere()

    def _look_everywhere(self) -> None:
        self.ledger.gained.update(dict.fromkeys(self.ledger.open_rows()))


def _prefers(shape: Shape) -> bool:
    return shape.downstream or shape.is_loose


def _everything(shape: Shape, row: Row) -> Need:
    everything = 0 if row.unlimited else max(row.free[MEMORY_AXIS], 0)
    rest = {axis: amount for axis, amount in shape.need if axis != IDLE_AXIS}
    return tuple(sorted({**rest, MEMORY_AXIS: everything}.items()))
