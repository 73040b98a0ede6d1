"""Which rows have enough of everything, without looking at every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from supreme_dask.core.axes import Need

_NOTHING = -1


class FitIndex:
    """A tournament tree: each node holds, per axis, the most that any row below it has free.

    A subtree is skipped when its maximum falls short on any axis. With ``n`` rows an update costs
    ``O(axes × log n)`` and finding a row that fits usually ``O(log n)``.
    """

    def __init__(self, axes: int) -> None:
        self._leaves = 1
        self._most: list[list[int]] = [[_NOTHING] * 2 for _ in range(axes)]
        self.visits = 0  # nodes looked at since the start; benchmarks and tests count work by it

    def add_axis(self) -> None:
        """Add an axis of which every row has nothing."""
        self._most.append([_NOTHING] * (2 * self._leaves))

    def update(self, row: int, free: Sequence[int] | None) -> None:
        """Note what `row` has free now; None takes it out."""
        while row >= self._leaves:
            self._grow()
        for axis, most in enumerate(self._most):
            node = self._leaves + row
            value = _NOTHING if free is None else max(free[axis], 0)
            while most[node] != value:
                most[node] = value
                node >>= 1
                if not node:
                    break
                value = max(most[2 * node], most[2 * node + 1])

    def fitting(self, need: Need, start: int = 0) -> Iterator[int]:
        """Yield the rows that have `need` free: from `start` upwards, then those below it."""
        yield from self._between(need, start, self._leaves)
        yield from self._between(need, 0, start)

    def _between(self, need: Need, low: int, high: int) -> Iterator[int]:
        pending = [(1, 0, self._leaves)]
        while pending:
            node, first, past = pending.pop()
            if past <= low or first >= high:
                continue
            self.visits += 1
            if not self._enough(node, need):
                continue
            if past - first == 1:
                yield first
                continue
            middle = (first + past) // 2
            pending.append((2 * node + 1, middle, past))
            pending.append((2 * node, first, middle))

    def _enough(self, node: int, need: Need) -> bool:
        for axis, amount in need:  # `all()` over a generator costs three times as much here
            if self._most[axis][node] < amount:
                return False
        return True

    def _grow(self) -> None:
        rows = [[most[self._leaves + i] for most in self._most] for i in range(self._leaves)]
        self._leaves *= 2
        self._most = [[_NOTHING] * (2 * self._leaves) for _ in self._most]
        for i, values in enumerate(rows):
            if values[0] != _NOTHING:
                self.update(i, values)
