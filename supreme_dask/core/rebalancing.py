"""Which stored results go where, so that no worker is the only full one.

A worker's fair share of all that is stored is in proportion to its memory. Results go from whoever stores most above
its share to whoever stores most below it, the largest first that overshoots neither; one that does is moved only
where it leaves both nearer to their shares than the worse of them was. So every move makes the cluster more even,
none is taken back, and few bytes travel.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from supreme_dask.core.keys import Key
from supreme_dask.core.relief import Result

_WORTH = 1 << 20
"""Bytes from its share that a worker must be for anything to be moved."""


@dataclass(frozen=True, slots=True)
class Place:
    """One worker that stores results.

    Attributes
    ----------
    stored : int
        Bytes of results there, with those that are on their way to it and without those that leave.
    room : int
        Bytes that it could store more, now.
    weight : int
        Its memory, in any unit that all share.
    """

    stored: int
    room: int
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Move:
    """A result that is to be on another worker.

    Attributes
    ----------
    size : int
        Bytes of it.
    source, target : str
        Addresses.
    """

    key: Key
    size: int
    source: str
    target: str


def full(places: Mapping[str, Place], tolerance: float) -> list[str]:
    """Return who stores more than its share, the fullest first; nobody if all are near enough to their shares.

    Parameters
    ----------
    tolerance
        Part of its share that a worker may be above or below it.

    Examples
    --------
    >>> MiB = 2**20
    >>> full({"a": Place(90 * MiB, MiB), "b": Place(10 * MiB, MiB), "c": Place(65 * MiB, MiB)}, tolerance=0.2)
    ['a', 'c']
    >>> full({"a": Place(11 * MiB, MiB), "b": Place(9 * MiB, MiB)}, tolerance=0.2)
    []
    """
    excess = _excess(places)
    if not any(
        abs(amount) > max(tolerance * (places[address].stored - amount), _WORTH) for address, amount in excess.items()
    ):
        return []
    return sorted((address for address, amount in excess.items() if amount > 0), key=lambda one: (-excess[one], one))


def moves(results: Iterable[Result], places: Mapping[str, Place], budget: int) -> list[Move]:
    """Return what is to be moved now.

    Parameters
    ----------
    results
        Those that may be moved; of holders that are not among the places, none is.
    budget
        Bytes after which no more is begun. One result may be larger.

    Examples
    --------
    >>> moves([Result(n, 10, "a") for n in range(4)], {"a": Place(40, 0), "b": Place(0, 15)}, budget=100)
    [Move(key=3, size=10, source='a', target='b')]
    """
    plan = _Plan(results, places)
    found: list[Move] = []
    while budget > 0 and (move := plan.next()) is not None:
        found.append(move)
        budget -= move.size
    return found


class _Plan:
    """Sources and targets, each with what it is off its share; the worst of them on top of a heap."""

    def __init__(self, results: Iterable[Result], places: Mapping[str, Place]) -> None:
        excess = _excess(places)
        self._held: dict[str, list[tuple[int, Key]]] = {address: [] for address in excess if excess[address] > 0}
        for one in results:
            if one.size > 0 and one.holder in self._held:
                self._held[one.holder].append((one.size, one.key))
        for held in self._held.values():
            held.sort(key=_size)
        self._rooms = {address: place.room for address, place in places.items()}
        self._sources = [(-excess[address], address) for address in self._held]
        self._targets = [(amount, address) for address, amount in excess.items() if amount < 0]
        heapify(self._sources)
        heapify(self._targets)

    def next(self) -> Move | None:
        """Return the next move that makes the worst source and the worst target better; None if there is none."""
        while self._sources and self._targets:
            surplus, source = -self._sources[0][0], self._sources[0][1]
            deficit, target = -self._targets[0][0], self._targets[0][1]
            held, room = self._held[source], self._rooms[target]
            place = max(bisect_right(held, min(surplus, deficit, room), key=_size) - 1, 0)
            if not held or not _improves(held[place][0], surplus, deficit):
                heappop(self._sources)
            elif held[place][0] > room:
                heappop(self._targets)
            else:
                return self._take(source, target, *held.pop(place))
        return None

    def _take(self, source: str, target: str, size: int, key: Key) -> Move:
        surplus, deficit = -heappop(self._sources)[0] - size, -heappop(self._targets)[0] - size
        self._rooms[target] -= size
        if surplus > 0:
            heappush(self._sources, (-surplus, source))
        if deficit > 0:
            heappush(self._targets, (-deficit, target))
        return Move(key, size, source, target)


def _excess(places: Mapping[str, Place]) -> dict[str, int]:
    """Return how far each worker is above its share; negative where it is below."""
    stored = sum(place.stored for place in places.values())
    weight = sum(place.weight for place in places.values())
    return {address: place.stored - stored * place.weight // max(weight, 1) for address, place in places.items()}


def _improves(size: int, surplus: int, deficit: int) -> bool:
    return max(abs(surplus - size), abs(deficit - size)) < max(surplus, deficit)


def _size(held: tuple[int, Key]) -> int:
    return held[0]
