"""Virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class Agenda:
    """What happens when: a clock, and a heap of calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._heap)

    @property
    def next(self) -> float:
        """When something happens next."""
        return self._heap[0][0]

    def at(self, time: float, call: Callable[..., None], *arguments: Any) -> None:
        """Let something happen at a time; what is for the same time happens in the order in which it was noted."""
        heapq.heappush(self._heap, (time, next(self._numbers), call, arguments))

    def turn(self) -> None:
        """Go to the next time at which something happens, and let all of it happen."""
        self.now = now = self.next
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, _, call, arguments = heapq.heappop(heap)
            call(*arguments)
