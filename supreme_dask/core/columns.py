"""The cheapest mix of loads that covers all tasks, parts of workers allowed: a linear program with a column per load.

There are far too many loads to write down. Gilmore and Gomory ("A linear programming approach to the cutting-stock
problem", 1961) make a column only when the prices of the last solution say that it would help. This is their revised
simplex method, with a row for each shape (at least so many tasks) and for each limited offer (at most so many
workers, written as at least the negative).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from supreme_dask.core.loads import Loads, Matrix, Vector

_TINY = 1e-9
_ENOUGH = 1e-4  # part of its cost that a load must save to be worth a pivot
NOTHING = -1
"""The offer of a column that is no worker: tasks placed twice, workers not taken, tasks not placed."""


class Mix:
    """A basis of the program, improved load by load.

    Attributes
    ----------
    amounts : Vector
        How many workers have the load of each column of the basis, shape ``(rows,)``.
    offers : array of int
        What kind of worker each column is.
    unplaced : float
        Cost of a task that gets no worker.
    columns : Matrix
        The columns, shape ``(rows, rows)``: one's first entries are its tasks.
    prices : Vector
        What one more task of each shape would cost, then what one more worker of each limited offer would save.

    Parameters
    ----------
    counts
        Tasks of each shape.
    costs, limits
        What a worker of each offer costs, and how many can be had; infinite where it does not matter.
    alone
        How many tasks of each shape each offer holds if it holds no others, shape ``(offers, shapes)``.
    unplaced
        Cost of a task that gets no worker: more than any worker.
    """

    def __init__(self, counts: Vector, costs: Vector, limits: Vector, alone: Matrix, unplaced: float) -> None:
        self.unplaced = unplaced
        self._costs = costs
        self._limited = np.flatnonzero(np.isfinite(limits))
        self._shapes = len(counts)
        self._wanted = np.concatenate([counts, -limits[self._limited]])
        size = len(self._wanted)
        self.offers = np.full(size, NOTHING)
        self._spent = np.zeros(size)
        self._spent[: self._shapes] = unplaced
        diagonal = np.where(np.arange(size) < self._shapes, 1.0, -1.0)
        for shape in range(self._shapes):
            self._begin_with(shape, alone[:, shape], np.isfinite(limits), diagonal)
        self.columns: Matrix = np.diag(diagonal)
        self._inverse = np.diag(1 / diagonal)
        self._solve()

    def _begin_with(self, shape: int, alone: Vector, limited: NDArray[np.bool_], diagonal: Vector) -> None:
        """Let the cheapest workers that can be had without limit hold a shape alone, if there are any."""
        able = (alone > 0) & ~limited
        if able.any():
            offer = int(np.argmin(np.where(able, self._costs / np.maximum(alone, 1), np.inf)))
            self.offers[shape], self._spent[shape], diagonal[shape] = offer, self._costs[offer], alone[offer]

    @property
    def workers(self) -> float:
        """How many workers the mix has."""
        return float(self.amounts[self.offers >= 0].sum())

    @property
    def values(self) -> Vector:
        """What a task of each shape is worth."""
        return np.maximum(self.prices[: self._shapes], 0)

    @property
    def dear(self) -> Vector:
        """What a worker of each offer costs, with what others would pay for it where it is scarce."""
        dear = self._costs.copy()
        dear[self._limited] += np.maximum(self.prices[self._shapes :], 0)
        return dear

    def improve(self, loads: Loads, pivots: int) -> int:
        """Take in loads that save something, at most so many; return how many."""
        rows = np.hstack([loads.tasks, -(loads.offers[:, None] == self._limited).astype(float)])
        for pivot in range(pivots):
            lowest = int(np.argmin(self.prices))
            if self.prices[lowest] < -_ENOUGH * self.prices.max():
                self._enter(-np.eye(len(self.prices))[lowest], NOTHING, 0.0)
                continue
            gains = (loads.tasks @ self.values) / self.dear[loads.offers]
            best = int(np.argmax(gains))
            if gains[best] <= 1 + _ENOUGH:
                return pivot
            offer = int(loads.offers[best])
            self._enter(rows[best], offer, float(self._costs[offer]))
        return pivots

    def _enter(self, column: Vector, offer: int, cost: float) -> None:
        direction = self._inverse @ column
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(direction > _TINY, self.amounts / direction, np.inf)
        leaving = int(np.argmin(ratios))
        row = self._inverse[leaving] / direction[leaving]
        self._inverse -= np.outer(direction, row)
        self._inverse[leaving] = row
        self.columns[:, leaving] = column
        self.offers[leaving] = offer
        self._spent[leaving] = cost
        self._solve()

    def _solve(self) -> None:
        self.amounts: Vector = np.maximum(self._inverse @ self._wanted, 0)
        self.prices: Vector = self._spent @ self._inverse
