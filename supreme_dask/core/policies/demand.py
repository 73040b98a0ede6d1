"""Enough workers for what waits: placement on imagined workers.

What waits is to be done within some time. In that time a worker does many short tasks one after the other, so that
of each shape as many need a place at once as ``count × duration / time`` says, and no more than wait. These are put
on the workers that are there, then on those on their way in, then on those on their way out that can be had back.
For what is left the cheapest mix of further workers is looked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from supreme_dask.core import reasons
from supreme_dask.core.packing import Offer, cover, fill, fits
from supreme_dask.core.policies.base import AtLeast, Proposal, Unmet
from supreme_dask.core.policies.situation import Situation, Supply
from supreme_dask.core.resources import MEMORY, Resources
from supreme_dask.core.snapshot import WaitingView, WorkerView

_HOUR = 3600.0
_SOON = 0.5  # part of the time in which a worker must have ended what it runs, to count as free
_DRIFT = 0.25  # part of what the largest worker has by which it may change and still be called the same
_NAMED = 20  # sorts of tasks of which it is said by name why they can run on no worker
_LEAST_COST = 1e-6  # of a worker that costs nothing: fewer are still better than more

Vector = NDArray[np.float64]


@dataclass(slots=True)
class Demand:
    """Have workers for what waits, and keep those that work.

    Attributes
    ----------
    within : float
        Seconds in which what waits should be done. A worker that is asked for helps no sooner than it starts, so
        that the start-up time of the fastest group counts where it is more.
    """

    follows_clock: ClassVar[bool] = False

    within: float
    _said: dict[tuple[str, ...], tuple[int, Unmet]] = field(default_factory=dict, repr=False, compare=False)

    def propose(self, situation: Situation) -> Iterable[Proposal]:
        """Propose as many of each group as work, and as are needed for what waits."""
        rooms = set(_rooms_ever(situation))
        hosted: list[WaitingView] = []
        unhosted: dict[tuple[str, ...], WaitingView] = {}
        for one in situation.snapshot.waiting:
            if not one.bound and _has_host(one, rooms):
                hosted.append(one)
            elif not one.bound:
                unhosted.setdefault((one.type, *one.demand), one)
        yield from self._unmet(unhosted, rooms)
        needed = {name: sum(worker.running > 0 for worker in one.staying) for name, one in situation.groups.items()}
        reason = {name: reasons.at_work(workers) for name, workers in needed.items()}
        if hosted:
            places = _Places(situation, hosted, self._horizon(situation), min(room[MEMORY] for room in rooms))
            for name, more in places.needed().items():
                needed[name] += more
                if needed[name] > situation.groups[name].count:
                    reason[name] = reasons.to_start(places.count, places.types)
        yield from (AtLeast(name, workers, reason[name]) for name, workers in needed.items() if workers)

    def _unmet(self, unhosted: Mapping[tuple[str, ...], WaitingView], rooms: Iterable[Resources]) -> Iterator[Unmet]:
        """Say what lacks, of each sort once and of the first ones by name: those of other amounts lack the same."""
        self._said = {sort: self._why_nobody(sort, one, rooms) for sort, one in islice(unhosted.items(), _NAMED)}
        yield from (unmet for _, unmet in self._said.values())
        if len(unhosted) > _NAMED:
            yield Unmet(reasons.further(len(unhosted) - _NAMED))

    def _why_nobody(self, sort: tuple[str, ...], one: WaitingView, rooms: Iterable[Resources]) -> tuple[int, Unmet]:
        """Say what lacks, as before unless that is news: what a worker has for tasks drifts with its process."""
        most, unmet = _why_nobody(one, rooms)
        before, said = self._said.get(sort, (most, unmet))
        return (before, said) if abs(most - before) <= _DRIFT * before else (most, unmet)

    def _horizon(self, situation: Situation) -> float:
        startups = [one.group.startup for one in situation.groups.values() if one.growth != 0]
        return max(self.within, min(startups, default=0.0))


class _Places:
    """Places for what waits: which idle workers it takes, and how many more.

    Amounts are vectors: the resources that anything asks for, and threads.

    Attributes
    ----------
    count : int
        Waiting tasks of the shapes for which no place is there.
    types : list of str
        Their types.
    """

    def __init__(self, situation: Situation, waiting: list[WaitingView], horizon: float, least_memory: int) -> None:
        self.count = 0
        self.types: list[str] = []
        self._situation = situation
        self._supplies = list(situation.groups.values())
        self._waiting = waiting
        self._horizon = horizon
        self._least_memory = float(least_memory)
        self._names = sorted({MEMORY, *(name for one in waiting for name in one.demand)})
        self._vectors: dict[tuple[Resources, int], list[float]] = {}  # workers are much alike
        self._demands = np.array([self._demand(one) for one in waiting])

    def needed(self) -> dict[str, int]:
        """Return how many workers of each group are needed beside those that work."""
        needed = dict.fromkeys(self._situation.groups, 0)
        counts = np.array([self._at_once(one) for one in self._waiting], dtype=float)
        rooms = list(self._rooms())
        filled = fill(self._demands, counts, self._matrix(room for _, room in rooms))
        for (group, _), used in zip(rooms, filled.used.tolist(), strict=True):
            if used and group:
                needed[group] += 1
        for group, more in self._launch(filled.left):
            needed[group] += more
        return needed

    def _launch(self, left: Vector) -> Iterator[tuple[str, int]]:
        left = np.where(self._are_done_before(), 0.0, left)
        missing = [one for one, many in zip(self._waiting, left.tolist(), strict=True) if many]
        self.count = sum(one.count for one in missing)
        self.types = sorted({one.type for one in missing})
        growing = [supply for supply in self._supplies if supply.growth != 0]
        if missing and growing:
            # To whoever packs, types that need the same are one: work grows with what differs.
            demands, which = np.unique(self._demands, axis=0, return_inverse=True)
            counts = np.zeros(len(demands))
            np.add.at(counts, which.ravel(), left)
            more = cover(demands, counts, [self._offer(supply) for supply in growing])
            yield from zip((supply.group.name for supply in growing), more, strict=True)

    def _at_once(self, one: WaitingView) -> int:
        """Return how many of a shape need a place at the same time.

        Of an unknown type one is measured first; the longer that takes, the more begin beside it.
        """
        if not one.measured:
            return min(one.count, max(one.running, 1))
        return min(one.count, math.ceil(one.count * one.duration / self._horizon))

    def _are_done_before(self) -> NDArray[np.bool_]:
        """Tell of each shape whether those who are there would have done it before a further worker could begin."""
        staying = self._matrix(self._vector(one.capacity, one.threads) for one in _staying(self._situation))
        lanes = np.zeros(len(self._waiting))
        for capacity, workers in zip(*np.unique(staying, axis=0, return_counts=True), strict=True):
            lanes += workers * fits(self._demands, capacity)
        work = np.array([one.count * one.duration for one in self._waiting])
        with np.errstate(divide="ignore"):
            done: NDArray[np.bool_] = work / lanes <= np.array([self._first_startup(one) for one in self._waiting])
        return done

    def _first_startup(self, one: WaitingView) -> float:
        hosts = (supply for supply in self._supplies if supply.growth != 0 and one.demand.fits(supply.room))
        return min((supply.group.startup for supply in hosts), default=math.inf)

    # ----------------------------------------------------------------------------------- vectors
    def _demand(self, one: WaitingView) -> list[float]:
        amounts = list(self._vector(one.demand, 1))
        if not one.measured:
            # It needs a worker on which nothing else runs, and one that has what it outgrew the last time.
            memory = self._names.index(MEMORY)
            amounts[memory] = max(amounts[memory], self._least_memory)
        return amounts

    def _rooms(self) -> Iterator[tuple[str, list[float]]]:
        """Yield each worker's group, and what it has for what waits; no group for those that stay in any case."""
        working = [worker for supply in self._supplies for worker in supply.staying if worker.running]
        for worker in (*self._situation.strangers, *working):
            if worker.open:
                yield "", self._room(worker)
        for supply in self._supplies:
            idle = [worker for worker in supply.staying if worker.open and not worker.running]
            yield from ((supply.group.name, self._vector(worker.capacity, worker.threads)) for worker in idle)
        for supply in self._supplies:
            yield from ((supply.group.name, self._whole(supply)) for _ in supply.view.launching)
        for supply in self._supplies:
            yield from ((supply.group.name, self._whole(supply)) for _ in supply.returnable)

    def _room(self, worker: WorkerView) -> list[float]:
        if worker.remaining <= _SOON * self._horizon:
            return self._vector(worker.free.plus(worker.reserved), worker.threads)
        return self._vector(worker.free, worker.threads - worker.running + worker.behind)

    def _offer(self, supply: Supply) -> Offer:
        return Offer(np.array(self._whole(supply)), self._price(supply), supply.growth)

    def _price(self, supply: Supply) -> float:
        """Return what one costs for what it does: it is paid while it starts, and an interruption wastes work."""
        group = supply.group
        started = (self._horizon + group.startup) / self._horizon
        duration = sum(one.duration for one in self._waiting) / len(self._waiting)
        wasted = group.interruptions * (duration / 2 + group.startup) / _HOUR
        return max(group.cost, _LEAST_COST) * started * (1 + wasted)

    def _whole(self, supply: Supply) -> list[float]:
        return self._vector(supply.room, supply.group.threads)

    def _vector(self, amounts: Resources, threads: int) -> list[float]:
        known = self._vectors.get((amounts, threads))
        if known is None:
            known = [*(float(max(amounts[name], 0)) for name in self._names), float(max(threads, 0))]
            self._vectors[amounts, threads] = known
        return known

    def _matrix(self, vectors: Iterable[list[float]]) -> Vector:
        return np.array(list(vectors)).reshape(-1, len(self._names) + 1)


def _staying(situation: Situation) -> Iterator[WorkerView]:
    yield from (worker for worker in situation.strangers if worker.open)
    for supply in situation.groups.values():
        yield from (worker for worker in supply.staying if worker.open)


def _rooms_ever(situation: Situation) -> Iterator[Resources]:
    """Yield what the workers that are there, and those that could be had, give to one task that runs alone."""
    yield from {worker.capacity for worker in _staying(situation)}
    yield from (supply.room for supply in situation.groups.values())


def _has_host(one: WaitingView, rooms: Iterable[Resources]) -> bool:
    return any(one.demand.fits(room) for room in rooms)


def _why_nobody(one: WaitingView, rooms: Iterable[Resources]) -> tuple[int, Unmet]:
    """Name the resource that lacks, and the most of it that anybody has."""
    most = {name: max((room[name] for room in rooms), default=0) for name in one.demand}
    lacking = {name: amount for name, amount in one.demand.items() if amount > most[name]}
    name = max(lacking or one.demand, key=lambda name: one.demand[name] / max(most[name], 1))
    known = sorted({known for room in rooms for known, amount in room.items() if amount})
    return most[name], Unmet(reasons.no_group(one.type, name, one.demand[name], most[name], known))
