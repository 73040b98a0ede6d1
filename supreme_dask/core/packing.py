"""How many workers of which group would hold some tasks at the least cost: placement on imagined workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of worker that could be had.

    Attributes
    ----------
    capacity : Vector
        What one has for tasks, in the order of the columns of the demands.
    cost : float
        What one costs, in any unit; above zero.
    limit : int or None
        How many more can be had.
    """

    capacity: Vector
    cost: float
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """What comes of filling rooms.

    Attributes
    ----------
    left : Vector
        Tasks of each shape that found no room.
    used : NDArray of bool
        Which rooms took some.
    """

    left: Vector
    used: NDArray[np.bool_]


def fits(demands: Matrix, capacity: Vector) -> Vector:
    """Return how many tasks of each shape one worker holds if it runs nothing else, shape ``(shapes,)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(demands > 0, np.floor((capacity + _TINY) / demands), np.inf)
    many: Vector = times.min(axis=1, initial=np.inf)
    return many


def fill(demands: Matrix, counts: Vector, rooms: Matrix) -> Filled:
    """Put tasks into rooms: shapes with the largest demands first, and into the first room that has space.

    Parameters
    ----------
    demands
        What a task of each shape needs, shape ``(shapes, resources)``.
    counts
        Tasks of each shape, shape ``(shapes,)``.
    rooms
        What is free in each room, shape ``(rooms, resources)``; it is not changed.
    """
    left, used, free = counts.copy(), np.zeros(len(rooms), dtype=bool), rooms.copy()
    if not len(rooms):
        return Filled(left, used)
    scale = np.maximum(free.max(axis=0), _TINY)
    for shape in np.argsort(-(demands / scale).max(axis=1), kind="stable"):
        need = demands[shape]
        some = need > 0
        many = np.floor((free[:, some] + _TINY) / need[some]).min(axis=1, initial=np.inf)
        many = np.clip(many, 0, left[shape])
        taken = np.minimum(many, np.maximum(left[shape] - (np.cumsum(many) - many), 0))
        free -= np.outer(taken, need)
        left[shape] -= taken.sum()
        used |= taken > 0
    return Filled(left, used)


def cover(demands: Matrix, counts: Vector, offers: Sequence[Offer]) -> list[int]:
    """Return how many workers of each offer hold all tasks, the offer that does most for its cost first.

    Tasks that fit no offer are left out, and those for which the limits leave no room.
    """
    wanted = [0] * len(offers)
    left = counts.astype(float)
    while True:
        loads = [_load(demands, left, offer) for offer in offers]
        values = [
            float((load @ demands / np.maximum(offers[place].capacity, _TINY)).max()) / offers[place].cost
            if offers[place].limit is None or wanted[place] < (offers[place].limit or 0)
            else 0.0
            for place, load in enumerate(loads)
        ]
        best = int(np.argmax(values)) if values else 0
        if not values or not values[best]:
            return wanted
        load, limit = loads[best], offers[best].limit
        with np.errstate(divide="ignore", invalid="ignore"):
            times = max(int(np.where(load > 0, left // load, np.inf).min()), 1)
        times = times if limit is None else min(times, limit - wanted[best])
        wanted[best] += times
        left = np.maximum(left - times * load, 0)


def _load(demands: Matrix, left: Vector, offer: Offer) -> Vector:
    return left - fill(demands, left, offer.capacity[None, :]).left
