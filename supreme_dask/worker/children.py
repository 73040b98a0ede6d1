"""Processes that tasks start: what they hold, and an end to those that outgrow their worker.

Linux lists the children of every thread, so it is known whose they are. The kernel keeps the highest resident size of
each; they are looked at every tenth of a second, and one that lives shorter may be missed. No nanny counts them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import get_native_id
from time import monotonic

_PROC = Path("/proc")
_HIGHEST, _NOW = b"VmHWM:", b"VmRSS:"
_MOMENT = 1.0  # s; a child that is a copy of this process for longer does its work as one


class Children:
    """The processes of those threads that run a task."""

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}  # bytes, by thread
        self._ended: dict[int, int] = {}  # bytes that were held when children were ended, by thread
        self._copies: dict[int, dict[int, float]] = {}  # since when children are copies of us, by thread

    def begin(self) -> None:
        """Watch the children of this thread."""
        self._peaks[get_native_id()] = 0

    def end(self) -> tuple[int, int]:
        """Return the most that children of this thread held since `begin`, and what they held when they were ended.

        In bytes; 0 where there were none.
        """
        thread = get_native_id()
        self._copies.pop(thread, None)
        return self._peaks.pop(thread, 0), self._ended.pop(thread, 0)

    def look(self) -> int:
        """Note what the children of all threads hold; return the bytes of now."""
        return sum(self._look(thread) for thread in list(self._peaks))

    def end_largest(self) -> None:
        """End the children of the thread whose children hold most."""
        held = {thread: sum(_bytes(_NOW, self._children(thread))) for thread in list(self._peaks)}
        thread = max(held, key=held.__getitem__, default=None)
        if thread is not None and held[thread]:
            self._ended[thread] = held[thread]
            for child in _of(thread):
                _kill(child)

    def _look(self, thread: int) -> int:
        children = self._children(thread)
        if not children:
            return 0
        held = sum(_bytes(_NOW, children))
        if thread in self._peaks:  # the peak is asked for last: it is never below what is told of now
            self._peaks[thread] = max(self._peaks[thread], held, sum(_bytes(_HIGHEST, children)))
        return held

    def _children(self, thread: int) -> list[int]:
        """Return the children of a thread, but those that have just been made and are about to run another program.

        Until they do, what they hold is what this process holds.
        """
        children, now = list(_of(thread)), monotonic()
        ours, before = _read(_PROC / "self" / "cmdline"), self._copies.get(thread, {})
        copies = {one: before.get(one, now) for one in children if _read(_PROC / str(one) / "cmdline") == ours}
        if thread in self._peaks:
            self._copies[thread] = copies
        return [one for one in children if one not in copies or now - copies[one] > _MOMENT]


def _of(thread: int) -> Iterator[int]:
    """Yield the processes that a thread of this process started, and theirs."""
    found = _read(_PROC / "self" / "task" / str(thread) / "children").split()
    while found:
        child = found.pop()
        yield int(child)
        threads = _PROC / child.decode() / "task"
        try:
            tasks = list(threads.iterdir())
        except OSError:  # it has ended
            continue
        for task in tasks:
            found += _read(task / "children").split()


def _bytes(field: bytes, processes: Iterable[int]) -> Iterator[int]:
    for process in processes:
        told = _read(_PROC / str(process) / "status").partition(field)[2].split(maxsplit=1)
        if told:  # one that has ended holds nothing
            yield int(told[0]) << 10


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended, or this system keeps no such list
        return b""


def _kill(process: int) -> None:
    with suppress(OSError):  # it has ended, or belongs to somebody else
        os.kill(process, signal.SIGKILL)
