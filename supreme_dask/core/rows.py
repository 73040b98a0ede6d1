"""One worker as the ledger sees it, what a task holds there, and what is promised to one that waits."""

from __future__ import annotations

from supreme_dask.core.axes import IDLE_AXIS, LIMITED, MEMORY_AXIS, THREADS_AXIS, Need, add
from supreme_dask.core.keys import Key
from supreme_dask.core.shapes import Inputs, Shape


class Row:
    """One worker, as the ledger sees it. Only the ledger writes to it."""

    __slots__ = (
        "active",
        "address",
        "burden",
        "busy",
        "capacity",
        "free",
        "host",
        "index",
        "is_open",
        "is_stuck",
        "laned",
        "lanes",
        "progress",
        "promise",
        "refill_at",
        "stake",
        "tasks",
        "unbacked",
    )

    def __init__(self, index: int, address: str, host: str, axes: int) -> None:
        self.index = index
        self.address = address
        self.host = host
        self.capacity = [0] * axes
        self.free = [0] * axes
        self.burden = 0
        self.busy = False  # whether its process computes, as last heard
        self.is_open = False
        self.is_stuck = False  # whether nothing ends here, and all that runs has lent its memory
        self.tasks: dict[Key, Reservation] = {}
        self.active = 0  # tasks that run or wait here
        self.laned = 0  # those among them that run in lanes, or wait for one
        self.lanes = 0  # threads reserved for these
        self.refill_at = 0  # so few laned ones are left when it is worth sending more
        self.progress = 0.0  # when a task was last placed here, or ended
        self.promise: Promise | None = None
        self.unbacked = 0  # bytes reserved that its process does not hold, as last heard
        self.stake = 0.0  # byte-seconds of work that would be lost with it, as last heard

    @property
    def threads(self) -> int:
        """Number of tasks that run here at once."""
        return self.capacity[THREADS_AXIS]

    @property
    def residents(self) -> int:
        """Number of actors and seceded tasks: they take no thread."""
        return sum(not reservation.running for reservation in self.tasks.values())

    @property
    def behind(self) -> int:
        """Number of tasks that wait here for a thread."""
        return self.laned - self.lanes

    @property
    def waiting(self) -> list[Reservation]:
        """Those tasks: what was placed first runs first."""
        return [one for one in self.tasks.values() if one.laned][self.lanes :] if self.behind else []

    @property
    def unlimited(self) -> bool:
        """Whether nobody counts the memory of this worker."""
        return self.capacity[MEMORY_AXIS] >= LIMITED


class Reservation:
    """What one task holds on one row, from its placement until its thread is done with it."""

    __slots__ = ("guessed", "inputs", "key", "laned", "lent", "need", "row", "running", "shape", "since")

    def __init__(self, key: Key, row: Row, need: Need, shape: Shape | None, *, laned: bool) -> None:
        self.key = key
        self.row = row
        self.need = need
        self.shape = shape
        self.laned = laned
        self.inputs: Inputs | None = None
        self.guessed = shape is not None and (shape.probing or shape.guessed)
        self.lent = False  # whether its memory was given to others: it takes longer than its like, and holds less
        self.since = 0.0
        self.running = laned or need[0] == (THREADS_AXIS, 1)

    @property
    def fetched(self) -> int:
        """Bytes of its inputs that were elsewhere when it was placed."""
        return self.inputs.missing(self.row.address) if self.inputs is not None else 0

    @property
    def memory(self) -> int:
        """Bytes that are set aside for it."""
        return next((amount for axis, amount in self.need if axis == MEMORY_AXIS), 0)

    @property
    def byte_seconds(self) -> float:
        """Bytes that it holds × seconds that such a task is expected to run."""
        return self.memory * (self.shape.duration if self.shape is not None else 0.0)


class Promise:
    """A row that drains for one big task. Others may take only what is left beside it.

    Attributes
    ----------
    until : float
        When it ends, whether or not the big task came: what runs there may never end.
    """

    __slots__ = ("beside", "guests", "need", "shape", "until")

    def __init__(self, shape: Shape, beside: list[int], until: float) -> None:
        self.shape = shape
        self.need = shape.need
        self.beside = beside
        self.until = until
        self.guests: set[Key] = set()

    def admits(self, need: Need) -> bool:
        """Tell whether `need` is free beside the big task."""
        return all(self.beside[axis] >= amount for axis, amount in need if axis != IDLE_AXIS)

    def enter(self, key: Key, need: Need) -> None:
        """Count a task that was placed after the promise was made."""
        self.guests.add(key)
        add(self.beside, need, -1)

    def leave(self, key: Key, need: Need) -> None:
        """Forget a task that ended, if it came after the promise."""
        if key in self.guests:
            self.guests.remove(key)
            add(self.beside, need, +1)
