"""What is done for a worker that is about to be killed for its memory.

Nobody can stop a thread of Python, and nobody knows whether the task that grows will end before the nanny acts. So
the worker is given nothing more, gives back what it has not begun, and others copy the results that only it holds.
A kill then costs what runs, and nothing that was done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace

from supreme_dask.core.keys import Key

_STRAINED = 0.80
"""Part of its memory limit above which a worker says what its process takes. Filled by what was reserved it may
be fuller than that; it is in danger only if it is fuller than what was reserved explains."""
_STEP = 0.02
"""Part of its memory limit by which a worker must have grown to say so again."""
_UNEXPLAINED = 16 << 20
"""Bytes by which a process may exceed what was reserved: allocators keep some."""


class Pressure:
    """How full one worker is; says so when that is worth a message.

    Parameters
    ----------
    limit
        Bytes that it may take; None or 0 if nobody limits it.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit or 0
        self._said = 0

    def look(self, process: int) -> bool | None:
        """Return True if it is near its limit and nearer than when that was said last, False if it no longer is.

        Parameters
        ----------
        process
            Bytes that its process takes.
        """
        if process < _STRAINED * self._limit or not self._limit:
            relaxed, self._said = self._said > 0, 0
            return False if relaxed else None
        if process - self._said < _STEP * self._limit:
            return None
        self._said = process
        return True


@dataclass(frozen=True, slots=True)
class Result:
    """A result that one worker holds alone.

    Attributes
    ----------
    size : int
        Bytes of it.
    holder : str
        Address of the worker.
    """

    key: Key
    size: int
    holder: str


def in_danger(process: int, base: int, burden: int, reserved: int) -> bool:
    """Tell whether a worker holds more than anybody reserved, so that nobody knows where it ends.

    Parameters
    ----------
    process
        Bytes that its process takes.
    base
        Bytes that it takes when it runs and stores nothing.
    burden
        Bytes of what it stores.
    reserved
        Bytes that were set aside for the tasks there.
    """
    return process - base - burden - reserved > _UNEXPLAINED


def copies(results: Iterable[Result], rooms: Mapping[str, int]) -> dict[str, list[Key]]:
    """Return which worker copies which results, so that all of them fill up alike.

    A result that fits nowhere is left where it is: a copy is worth less than the worker that it would endanger.

    Parameters
    ----------
    rooms
        Bytes that each worker has left for copies, by address.

    Examples
    --------
    >>> copies([Result("x", 10, "a"), Result("y", 10, "a"), Result("z", 10, "b")], {"a": 50, "b": 30, "c": 15})
    {'b': ['x', 'y'], 'a': ['z']}
    """
    found: dict[str, list[Key]] = {}
    heap = [(-room, address) for address, room in rooms.items()]
    heapify(heap)
    for one in results:
        holder = heappop(heap) if heap and heap[0][1] == one.holder else None
        if heap and -heap[0][0] >= one.size:
            room, address = heap[0]
            heapreplace(heap, (room + one.size, address))
            found.setdefault(address, []).append(one.key)
        if holder is not None:
            heappush(heap, holder)
    return found
