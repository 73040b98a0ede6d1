"""What one worker can hold: loads of many tasks, found all at once for workers of several kinds.

Amounts are whole numbers, in the units of `Resources`, below 2**53: then quotients of floats round as they should.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_MANY = 2.0**31  # of tasks that need nothing
_FEW = 12  # shapes whose loads may be few enough to be written down
_ALL = 2000  # loads of one offer that may be written down one by one
_FIRST = 8  # shapes that are tried as the first one of a load
_LONGEST = 24  # shapes of a load whose first one is being tried
_STRIDE = 4  # shapes that are put in before one looks whether all workers are full
_NEVER = 1e9  # size of what does not fit


@dataclass(frozen=True, slots=True)
class Loads:
    """Loads of single workers.

    Attributes
    ----------
    offers : array of int
        Which kind of worker each one is for, shape ``(loads,)``.
    tasks : Matrix
        How many tasks of each shape it has, shape ``(loads, shapes)``.
    """

    offers: NDArray[np.intp]
    tasks: Matrix

    def within(self, left: Vector) -> Loads:
        """Return the loads without what is more than what is left."""
        return Loads(self.offers, np.minimum(self.tasks, left))


def fits(demands: Matrix, capacity: Vector) -> Vector:
    """Return how many tasks of each shape one worker holds if it runs nothing else, shape ``(shapes,)``.

    Or how many of one shape each of many workers holds, if `demands` is one row and `capacity` has many.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(demands > 0, np.floor(capacity / demands), _MANY)
    least: Vector = np.maximum(times.min(axis=-1, initial=_MANY), 0)
    return least


def all_loads(demands: Matrix, capacities: Matrix, most: Vector) -> Loads | None:
    """Return every load to which no task could be added; None if they are too many to write down."""
    if len(demands) > _FEW:
        return None
    found = []
    for capacity in capacities:
        loads = _all_of_one(demands, capacity, most)
        if loads is None:
            return None
        found.append(loads)
    return Loads(np.repeat(np.arange(len(found)), [len(loads) for loads in found]), np.concatenate(found))


def _all_of_one(demands: Matrix, capacity: Vector, most: Vector) -> Matrix | None:
    tasks = np.zeros((1, len(demands)))
    free = capacity[None, :]
    for shape, need in enumerate(demands):
        choices = np.minimum(fits(need, free), most[shape]).astype(np.intp) + 1
        if choices.sum() > _ALL:
            return None
        before = np.repeat(np.arange(len(choices)), choices)
        times = np.arange(len(before)) - np.repeat(np.cumsum(choices) - choices, choices)
        tasks = tasks[before]
        tasks[:, shape] = times
        free = free[before] - times[:, None] * need
    full = np.ones(len(tasks), bool)
    for shape, need in enumerate(demands):
        full &= (tasks[:, shape] >= most[shape]) | (free < need).any(axis=1)
    return tasks[full]


class GreedyLoads:
    """Finds valuable loads: shapes go in by value per size, under many views of what size is.

    One view looks at one resource, or at two, or at all, or at whichever a task takes most of. All views and all
    kinds of workers are filled at once, since numpy takes as long for forty of them as for one.
    """

    def __init__(self, demands: Matrix, capacities: Matrix) -> None:
        resources = range(capacities.shape[1])
        unit = np.eye(len(resources))
        views = [(unit[one] + unit[other]) / 2 for one, other in combinations_with_replacement(resources, 2)]
        parts = demands / np.maximum(capacities, 1)[:, None, :]
        sizes = np.stack([*(parts @ view for view in views), parts.mean(axis=2), parts.max(axis=2)], axis=1)
        alone = np.array([fits(demands, capacity) for capacity in capacities])
        sizes[np.repeat(alone[:, None] < 1, sizes.shape[1], axis=1)] = _NEVER
        self._demands = demands
        self._capacities = capacities
        self._sizes = np.maximum(sizes, 1 / _NEVER).reshape(-1, len(demands))
        self._offers = np.repeat(np.arange(len(capacities)), sizes.shape[1])

    def quick(self, prices: Vector, most: Vector) -> Loads:
        """Return a load of each view and offer, worth much at some prices of a task of each shape."""
        return self._fill(self._by_density(prices, most), self._offers, most)

    def thorough(self, prices: Vector, most: Vector) -> Loads:
        """Return more of them: one task of each of the densest shapes goes in before all others."""
        order = self._by_density(prices, most)[:, :_LONGEST]
        places = range(order.shape[1])
        turns = np.array([[first, *(place for place in places if place != first)] for first in places[:_FIRST]])
        return self._fill(
            order[:, turns].reshape(-1, len(places)), np.repeat(self._offers, len(turns)), most, only_one_first=True
        )

    def _by_density(self, prices: Vector, most: Vector) -> NDArray[np.intp]:
        useful = np.flatnonzero((prices > 0) & (most > 0))
        return useful[np.argsort(-prices[useful] / self._sizes[:, useful], axis=1, kind="stable")]

    def _fill(
        self, order: NDArray[np.intp], offers: NDArray[np.intp], most: Vector, only_one_first: bool = False
    ) -> Loads:
        # Resources come first, and what is computed goes where something was: with so few numbers, numpy spends its
        # time on beginning a row, and on making room.
        free = self._capacities[offers].T.copy()
        needs = np.ascontiguousarray(self._demands[order].transpose(1, 2, 0))
        least = needs.min(axis=(0, 2), initial=np.inf)[:, None]
        limits = most[order].T
        if only_one_first:
            limits[0] = 1
        times = np.zeros(limits.shape)
        scratch = np.empty(free.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            for place, (need, limit, taken) in enumerate(zip(needs, limits, times, strict=True)):
                if place % _STRIDE == 0 and (free < least).any(axis=0).all():
                    break
                # fmin passes over 0 / 0, which is no limit. `fits` says the same, at three times the price.
                np.fmin.reduce(np.divide(free, need, out=scratch), out=taken)
                np.floor(np.fmin(taken, limit, out=taken), out=taken)
                free -= np.multiply(taken, need, out=scratch)
        tasks = np.zeros((len(order), len(most)))
        np.put_along_axis(tasks, order, times.T, axis=1)
        return Loads(offers, tasks)
