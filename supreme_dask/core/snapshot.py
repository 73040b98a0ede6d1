"""The cluster at one instant, immutable: for explanations, pictures, scaling and tests. Never on the hot path.

`take` tells what the ledger and the queues know, and of workers what only the scheduler's process can tell (names and
groups, what their processes use) if it is given; who is starting is added with `dataclasses.replace`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from supreme_dask.core.axes import IDLE_AXIS, MEMORY_AXIS, THREADS_AXIS
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.queues import Queues
from supreme_dask.core.resources import Resources
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Shape

_NOTHING = Resources()


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used of what is there, in percent; 0 where nothing is there.

    Attributes
    ----------
    cpu, memory, network : float
        Of the processes, as they measure themselves.
    allocated : float
        What tasks have reserved of the resource that is scarcest.
    backlog : float
        Seconds of waiting work per thread.
    """

    cpu: float = 0.0
    memory: float = 0.0
    network: float = 0.0
    allocated: float = 0.0
    backlog: float = 0.0


@dataclass(frozen=True, slots=True)
class Windows:
    """One usage over three windows: the last heartbeats, one minute and five."""

    now: Usage = Usage()
    minute: Usage = Usage()
    five_minutes: Usage = Usage()


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
    name, group : str
        Its name in Dask, and the worker group that it belongs to; empty if it belongs to none.
    draining : bool
        Whether it is on its way out: neither supply nor a reason to drain another.
    leaving : bool
        Whether it cannot be had back: it is gone but for its process, or somebody else wants it to go.
    reserved : Resources
        What the tasks there hold.
    remaining : float
        Seconds until these are expected to have ended, on average.
    elapsed : float
        Seconds that the tasks running there have been running, altogether: lost if it were removed now.
    unique : int
        Bytes of results that no other worker stores.
    pinned : bool
        Whether it holds what cannot be moved, such as an actor.
    idle_since : float or None
        When its last task ended; None while tasks are there.
    usage : Windows
        What it uses.
    """

    address: str
    host: str
    open: bool
    threads: int
    capacity: Resources
    free: Resources
    running: int
    behind: int
    name: str = ""
    group: str = ""
    draining: bool = False
    leaving: bool = False
    reserved: Resources = _NOTHING
    remaining: float = 0.0
    elapsed: float = 0.0
    unique: int = 0
    pinned: bool = False
    idle_since: float | None = None
    usage: Windows = Windows()

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
    duration : float
        Seconds that one of them is expected to run.
    bound : bool
        Whether they may run on certain workers only, so that no other could help.
    running : int
        How many of the shape run.
    """

    type: str
    demand: Resources
    measured: bool
    count: int
    duration: float = 0.5
    bound: bool = False
    running: int = 0


@dataclass(frozen=True, slots=True)
class Launch:
    """A worker that was asked for and has not joined.

    Attributes
    ----------
    name : str
        The name that it will have in Dask; empty as long as nobody has said it.
    deadline : float
        When it stops being counted as supply, on the clock of `Snapshot.now`.
    """

    name: str
    deadline: float


@dataclass(frozen=True, slots=True)
class GroupView:
    """One worker group.

    Attributes
    ----------
    group : WorkerGroup
        What each of its workers is.
    room : Resources or None
        What one of its workers has for tasks, if that is known better than by the workers that are there.
    launching : tuple of Launch
        Who is on the way.
    blocked : str
        Why no more of it can be had now, such as a quota; empty if it can.
    usage : Windows
        What its workers use together.
    """

    group: WorkerGroup
    room: Resources | None = None
    launching: tuple[Launch, ...] = ()
    blocked: str = ""
    usage: Windows = Windows()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one instant.

    Attributes
    ----------
    workers : tuple of WorkerView
        In the order in which they joined.
    waiting : tuple of WaitingView
        First to go first.
    groups : tuple of GroupView
        The worker groups that can be scaled.
    now : float
        Seconds on the clock of whoever took it.
    wall : float
        The same instant as seconds since 1970, for what depends on the calendar.
    spent : float
        What the workers have cost so far, in the unit of `WorkerGroup.cost`.
    usage : Windows
        What all workers use together.
    """

    workers: tuple[WorkerView, ...]
    waiting: tuple[WaitingView, ...]
    groups: tuple[GroupView, ...] = field(default=())
    now: float = 0.0
    wall: float = 0.0
    spent: float = 0.0
    usage: Windows = Windows()


def _nothing_more(_: Row) -> Mapping[str, Any]:
    return {}


def take(
    ledger: Ledger, queues: Queues, now: float, more: Callable[[Row], Mapping[str, Any]] = _nothing_more
) -> Snapshot:
    """Return what the ledger and the queues hold at the time `now`.

    Parameters
    ----------
    more
        Returns what else is known of a worker, by attribute of `WorkerView`.
    """
    amounts = _Amounts(ledger)
    ages = _ages(ledger, now)
    behind = Counter(one.shape for row in ledger.rows.values() for one in row.waiting if one.shape is not None)
    # Short ones that wait on a worker run in a moment; the others could run on a worker that comes.
    shapes = dict.fromkeys([*queues.in_order(), *(shape for shape in behind if not shape.short)])
    waiting = tuple(
        _waiting(shape, ledger.amounts(shape.need), ages.get(shape.type, 0.0), behind[shape]) for shape in shapes
    )
    return Snapshot(tuple(_worker(row, amounts, now, more(row)) for row in ledger.rows.values()), waiting, now=now)


class _Amounts:
    """Names what is along the axes of a ledger. Workers are much alike: of equal amounts there is one object."""

    def __init__(self, ledger: Ledger) -> None:
        self._axes = {name: axis for name, axis in ledger.axes.items() if axis not in (THREADS_AXIS, IDLE_AXIS)}
        self._pick = itemgetter(*self._axes.values())  # at least the three that are measured: it returns tuples
        self._known: dict[tuple[int, ...], Resources] = {}

    def of(self, along: Sequence[int]) -> Resources:
        amounts = self._pick(along)
        known = self._known.get(amounts)
        if known is None:
            known = self._known[amounts] = Resources.of(dict(zip(self._axes, amounts, strict=True)))
        return known


def _ages(ledger: Ledger, now: float) -> dict[str, float]:
    """Return for how long a task of each type has been running at least: of a new type nothing else is known."""
    ages: dict[str, float] = {}
    for row in ledger.rows.values():
        for shape in {one.shape for one in row.tasks.values() if one.shape is not None and not one.shape.timed}:
            ages[shape.type] = max(ages.get(shape.type, 0.0), now - row.progress)
    return ages


def _waiting(shape: Shape, demand: Resources, age: float, behind: int) -> WaitingView:
    return WaitingView(
        shape.type,
        demand,
        not shape.probing,
        shape.count + (0 if shape.short else behind),
        max(shape.duration, age),
        shape.is_bound,
        shape.running - (0 if shape.short else behind),
    )


def _worker(row: Row, amounts: _Amounts, now: float, more: Mapping[str, Any]) -> WorkerView:
    reserved = [capacity - free for capacity, free in zip(row.capacity, row.free, strict=True)]
    reserved[MEMORY_AXIS] -= row.burden
    return WorkerView(
        row.address,
        row.host,
        row.is_open,
        row.threads,
        amounts.of(row.capacity),
        amounts.of(row.free),
        row.active,
        row.behind,
        reserved=amounts.of(reserved),
        remaining=_remaining(row, now),
        **more,
    )


def _remaining(row: Row, now: float) -> float:
    """Return the seconds until what runs on a row has ended, on average; of short tasks, none."""
    durations = [one.shape.duration for one in row.tasks.values() if one.shape is not None and not one.shape.short]
    if not durations:
        return 0.0
    mean = sum(durations) / len(durations)
    # Somewhere on its way; or overdue, and then for as long again, which is all that can be said.
    return max(mean / 2, now - row.progress - mean)
