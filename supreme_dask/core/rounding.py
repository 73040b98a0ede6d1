"""From parts of workers to whole ones: what a mix has as a whole is kept, and the rest is searched for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from supreme_dask.core.columns import Mix
from supreme_dask.core.loads import Loads, Vector, fits

_WHOLE = 1e-6  # what a whole number may be short of, and what decides between equals
_GOOD = 0.97  # part of the best load's worth for its cost that another must have to be taken with it
_CELLS = 60_000  # numbers that one step of the search looks at
_WIDEST = 16  # ways that go on


@dataclass(frozen=True, slots=True)
class Load:
    """Workers that hold the same.

    Attributes
    ----------
    offer : int
        What kind of worker.
    tasks : Vector
        How many tasks of each shape one of them holds.
    times : int
        How many of them.
    """

    offer: int
    tasks: Vector
    times: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Workers taken, and what is left.

    Attributes
    ----------
    left : Vector
        Tasks of each shape that have no place yet.
    limits : Vector
        How many more workers of each offer can be had.
    costs : Vector
        What a worker of each offer costs.
    loads : tuple of Load
        Those that were taken.
    cost : float
        What they cost.
    """

    left: Vector
    limits: Vector
    costs: Vector
    loads: tuple[Load, ...] = ()
    cost: float = 0.0

    def plus(self, offer: int, tasks: Vector, times: float) -> Taken:
        """Return this with more workers: as many of them as can be had and as there are tasks for."""
        number = int(min(times, self.limits[offer], fits(tasks, self.left)))
        if number < 1 or not tasks.any():
            return self
        limits = self.limits.copy()
        limits[offer] -= number
        return Taken(
            self.left - number * tasks,
            limits,
            self.costs,
            (*self.loads, Load(offer, tasks, number)),
            self.cost + number * float(self.costs[offer]),
        )

    def plus_whole(self, mix: Mix) -> Taken:
        """Return this with the workers that a mix has as a whole."""
        taken = self
        whole = np.where(mix.offers >= 0, np.floor(mix.amounts + _WHOLE), 0)
        for place in np.argsort(-whole, kind="stable")[: np.count_nonzero(whole)]:
            offer, tasks, times = int(mix.offers[place]), mix.columns[: len(self.left), place], whole[place]
            # A mix may have more places than tasks: then the last of equal workers are not full.
            while times and (more := taken.plus(offer, tasks, times)) is not taken:
                times -= more.loads[-1].times
                taken, tasks = more, np.minimum(tasks, more.left)
        return taken


def search(taken: Taken, loads: Loads, mix: Mix) -> Taken:
    """Return a cheap way to place what is left with some loads: a beam search, which sees many ways at once.

    A way costs at least what its workers do, plus what is left at the prices of the mix. Of the ways with one worker
    more, those go on that could become cheapest.
    """
    width = int(np.clip(_CELLS // loads.tasks.size, 1, _WIDEST))
    best, lowest = taken, taken.cost + mix.unplaced * float(taken.left.sum())
    ways = [taken]
    while ways:
        ways = [way for way in _longer(ways, loads, mix, width) if way.cost + float(way.left @ mix.values) < lowest]
        for way in ways:
            cost = way.cost + mix.unplaced * float(way.left.sum())
            if cost < lowest:
                best, lowest = way, cost
    return best


def _longer(ways: list[Taken], loads: Loads, mix: Mix, width: int) -> list[Taken]:
    """Return the most promising ways with one worker more, one for each remainder."""
    longer: dict[bytes, Taken] = {}
    for way, place in _promising(ways, loads, mix, 2 * width):
        tasks = np.minimum(loads.tasks[place], way.left)
        rest = (way.left - tasks).tobytes()
        if rest not in longer:
            longer[rest] = way.plus(int(loads.offers[place]), tasks, 1)
        if len(longer) == width:
            break
    return list(longer.values())


def _promising(ways: list[Taken], loads: Loads, mix: Mix, count: int) -> list[tuple[Taken, int]]:
    """Return which loads to add to which ways, those that could become cheapest first."""
    lefts = np.array([way.left for way in ways])
    tasks = np.minimum(loads.tasks, lefts[:, None])
    spent = np.array([way.cost for way in ways])
    able = np.array([way.limits for way in ways])[:, loads.offers] >= 1
    rests = (lefts[:, None] - tasks) @ mix.values
    bounds = spent[:, None] + mix.dear[loads.offers] + (1 + _WHOLE) * rests
    bounds[~(able & tasks.any(axis=2))] = np.inf
    flat = bounds.ravel()
    first = np.sort(np.argpartition(flat, count)[:count]) if len(flat) > count else np.arange(len(flat))
    order = first[np.argsort(flat[first], kind="stable")]
    return [(ways[at // len(loads.tasks)], int(at % len(loads.tasks))) for at in order if np.isfinite(flat[at])]


def greedy(taken: Taken, find: Callable[[Vector, Vector], Loads], mix: Mix) -> Taken:
    """Return a way to place what is left: what is worth most for its cost, at the prices of the mix, goes first.

    If one worker could take all that is left at some point, and ending there is cheaper, it ends there. What is left
    in the end has no place.
    """
    values = mix.values + _WHOLE * float(taken.costs.min())
    ends: list[Taken] = []
    before = None
    while taken.left.any() and taken is not before:
        before = taken
        loads = find(values, taken.left)
        worths = (loads.tasks @ values) / mix.dear[loads.offers] * (taken.limits[loads.offers] >= 1)
        last = np.flatnonzero((loads.tasks == taken.left).all(axis=1) & (worths > 0))
        ends += [taken.plus(int(loads.offers[place]), loads.tasks[place], 1) for place in last]
        for place in np.argsort(-worths, kind="stable"):
            if worths[place] < _GOOD * worths.max():
                break
            taken = taken.plus(int(loads.offers[place]), loads.tasks[place], np.inf)
    return min([*ends, taken], key=lambda way: (way.left.sum(), way.cost))
