"""What waits: tasks that are alike to the scheduler share a shape, and a shape has a queue.

Rescanning every waiting task whenever a worker frees something is what made earlier attempts too slow
(distributed #6468). Shapes are few, so they may be scanned.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, ValuesView
from dataclasses import dataclass, field
from typing import NamedTuple

from supreme_dask.core.axes import CPU_AXIS, THREADS_AXIS, Need, is_idle
from supreme_dask.core.keys import Key
from supreme_dask.core.resources import MEMORY, Resources

Priority = tuple[float, ...]
"""Dask's priority of a task: user priority, generation, order in the graph. Lower goes first."""


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Where a task may run.

    Attributes
    ----------
    addresses, hosts : frozenset of str
        Workers and machines that are allowed; either is enough.
    loose : bool
        Whether any worker will do while none of these is there.
    """

    addresses: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    loose: bool = False

    def permit(self, address: str, host: str) -> bool:
        """Tell whether a worker is among the allowed ones."""
        return address in self.addresses or host in self.hosts


@dataclass(frozen=True, slots=True)
class Inputs:
    """The dependencies of a task.

    Attributes
    ----------
    size : int
        Bytes of all of them.
    held : mapping of str to int
        Bytes that each worker holds of them, by address.
    """

    size: int
    held: Mapping[str, int] = field(default_factory=dict)

    @property
    def home(self) -> str:
        """Address of the worker that holds the most of them; empty if none holds any."""
        return max(self.held.items(), key=_most_bytes)[0] if self.held else ""

    def missing(self, address: str) -> int:
        """Return the bytes that a worker would have to fetch."""
        return self.size - self.held.get(address, 0)


@dataclass(frozen=True, slots=True)
class Task:
    """One task that is ready to run.

    Attributes
    ----------
    key : hashable
        Dask's key.
    type : str
        What runs alike; measurements are shared within a type.
    priority : tuple of float
        Lower goes first.
    declared : Resources or None
        What the user or an engine says that it needs.
    restrictions : Restrictions or None
        Where it may run.
    inputs : Inputs or None
        Its dependencies; None for a task that has none.
    alone : bool
        Whether nothing may run beside it: it may be what its worker was killed for.
    feeds : bool
        Whether other tasks need its result.
    actor : bool
        Whether it makes an actor, which takes no thread and holds what it declares for as long as it lives.
    """

    key: Key
    type: str
    priority: Priority
    declared: Resources | None = None
    restrictions: Restrictions | None = None
    inputs: Inputs | None = None
    alone: bool = False
    feeds: bool = False
    actor: bool = False


class Waiting(NamedTuple):
    """A place in a queue.

    Attributes
    ----------
    home : str
        Address of the worker that holds the most of its inputs; empty if none holds any.
    """

    priority: Priority
    number: int
    key: Key
    inputs: Inputs | None
    home: str = ""


class Shape:
    """Waiting tasks with one need, and their queue.

    Attributes
    ----------
    need : Need
        What one of them takes. It asks for an idle worker while nothing may run beside it.
    rest : Need
        `need` without threads and cpu: what a task in a lane reserves for itself.
    size : int
        Bytes of the inputs of the largest of them.
    laned : bool
        Whether one takes a thread and a core at most, so that some may wait on a worker behind those that run.
    short : bool
        Whether its type was measured to be short: then many of them may.
    guessed : bool
        Whether nobody declared or measured the memory it needs.
    probing : bool
        Whether it needs a worker on which nothing else runs.
    alone : bool
        Whether that is so though something is known: it needs a worker of at least that much.
    actor : bool
        Whether they make actors.
    feeds : bool
        Whether results of some are needed by other tasks.
    rank : float
        Dominant share × duration.
    duration : float
        Expected seconds of one.
    timed : bool
        Whether that was measured.
    count, running : int
        How many wait, and how many a worker has.
    since : float
        When its first task began to wait, or the last one was placed.
    """

    def __init__(self, task: Task, *, downstream: bool, size: int) -> None:
        self.type = task.type
        self.declared = task.declared
        self.restrictions = task.restrictions
        self.alone = task.alone
        self.actor = task.actor
        self.came_last = task.priority[0]
        self.feeds = task.feeds
        self.downstream = downstream
        self.size = size
        self.need: Need = ()
        self.rest: Need = ()
        self.laned = False
        self.short = False
        self.guessed = False
        self.probing = False
        self.rank = 0.0
        self.duration = 0.0
        self.timed = False
        self.since = 0.0
        self.count = 0
        self.running = 0
        self.hosts_seen: tuple[int, Need] | None = None  # the workers and the need, when it was looked for one
        self.has_host = False  # whether one of those could run it
        self.infeasible_since: float | None = None
        self.promises = 0  # that came to nothing since one of these tasks was placed
        self.promise_after = 0.0  # no other promise before then
        self._queue: list[Waiting] = []
        self._local: dict[str, list[Waiting]] = {}
        self._waiting: dict[Key, Waiting] = {}
        self._at: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Shape {self.type!r} declared={self.declared} waiting={self.count}>"

    @property
    def declares_memory(self) -> bool:
        """Whether their users, or engines, say how much memory they need."""
        return self.declared is not None and MEMORY in self.declared

    @property
    def is_loose(self) -> bool:
        """Whether these tasks only prefer certain workers."""
        return self.restrictions is not None and self.restrictions.loose

    @property
    def is_bound(self) -> bool:
        """Whether these tasks may run on certain workers only, so that no other could help."""
        return self.restrictions is not None and not self.restrictions.loose

    @property
    def user_priority(self) -> float:
        """The user's priority of the task that goes first; if none waits, of the one that came last."""
        head = self.head()
        return head.priority[0] if head is not None else self.came_last

    def set_need(self, need: Need) -> None:
        """Change what one of these tasks takes."""
        self.need = need
        self.probing = is_idle(need)
        self.rest = tuple(part for part in need if part[0] not in (THREADS_AXIS, CPU_AXIS))

    # The queue. Entries that were dropped stay in the heaps until they come up: a heap cannot be searched.
    def push(self, task: Task, number: int) -> None:
        """Let a task wait. Numbers rise, so that equal priorities go in the order of arrival."""
        home = task.inputs.home if task.inputs is not None else ""
        entry = Waiting(task.priority, number, task.key, task.inputs, home)
        self._waiting[task.key] = entry
        self.count += 1
        heapq.heappush(self._queue, entry)
        if home:
            self._at[home] += 1
            heapq.heappush(self._local.setdefault(home, []), entry)

    def head(self, address: str | None = None) -> Waiting | None:
        """Return the task to run next on a worker: one whose inputs are there, unless the user put another before."""
        first = self._first(self._queue)
        if address in self._local:
            local = self._first(self._local[address])
            if local is None:
                del self._local[address]
            elif first is None or local.priority[0] <= first.priority[0]:
                return local
        return first

    def remove(self, key: Key) -> None:
        """Let a task wait no more."""
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self.count -= 1
            if entry.home:
                self._at[entry.home] -= 1

    def count_at(self, address: str) -> int:
        """Return how many wait of whose inputs a worker holds the most."""
        return self._at[address]

    def keys(self) -> list[Key]:
        """Return the keys of all that wait, in no order."""
        return list(self._waiting)

    def entry(self, key: Key) -> Waiting:
        """Return the place of a task that waits."""
        return self._waiting[key]

    def entries(self) -> ValuesView[Waiting]:
        """Return the places of all that wait, in no order."""
        return self._waiting.values()

    def _first(self, heap: list[Waiting]) -> Waiting | None:
        while heap:
            entry = heap[0]
            if self._waiting.get(entry.key) is entry:
                return entry
            heapq.heappop(heap)
        return None


def _most_bytes(item: tuple[str, int]) -> tuple[int, str]:
    address, held = item
    return held, address
