"""Who copies which results of a worker that leaves, and in which order.

What nobody can compute again goes first, then what is dearest to compute again per byte: should time run out, least
is lost. Only so much is under way at once that this order counts, and that the worker need not load all that it has
spilled. It keeps its own copies, so that nothing is lost if a taker dies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter

from supreme_dask.core.keys import Key

_AT_ONCE = 256 << 20
"""Bytes under way, or one result if that is larger."""
_MOST = 500
"""Results under way."""
_CHOICES = 32
"""Workers that are looked at."""
_PATIENCE = 5.0
"""Seconds after which another worker is asked for a copy that does not come, at 50 MB/s."""
_SLOWEST = 50e6


@dataclass(frozen=True, slots=True)
class Sole:
    """A result that no worker holds which stays.

    Attributes
    ----------
    size : int
        Bytes of it.
    seconds : float
        What it takes to compute it again; infinite if nobody can.
    """

    key: Key
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Copy:
    result: Sole
    taker: str
    late: float


class Handover:
    """The results of one worker: which wait, and which are under way.

    Parameters
    ----------
    results
        What only it holds.
    """

    def __init__(self, results: Iterable[Sole] = ()) -> None:
        self._waiting = deque(sorted(results, key=_worth, reverse=True))
        self._under_way: dict[Key, _Copy] = {}
        self._avoid: dict[Key, str] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    @property
    def under_way(self) -> list[Key]:
        """What was asked for and has not been seen elsewhere."""
        return list(self._under_way)

    def settle(self, keys: Iterable[Key]) -> None:
        """Note results that are held elsewhere by now, or that nobody wants any more."""
        for key in keys:
            self._under_way.pop(key, None)

    def next(self, rooms: Mapping[str, int], now: float) -> dict[str, list[Key]]:
        """Return which worker is to copy which results now; the one with most room takes the next.

        Parameters
        ----------
        rooms
            Bytes that each worker that stays has left, by address. Where nothing fits, results go all the same: they
            can be spilled.
        now
            Seconds.
        """
        self._give_up(rooms, now)
        left = dict(nlargest(_CHOICES, rooms.items(), key=itemgetter(1)))
        moving = 0
        for copy in self._under_way.values():
            moving += copy.result.size
            if copy.taker in left:
                left[copy.taker] -= copy.result.size
        found: dict[str, list[Key]] = {}
        while left and self._waiting and len(self._under_way) < _MOST:
            one = self._waiting[0]
            if moving and moving + one.size > _AT_ONCE:
                break
            taker = self._taker(one, left)
            self._waiting.popleft()
            self._under_way[one.key] = _Copy(one, taker, now + _PATIENCE + one.size / _SLOWEST)
            found.setdefault(taker, []).append(one.key)
            left[taker] -= one.size
            moving += one.size
        return found

    def _give_up(self, rooms: Mapping[str, int], now: float) -> None:
        """Let copies wait again that are late, or whose taker is gone."""
        for key, copy in list(self._under_way.items()):
            if now >= copy.late or copy.taker not in rooms:
                del self._under_way[key]
                self._avoid[key] = copy.taker
                self._waiting.appendleft(copy.result)

    def _taker(self, one: Sole, left: Mapping[str, int]) -> str:
        avoided = self._avoid.get(one.key)
        others = {address: room for address, room in left.items() if address != avoided} or left
        return max(others, key=lambda address: (others[address], address))


def _worth(one: Sole) -> tuple[float, int]:
    return one.seconds / max(one.size, 1), -one.size
