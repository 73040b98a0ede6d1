"""Which tasks wait, in the order in which they go.

The user's priority first. Within one, tasks that consume what others produced go before sources, and so do tasks
that running tasks submit and wait for: they free memory and threads. Then the earlier submission goes first, and
within it the order of the graph. Only sources that feed nothing may go largest first (dominant share × duration)
within one submission: that packs best, and holds nothing back.

This is the order of stock Dask, whose sources wait at the scheduler while consumers go to workers at once.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, KeysView
from itertools import count
from operator import itemgetter

from supreme_dask.core.keys import Key
from supreme_dask.core.shapes import Shape, Task

_Place = tuple[float, bool, float, float, float, int]
"""User priority, whether sources wait behind others, generation, order in the graph, rank, order of arrival."""

_first = itemgetter(0)


class Queues:
    """Every waiting task, by key, and every shape that has one."""

    def __init__(self) -> None:
        self._held: dict[Key, Shape] = {}
        self._order: list[tuple[_Place, Shape]] = []  # as the first task of each shape goes
        self._places: dict[Shape, _Place] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def keys(self) -> KeysView[Key]:
        """Return the keys of all waiting tasks."""
        return self._held.keys()

    def shape_of(self, key: Key) -> Shape | None:
        """Return the shape of a waiting task."""
        return self._held.get(key)

    def push(self, task: Task, shape: Shape) -> None:
        """Let a task wait."""
        shape.push(task, next(self._numbers))
        self._held[task.key] = shape
        head = shape.head()
        if head is not None and head.key == task.key:  # one behind the first of its shape changes no order
            self._put(shape)

    def remove(self, key: Key) -> Shape | None:
        """Let a task wait no more; return its shape, if it waited."""
        shape = self._held.pop(key, None)
        if shape is not None:
            head = shape.head()
            shape.remove(key)
            if head is not None and head.key == key:
                self._put(shape)
        return shape

    def in_order(self) -> Iterator[Shape]:
        """Yield the shapes that have waiting tasks, first to go first."""
        return (shape for _, shape in self._order)

    def any_before(self, user_priority: float) -> bool:
        """Tell whether a task waits that the user put before those of this priority."""
        return bool(self._order) and self._order[0][0][0] < user_priority

    def rank(self) -> None:
        """Put the shapes in order again, after what is known of them changed."""
        for shape in list(self._places):
            self._put(shape)

    def _put(self, shape: Shape) -> None:
        old = self._places.pop(shape, None)
        if old is not None:
            del self._order[bisect_left(self._order, old, key=_first)]
        place = _place_of(shape)
        if place is not None:
            self._places[shape] = place
            insort(self._order, (place, shape), key=_first)


def _place_of(shape: Shape) -> _Place | None:
    head = shape.head()
    if head is None:
        return None
    user, generation, order = (*head.priority, 0.0, 0.0)[:3]
    # Dask numbers generations 1, 2, 3; what a running task submits gets a fraction.
    is_source = not shape.downstream and not generation % 1
    if is_source and not shape.feeds:
        return user, True, generation, 0.0, -shape.rank, head.number
    return user, is_source, generation, order, 0.0, head.number
