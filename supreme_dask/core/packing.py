"""How many workers of which group would hold some tasks at about the least cost: placement on imagined workers.

A linear program tells the cheapest mix of loads if parts of workers could be had (`columns`); what it takes as a
whole is kept, and the rest is searched for (`rounding`). Work is bounded by counting, not by a clock: equal
questions get equal answers, in tens of milliseconds for 64 shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supreme_dask.core.columns import Mix
from supreme_dask.core.loads import GreedyLoads, Loads, Matrix, Vector, all_loads, fits
from supreme_dask.core.rounding import Load, Taken, greedy, search

__all__ = ["Filled", "Load", "Offer", "cover", "fill", "fits", "pack"]

_ROUNDS = 28  # of finding loads for the linear program, each for 64 shapes
_THOROUGH = 4  # of them that a thorough one takes
_PIVOTS = 12  # loads that one round may add
_PIVOTS_OF_ALL = 400  # loads that may be added where all loads are known
_SEARCHED = 24  # workers of the rest at most that are searched for, rather than taken greedily
_FREE = 1e-4  # cost of a free worker, as a part of the dearest one's: of two free ones, one is better
_UNPLACED = 1e3  # what a task without a place costs, in workers of the dearest kind


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of worker that could be had.

    Attributes
    ----------
    capacity : Vector
        What one has for tasks, in the order of the columns of the demands.
    cost : float
        What one costs, in any unit; zero or more.
    limit : int or None
        How many more can be had; None for as many as one likes.
    """

    capacity: Vector
    cost: float
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of some tasks and some rooms.

    Attributes
    ----------
    left : Vector
        How many tasks of each shape found no place, shape ``(shapes,)``.
    tasks : Matrix
        How many tasks of each shape went into each room, shape ``(rooms, shapes)``.
    """

    left: Vector
    tasks: Matrix

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which rooms took something, shape ``(rooms,)``."""
        return np.asarray(self.tasks.any(axis=1))


def fill(demands: Matrix, counts: Vector, rooms: Matrix) -> Filled:
    """Put as many tasks as fit into some rooms: the largest demands first, each into the first room with space.

    So the rooms that should be left over, such as workers that could go, come last.

    Parameters
    ----------
    demands
        What a task of each shape needs, shape ``(shapes, resources)``, whole numbers.
    counts
        Tasks of each shape, shape ``(shapes,)``.
    rooms
        What is free on each worker, shape ``(rooms, resources)``, whole numbers; below zero where too much is held.
    """
    left = np.array(counts, float)
    tasks = np.zeros((len(rooms), len(left)))
    free = np.array(rooms, float).reshape(len(rooms), demands.shape[1]).T.copy()
    largest = np.maximum(free.max(axis=1, initial=0), 1)
    for shape in np.argsort(-(demands / largest).max(axis=1, initial=0), kind="stable"):
        many = np.full(len(rooms), left[shape])
        for resource in np.flatnonzero(demands[shape]):
            many = np.minimum(many, np.floor(free[resource] / demands[shape, resource]))
        many = np.maximum(many, 0)
        taken = np.minimum(many, np.maximum(left[shape] - (np.cumsum(many) - many), 0))
        tasks[:, shape] = taken
        for resource in np.flatnonzero(demands[shape]):
            free[resource] -= taken * demands[shape, resource]
        left[shape] -= taken.sum()
    return Filled(left, tasks)


def cover(demands: Matrix, counts: Vector, offers: Sequence[Offer]) -> list[int]:
    """Return how many workers of each offer hold all tasks, at about the least cost.

    Tasks that fit no offer are left out, and those for which the limits leave no room. For the parameters see `pack`.
    """
    workers = [0] * len(offers)
    for load in pack(demands, counts, offers):
        workers[load.offer] += load.times
    return workers


def pack(demands: Matrix, counts: Vector, offers: Sequence[Offer]) -> list[Load]:
    """Return workers that hold all tasks, at about the least cost, and what is on them.

    Work grows with shapes and offers, not with tasks; it is meant for up to about 64 shapes and 10 offers.

    Parameters
    ----------
    demands
        What a task of each shape needs, shape ``(shapes, resources)``, whole numbers.
    counts
        Tasks of each shape, shape ``(shapes,)``.
    offers
        What could be had.
    """
    able = [place for place, offer in enumerate(offers) if offer.limit is None or offer.limit > 0]
    capacities = np.array([offers[place].capacity for place in able], float).reshape(len(able), demands.shape[1])
    alone = np.array([fits(demands, capacity) for capacity in capacities]).reshape(len(able), len(counts))
    shapes = np.flatnonzero((counts > 0) & (alone > 0).any(axis=0))
    if not len(shapes):
        return []
    costs = np.array([offers[place].cost for place in able], float)
    costs = np.maximum(costs, costs.max() * _FREE or 1.0)
    limits = np.array([np.inf if (limit := offers[place].limit) is None else limit for place in able])
    problem = _Problem(demands[shapes], capacities, costs, alone[:, shapes])
    loads = problem.solve(np.array(counts[shapes], float), limits)
    return [Load(able[load.offer], _spread(load.tasks, shapes, len(counts)), load.times) for load in loads]


def _spread(tasks: Vector, shapes: NDArray[np.intp], size: int) -> Vector:
    whole = np.zeros(size)
    whole[shapes] = tasks
    return whole


class _Problem:
    """What is asked, and how much may still be spent on the answer."""

    def __init__(self, demands: Matrix, capacities: Matrix, costs: Vector, alone: Matrix) -> None:
        self._demands = demands
        self._capacities = capacities
        self._costs = costs
        self._alone = alone
        self._greedy = GreedyLoads(demands, capacities)

    def solve(self, counts: Vector, limits: Vector) -> tuple[Load, ...]:
        loads = all_loads(self._demands, self._capacities, counts)
        mix = self._mix(counts, limits, loads)
        taken = Taken(counts, limits, self._costs).plus_whole(mix)
        if loads is None:
            return greedy(taken, self._greedy.quick, mix).loads
        if taken.left.any():
            mix = self._mix(taken.left, taken.limits, loads.within(taken.left))
            if mix.workers <= _SEARCHED:
                taken = search(taken, loads.within(taken.left), mix)
        return greedy(taken, lambda _, left: loads.within(left), mix).loads

    def _mix(self, counts: Vector, limits: Vector, loads: Loads | None) -> Mix:
        """Return the cheapest mix of some loads; if there are none, of those that can be found with bounded work."""
        alone = np.minimum(self._alone, np.maximum(counts, 1))
        enough = np.ceil(counts / np.maximum(alone, 1)).sum(axis=1)
        limits = np.where(limits < enough, limits, np.inf)
        mix = Mix(counts, self._costs, limits, alone, _UNPLACED * float(self._costs.max()))
        if loads is not None:
            mix.improve(loads, _PIVOTS_OF_ALL)
            return mix
        rounds = _ROUNDS * 64 // max(64, len(counts))
        while rounds > 0:
            rounds -= 1
            if not mix.improve(self._greedy.quick(mix.values, counts), _PIVOTS):
                rounds -= _THOROUGH
                if not mix.improve(self._greedy.thorough(mix.values, counts), _PIVOTS):
                    break
        return mix
