"""Who waits, in the order in which they go.

The user's priority first. Within one, tasks that consume what others produced go before sources, in the order
of the graph: they free memory. Sources go by dominant share × duration, largest first, which packs best.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, KeysView
from itertools import count
from operator import attrgetter

from supreme_dask.core.keys import Key
from supreme_dask.core.shapes import Shape, Task

_user_priority = attrgetter("user_priority")


class Band:
    """The shapes of one user priority that have waiting tasks."""

    __slots__ = ("downstream", "sources", "user_priority")

    def __init__(self, user_priority: float) -> None:
        self.user_priority = user_priority
        self.downstream: list[Shape] = []
        self.sources: list[Shape] = []

    def __bool__(self) -> bool:
        return bool(self.downstream or self.sources)

    def in_order(self, address: str | None = None) -> Iterator[Shape]:
        """Yield the shapes, first to go first, as seen by one worker."""
        if len(self.downstream) > 1:
            yield from sorted(self.downstream, key=lambda shape: _head_priority(shape, address))
        else:
            yield from self.downstream
        yield from self.sources


class Queues:
    """Every waiting task, by key, and every shape that has one."""

    def __init__(self) -> None:
        self._held: dict[Key, Shape] = {}
        self._bands: list[Band] = []
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
        if not shape.count:
            self._enter(shape)
        shape.push(task, next(self._numbers))
        self._held[task.key] = shape

    def remove(self, key: Key) -> Shape | None:
        """Let a task wait no more; return its shape, if it waited."""
        shape = self._held.pop(key, None)
        if shape is not None:
            shape.remove(key)
            if not shape.count:
                self._leave(shape)
        return shape

    def in_order(self, address: str | None = None) -> Iterator[Shape]:
        """Yield the shapes that have waiting tasks, first to go first, as seen by one worker."""
        for band in self._bands:
            yield from band.in_order(address)

    def any_before(self, user_priority: float) -> bool:
        """Tell whether a task waits that the user put before those of this priority."""
        return bool(self._bands) and self._bands[0].user_priority < user_priority

    def rank(self) -> None:
        """Put the sources in order again, after what is known of them changed."""
        for band in self._bands:
            band.sources.sort(key=_largest_first)

    def _enter(self, shape: Shape) -> None:
        band = next((band for band in self._bands if band.user_priority == shape.user_priority), None)
        if band is None:
            band = Band(shape.user_priority)
            insort(self._bands, band, key=_user_priority)
        if shape.downstream:
            band.downstream.append(shape)
        else:
            insort(band.sources, shape, key=_largest_first)

    def _leave(self, shape: Shape) -> None:
        for band in self._bands:
            if band.user_priority == shape.user_priority:
                (band.downstream if shape.downstream else band.sources).remove(shape)
                if not band:
                    self._bands.remove(band)
                return


def _head_priority(shape: Shape, address: str | None) -> tuple[float, ...]:
    head = shape.head(address)
    return head.priority if head is not None else ()


def _largest_first(shape: Shape) -> float:
    return -shape.rank
