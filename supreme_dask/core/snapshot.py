"""The cluster at one instant, immutable: for explanations, pictures, scaling and tests. Never on the hot path."""

from __future__ import annotations

from dataclasses import dataclass

from supreme_dask.core.axes import IDLE_AXIS, THREADS_AXIS
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.queues import Queues
from supreme_dask.core.resources import Resources
from supreme_dask.core.rows import Row


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker.

    Attributes
    ----------
    address, host : str
        Where it is.
    open : bool
        Whether tasks are placed there.
    threads : int
        How many tasks run there at once.
    capacity, free : Resources
        What it has for tasks, and what is left of it; `free` is negative where a worker holds too much.
    running, behind : int
        Tasks there, and how many of them wait for a thread.
    """

    address: str
    host: str
    open: bool
    threads: int
    capacity: Resources
    free: Resources
    running: int
    behind: int

    @property
    def allocated(self) -> Resources:
        """What tasks have reserved, and what the worker stores."""
        return self.capacity.minus(self.free)


@dataclass(frozen=True, slots=True)
class WaitingView:
    """The waiting tasks of one shape.

    Attributes
    ----------
    type : str
        Their type.
    demand : Resources
        What one of them needs, as far as it is known.
    measured : bool
        Whether its memory is known; if not, one runs on a worker of its own first.
    count : int
        How many wait.
    """

    type: str
    demand: Resources
    measured: bool
    count: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one instant.

    Attributes
    ----------
    workers : tuple of WorkerView
        In the order in which they joined.
    waiting : tuple of WaitingView
        First to go first.
    """

    workers: tuple[WorkerView, ...]
    waiting: tuple[WaitingView, ...]


def take(ledger: Ledger, queues: Queues) -> Snapshot:
    """Return what the ledger and the queues hold now."""
    names = [(name, axis) for name, axis in ledger.axes.items() if axis not in (THREADS_AXIS, IDLE_AXIS)]
    waiting = tuple(
        WaitingView(
            shape.type,
            Resources.of({name: dict(shape.need)[axis] for name, axis in names if axis in dict(shape.need)}),
            not shape.probing,
            shape.count,
        )
        for shape in queues.in_order()
    )
    return Snapshot(tuple(_worker(row, names) for row in ledger.rows.values()), waiting)


def _worker(row: Row, names: list[tuple[str, int]]) -> WorkerView:
    return WorkerView(
        row.address,
        row.host,
        row.is_open,
        row.threads,
        Resources.of({name: row.capacity[axis] for name, axis in names}),
        Resources.of({name: row.free[axis] for name, axis in names}),
        row.active,
        row.behind,
    )
