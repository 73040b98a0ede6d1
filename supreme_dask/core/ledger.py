"""What is free where: the one thing in the core that writes accounts.

One owner, no clock, no I/O. Events in (a worker joined, a task was placed, it ended), and out come the rows
that gained room. Amounts are integers along numbered axes: a vector step with names costs twenty times as
much.

A row is a worker. Of its memory, `capacity` is what the empty worker could give to tasks; `free` is
``capacity − burden − reservations``, where the burden is what the worker holds already: stored results,
fetched inputs, and growth that nobody reserved.

Tasks that take one thread and one core at most may wait on a row behind those that run (look-ahead). All of them
reserve memory; only as many as can run at once reserve threads and cpu. Such a pair of one thread and one core is a
*lane*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from supreme_dask.core.axes import (
    CORE,
    CPU_AXIS,
    FIRST_AXES,
    IDLE_AXIS,
    MEMORY_AXIS,
    THREADS_AXIS,
    UNLIMITED,
    Need,
    add,
    is_idle,
    within,
)
from supreme_dask.core.index import FitIndex
from supreme_dask.core.keys import Key
from supreme_dask.core.resources import MEASURED, MEMORY, Resources
from supreme_dask.core.rows import Promise, Reservation, Row
from supreme_dask.core.shapes import Shape


class Ledger:
    """Rows, reservations, and an index of what is free.

    Attributes
    ----------
    bandwidth : float
        Bytes per second that a worker fetches from another.
    axes : dict of str to int
        Number of each resource's axis, by its name.
    names : list of str
        Name of each axis. ``threads`` are the worker's own; ``idle`` is one where nothing runs.
    gained : dict of Row to None
        Rows that gained room since it was last emptied, in the order in which they did.
    ghosts : dict of (address, key) to Reservation
        Cancelled tasks whose thread still runs.
    hungry : dict of Row to None
        Rows whose look-ahead has run low.
    total : list of int
        Capacity of all open rows, by axis.
    version : int
        Rises whenever a row joins, leaves, or changes its capacity.
    """

    def __init__(self) -> None:
        self.names = list(FIRST_AXES)
        # Threads and idleness are not to be asked for by name: a user's own "threads" are something else.
        self.axes = {name: axis for axis, name in enumerate(FIRST_AXES) if name in MEASURED}
        self.rows: dict[str, Row] = {}
        self.reservations: dict[Key, Reservation] = {}
        self.ghosts: dict[tuple[str, Key], Reservation] = {}
        self.gained: dict[Row, None] = {}
        self.hungry: dict[Row, None] = {}
        self.bandwidth = 100e6
        self.version = 0
        self._staked = 0.0
        self.total = [0] * len(self.names)
        self.index = FitIndex(len(self.names))
        self._numbered: list[Row | None] = []
        self._unused: list[int] = []
        self._stale: dict[Row, None] = {}

    # ---------------------------------------------------------------------------------- workers
    def add_row(self, address: str, host: str, threads: int, capacity: Mapping[str, int]) -> Row:
        """Open a row for a worker that joined; without ``memory`` in its capacity, that is unlimited."""
        if not self._unused:
            self._unused.append(len(self._numbered))
            self._numbered.append(None)
        row = Row(self._unused.pop(), address, host, len(self.names))
        self._numbered[row.index] = self.rows[address] = row
        self.resize(row, threads, capacity)
        self.open_row(row)
        return row

    def resize(self, row: Row, threads: int, capacity: Mapping[str, int]) -> None:
        """Note what a worker has. Reservations stay, so that `free` may become negative."""
        wanted = {**dict(self.need({MEMORY: UNLIMITED, **capacity}, threads=threads)), IDLE_AXIS: 1}
        gain = tuple((axis, wanted.get(axis, 0) - row.capacity[axis]) for axis in range(len(self.names)))
        self.version += 1
        add(row.capacity, gain)
        add(row.free, gain)
        if row.is_open:
            add(self.total, gain)
        self._note_idle(row)
        self._note(row)

    def set_burden(self, row: Row, amount: int) -> None:
        """Note the bytes that a worker holds beside what tasks have reserved there."""
        gain = row.burden - amount
        if gain:
            row.burden = amount
            row.free[MEMORY_AXIS] += gain
            self._note(row, gained=gain > 0)

    def set_unbacked(self, row: Row, amount: int) -> None:
        """Note the bytes that tasks have reserved on a row and its process does not hold."""
        row.unbacked = amount

    def lend(self, reservation: Reservation) -> None:
        """Give others the memory that a task has reserved and does not hold."""
        amount = min(reservation.memory, reservation.row.unbacked)
        reservation.row.unbacked -= amount
        reservation.lent = True
        self.set_memory(reservation, reservation.memory - amount)

    def set_stuck(self, row: Row, stuck: bool) -> None:
        """Note whether nothing ends on a row and all that runs there has lent its memory."""
        if stuck != row.is_stuck:
            row.is_stuck = stuck
            self._note(row, gained=stuck)

    def set_stake(self, row: Row, redo: float) -> None:
        """Note what would be lost with a worker: half of what runs there on average, and what only it holds.

        Parameters
        ----------
        redo
            Seconds of a thread that it would take to compute its results again.
        """
        running = sum(one.byte_seconds for one in row.tasks.values() if one.running) / 2
        stake = running + redo * row.capacity[MEMORY_AXIS] / max(row.threads, 1)
        self._staked += stake - row.stake
        row.stake = stake

    @property
    def stake(self) -> float:
        """Return the byte-seconds of work that would be lost with any one row, on average."""
        return self._staked / len(self.rows) if self.rows else 0.0

    def open_row(self, row: Row) -> None:
        """Let tasks be placed on a row (again)."""
        if not row.is_open:
            row.is_open = True
            self.version += 1
            add(self.total, tuple(enumerate(row.capacity)))
        self._note(row)

    def close_row(self, row: Row) -> None:
        """Place nothing more on a row; what runs there goes on."""
        if row.is_open:
            row.is_open = False
            self.version += 1
            add(self.total, tuple(enumerate(row.capacity)), -1)
            row.promise = None
            self.gained.pop(row, None)
            self.hungry.pop(row, None)
            self._note(row, gained=False)

    def remove_row(self, row: Row) -> None:
        """Forget a worker that is gone, with everything that was reserved there."""
        self.close_row(row)
        for key, reservation in row.tasks.items():
            if reservation.shape is not None:
                reservation.shape.running -= 1
            self.ghosts.pop((row.address, key), None)
            if key in self.reservations and self.reservations[key].row is row:
                del self.reservations[key]
        self._staked -= row.stake
        self._stale.pop(row, None)
        self.index.update(row.index, None)
        self._numbered[row.index] = None
        self._unused.append(row.index)
        del self.rows[row.address]

    # ------------------------------------------------------------------------------------ needs
    def need(self, demand: Mapping[str, int], *, threads: int = 1) -> Need:
        """Return `demand` along the axes of this ledger; a name that is new gets an axis."""
        amounts = {THREADS_AXIS: threads}
        amounts.update((self._axis(name), amount) for name, amount in demand.items())
        return tuple(sorted(amounts.items()))

    def amounts(self, need: Need) -> Resources:
        """Return a need by name, without threads."""
        return Resources.of(
            {self.names[axis]: amount for axis, amount in need if axis not in (THREADS_AXIS, IDLE_AXIS)}
        )

    def fits(self, row: Row, need: Need, shape: Shape | None = None) -> bool:
        """Tell whether `need` is free on a row, now.

        A row on which nothing runs, or only what has lent its memory, gives all that is not reserved: what it stores
        can be spilled, and a task that only an empty worker can hold must run some time.
        """
        return within(need, self.room(row)) and (row.promise is None or _may_pass(row.promise, need, shape))

    def fits_behind(self, row: Row, rest: Need, shape: Shape) -> bool:
        """Tell whether a task may wait on a row for a thread. `rest` is its need but threads and cpu.

        Only where threads run out before cpu does: the worker starts as many tasks as it has threads.
        """
        free = row.free
        if free[THREADS_AXIS] * CORE > max(free[CPU_AXIS], 0):
            return False
        return within(rest, free) and (row.promise is None or _may_pass(row.promise, shape.need, shape))

    def room(self, row: Row, *, spilled: bool = False) -> list[int]:
        """Return what a row can give to its next task, by axis, or could if all that it stores was spilled."""
        if row.active and not row.is_stuck and not spilled:
            return row.free
        room = list(row.free)
        room[MEMORY_AXIS] += row.burden  # actors and seceded tasks keep what they reserved
        return room

    def could_fit(self, row: Row, need: Need) -> bool:
        """Tell whether `need` would fit if nothing else was on the row."""
        return within(need, row.capacity)

    def open_rows(self) -> list[Row]:
        """Return the rows on which tasks may be placed, in the order in which they joined."""
        return [row for row in self.rows.values() if row.is_open]

    def rows_fitting(self, need: Need, start: int = 0) -> Iterator[Row]:
        """Yield open rows where `need` is free, from number `start` upwards, then those below it."""
        for stale in self._stale:
            self.index.update(stale.index, self.room(stale) if stale.is_open else None)
        self._stale.clear()
        for number in self.index.fitting(need, start):
            row = self._numbered[number]
            if row is not None:
                yield row

    # ------------------------------------------------------------------------------------ tasks
    def reserve(self, key: Key, row: Row, need: Need, shape: Shape | None = None) -> Reservation:
        """Set `need` aside on a row for a task; the caller has asked whether it fits.

        A task in a lane passes its need but threads and cpu: the lanes hold those.
        """
        laned = shape is not None and shape.laned
        reservation = Reservation(key, row, need, shape, laned=laned)
        self.reservations[key] = row.tasks[key] = reservation
        add(row.free, need, -1)
        if row.promise is not None:
            row.promise.enter(key, need)
        if shape is not None:
            shape.running += 1
        if reservation.running:
            row.active += 1
            row.is_stuck = False
            self._note_idle(row)
        if laned:
            row.laned += 1
            self._widen(row)
        self._stale[row] = None
        return reservation

    def set_memory(self, reservation: Reservation, amount: int) -> None:
        """Change the bytes that are set aside for a task which runs: it was seen to take more, or less."""
        row, gain = reservation.row, reservation.memory - amount
        if not gain or row.unlimited:
            return
        others = [part for part in reservation.need if part[0] != MEMORY_AXIS]
        reservation.need = tuple(sorted([*others, (MEMORY_AXIS, amount)]))
        row.free[MEMORY_AXIS] += gain
        if row.promise is not None and reservation.key in row.promise.guests:
            row.promise.beside[MEMORY_AXIS] += gain
        self._note(row, gained=gain > 0)

    def release(self, key: Key) -> Reservation | None:
        """Give back what a task held, if it held anything."""
        reservation = self.reservations.pop(key, None)
        if reservation is not None:
            self._give_back(reservation)
        return reservation

    def secede(self, key: Key) -> None:
        """Give back what a task held that left its worker's pool of threads, but what its user named.

        Its memory too, whoever said how much: it may wait for others that need it, and from now on the heartbeats of
        its worker tell what it takes.
        """
        reservation = self.reservations[key]
        self._give_back(reservation)
        kept = tuple(part for part in reservation.need if part[0] not in (THREADS_AXIS, CPU_AXIS, MEMORY_AXIS))
        self.reserve(key, reservation.row, ((THREADS_AXIS, 0), *kept))

    def abandon(self, key: Key) -> None:
        """Keep what a cancelled task holds until its worker says that its thread is done."""
        reservation = self.reservations.pop(key)
        self.settle(reservation.row.address, key)  # a worker runs a task once: an older ghost lives on in this
        self.ghosts[reservation.row.address, key] = reservation

    def resume(self, address: str, key: Key) -> None:
        """Let a cancelled task that still runs be an ordinary one again, with what it holds."""
        self.reservations[key] = self.ghosts.pop((address, key))

    def settle(self, address: str, key: Key) -> None:
        """Give back what a cancelled task held, if it held anything: its thread is done."""
        ghost = self.ghosts.pop((address, key), None)
        if ghost is not None:
            self._give_back(ghost)

    def set_refill(self, row: Row) -> None:
        """Wait with the next batch of short tasks until half of those that are on the row have ended.

        Of long ones one waits at most, and another is due as soon as that runs.
        """
        all_short = all(one.shape.short for one in row.tasks.values() if one.laned and one.shape is not None)
        row.refill_at = row.laned // 2 if all_short else row.laned - 1
        self.hungry.pop(row, None)

    # --------------------------------------------------------------------------------- promises
    def promise(self, row: Row, shape: Shape, until: float) -> None:
        """Let a row drain until a task of `shape` fits there, or the time comes."""
        beside = list(row.capacity)
        beside[MEMORY_AXIS] -= row.burden
        add(beside, shape.need, -1)
        if is_idle(shape.need):
            beside[THREADS_AXIS] = beside[MEMORY_AXIS] = 0
        row.promise = Promise(shape, beside, until)

    def end_promise(self, row: Row) -> None:
        """Let others in again: the big task was placed, or needs the row no more."""
        row.promise = None
        self._note(row)

    # ------------------------------------------------------------------------------ bookkeeping
    def _axis(self, name: str) -> int:
        axis = self.axes.get(name)
        if axis is None:
            axis = self.axes[name] = len(self.names)
            self.names.append(name)
            self.total.append(0)
            self.index.add_axis()
            for row in self.rows.values():
                row.capacity.append(0)
                row.free.append(0)
                if row.promise is not None:
                    row.promise.beside.append(0)
                self._stale[row] = None
        return axis

    def _note(self, row: Row, *, gained: bool = True) -> None:
        self._stale[row] = None
        if gained and row.is_open:
            self.gained[row] = None

    def _note_idle(self, row: Row) -> None:
        row.free[IDLE_AXIS] = 1 if not row.active or row.unlimited else 0

    def _give_back(self, reservation: Reservation) -> None:
        row = reservation.row
        if row.tasks.get(reservation.key) is reservation:  # a ghost may have a successor of the same key here
            del row.tasks[reservation.key]
        add(row.free, reservation.need)
        if row.promise is not None:
            row.promise.leave(reservation.key, reservation.need)
        if reservation.shape is not None:
            reservation.shape.running -= 1
        if reservation.running:
            row.active -= 1
            self._note_idle(row)
        if reservation.laned:
            row.laned -= 1
            gained = self._narrow(row) or row.laned <= row.refill_at
            if gained and row.is_open:
                self.hungry[row] = None
        else:
            self._widen(row)
            gained = True
        self._note(row, gained=gained)

    def _widen(self, row: Row) -> None:
        free = row.free
        while row.lanes < row.laned and free[THREADS_AXIS] >= 1 and free[CPU_AXIS] >= CORE:
            row.lanes += 1
            free[THREADS_AXIS] -= 1
            free[CPU_AXIS] -= CORE

    def _narrow(self, row: Row) -> bool:
        if row.lanes <= row.laned:
            return False
        row.lanes -= 1
        row.free[THREADS_AXIS] += 1
        row.free[CPU_AXIS] += CORE
        return True


def _may_pass(promise: Promise, need: Need, shape: Shape | None) -> bool:
    if promise.shape is shape or promise.admits(need):
        return True
    return shape is not None and shape.user_priority < promise.shape.user_priority
