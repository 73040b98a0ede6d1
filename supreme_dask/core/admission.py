"""Who runs where, and who waits: events in, instructions out.

A task is admitted to a worker where it fits now, or held. Types whose memory nobody declared run on a worker
of their own until one run has been measured. Types that are measured to be short may wait on a worker behind
those that run there, and are sent in batches, because small messages cost more than decisions.

See `queues` for the order, `placement` for the choice of a worker, `patience` for those who wait long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from supreme_dask.core import placement, reasons
from supreme_dask.core.axes import IDLE_AXIS, MEMORY_AXIS, THREADS_AXIS, Need, within
from supreme_dask.core.instructions import Instruction, Placed, Settings
from supreme_dask.core.keys import Key
from supreme_dask.core.kinds import Kinds
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.patience import Patience
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.queues import Queues
from supreme_dask.core.reasons import Unplaceable
from supreme_dask.core.resources import MEMORY
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Inputs, Shape, Task, Waiting
from supreme_dask.core.snapshot import Snapshot, take

_PACE = 0.05


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
        overtakes = bool(self.ledger.gained) and self.queues.any_before(shape.user_priority)
        if overtakes and not shape.count:
            self._look_everywhere()
        elif not shape.count and self.kinds.may_start(shape):
            row = placement.pick(self.ledger, shape, task.inputs, self._start)
            if row is not None:
                self._start = row.index + 1
                self._admit(task.key, shape, task.inputs, row, now)
                return row.address
        if not shape.count:
            shape.since = now
            shape.infeasible_since = None
            if shape.short:
                self.ledger.gained.update(self.ledger.hungry)
        self.queues.push(task, shape)
        return None

    def occupy(self, task: Task, address: str, now: float) -> None:
        """Note a task that a worker has already: it was placed before we came."""
        self._admit(task.key, self.kinds.shape(task), task.inputs, self.ledger.rows[address], now)

    def keep_actor(self, key: Key, demand: Mapping[str, int], address: str) -> None:
        """Note an actor that lives on a worker already."""
        need = self.ledger.need({MEMORY: 0, **demand}, threads=0)
        self.ledger.reserve(key, self.ledger.rows[address], need)

    def place_actor(self, task: Task, demand: Mapping[str, int]) -> str | Unplaceable:
        """Reserve `demand` for as long as an actor lives; actors take no thread, and cannot wait.

        Where the fewest live, as with stock Dask; of these, where the most of its inputs are.
        """
        shape = Shape(task, downstream=False, size=0)
        shape.set_need(self.ledger.need({MEMORY: 0, **demand}, threads=0))
        rows = [row for row in placement.permitted(self.ledger, shape) if self.ledger.fits(row, shape.need)]
        if not rows:
            return placement.refuse(self.ledger, shape)
        inputs = task.inputs or Inputs(0)
        row = min(rows, key=lambda row: (row.residents, inputs.missing(row.address)))
        self.ledger.reserve(task.key, row, shape.need)
        return row.address

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

    def secede(self, key: Key, *, keep_memory: bool) -> None:
        """Give back the thread and the cpu of a task that left its worker's pool of threads."""
        reservation = self.ledger.reservations[key]
        self._end_probe(key, reservation.shape)
        self.ledger.secede(key, keep_memory=keep_memory)

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
        """Look after those who wait long; to be called every 50 ms or so, before `fill`."""
        return self._patience.tick(now)

    def lacks_host(self) -> bool:
        """Tell whether something waits that no open worker could run, even if nothing else ran there."""
        return self._patience.lacks_host()

    def snapshot(self, now: float, more: Callable[[Row], Mapping[str, Any]] | None = None) -> Snapshot:
        """Return the cluster as it is at the time `now`, with what `more` says of workers; see `snapshot.take`."""
        return take(self.ledger, self.queues, now, *([more] if more else []))

    def explain(self, key: Key) -> str | None:
        """Say why a task waits; None if it does not."""
        shape = self.queues.shape_of(key)
        if shape is None:
            return None
        return reasons.waiting(shape.type, placement.refuse(self.ledger, shape))

    # ----------------------------------------------------------------------------------- inside
    def _fill_row(self, row: Row, placed: list[Placed], now: float) -> None:
        goals: dict[str, int] = {}
        while (choice := self._next(row, goals)) is not None:
            shape, entry = choice
            self.queues.remove(entry.key)
            self._admit(entry.key, shape, entry.inputs, row, now)
            placed.append(Placed(entry.key, row.address))
        self.ledger.set_refill(row)

    def _next(self, row: Row, goals: dict[str, int]) -> tuple[Shape, Waiting] | None:
        """Return the waiting task that goes next on a row, and its shape."""
        room = self.ledger.room(row)
        thread_wanted = False
        for shape in self.queues.in_order(row.address):
            self.considered += 1
            entry = None
            if within(shape.need, room):
                entry = self._fitting_head(row, shape)
            elif not shape.short:
                # A short task that waits on the worker must not get the thread that this one waits for.
                thread_wanted = thread_wanted or (row.behind > 0 and within(shape.rest, row.free))
            elif not thread_wanted and row.short < self._goal(row, shape, goals):
                entry = self._look_ahead(row, shape)
            if entry is not None:
                return shape, entry
        return None

    def _fitting_head(self, row: Row, shape: Shape) -> Waiting | None:
        entry = shape.head(row.address)
        if entry is None or not self.kinds.may_start(shape):
            return None
        return entry if placement.fits(self.ledger, row, shape, entry.inputs) else None

    def _goal(self, row: Row, shape: Shape, goals: dict[str, int]) -> int:
        """Return how many short tasks may be on a row: a fair part, so that the last batch is not one worker's."""
        goal = goals.get(shape.type)
        if goal is None:
            fair = row.short + len(self.queues) * row.threads // max(self.ledger.total[THREADS_AXIS], 1)
            goal = goals[shape.type] = min(self.kinds.depth(shape) * row.threads, fair)
        return goal

    def _look_ahead(self, row: Row, shape: Shape) -> Waiting | None:
        """Return the short task that may wait on a row behind those that run there."""
        entry = shape.head(row.address)
        if entry is None or (shape.restrictions and row not in placement.permitted(self.ledger, shape)):
            return None
        behind = placement.with_inputs(shape.rest, entry.inputs, row)
        return entry if self.ledger.fits_behind(row, behind) else None

    def _admit(self, key: Key, shape: Shape, inputs: Inputs | None, row: Row, now: float) -> None:
        if shape.probing:
            if not shape.alone:
                self.kinds[shape.type].probes[key] = now
            need = _everything(shape, row)
        else:
            need = placement.with_inputs(shape.rest if shape.short else shape.need, inputs, row)
            if inputs is not None:
                need = placement.cut(need, row)
        self.ledger.reserve(key, row, need, shape)
        if inputs is not None:
            self.ledger.reservations[key].fetched = inputs.missing(row.address)
        shape.since = row.progress = now
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
    return shape.downstream or (shape.restrictions is not None and shape.restrictions.loose)


def _everything(shape: Shape, row: Row) -> Need:
    everything = 0 if row.unlimited else max(row.free[MEMORY_AXIS], 0)
    rest = {axis: amount for axis, amount in shape.need if axis != IDLE_AXIS}
    return tuple(sorted({**rest, MEMORY_AXIS: everything}.items()))
