"""Processes that tasks start: what they hold, and an end to those that outgrow their worker.

Linux lists the children of every thread, so it is known whose they are. The kernel keeps the highest resident size of
each; they are looked at every tenth of a second, and one that lives shorter may be missed. No nanny counts them.
Copies of this process share its pages until somebody writes there: what is shared is counted once, for this process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import get_native_id
from time import monotonic

from supreme_dask.worker.process import unlimit

_PROC = Path("/proc")
_HIGHEST, _NOW = b"VmHWM:", b"VmRSS:"
_PROPORTIONAL, _ANONYMOUS, _OUR_PART = b"\nPss:", b"\nAnonymous:", b"\nPss_Anon:"
_MUCH = 64 << 20  # bytes; children that hold less need not be told apart
_SELDOM = 50  # times as long as it took, until it is asked again how much children share
_MOMENT = 1.0  # s; a child that is a copy of this process for longer does its work as one


class Children:
    """The processes of those threads that run a task."""

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}  # bytes, by thread
        self._ended: dict[int, int] = {}  # bytes that were held when children were ended, by thread
        self._copies: dict[int, dict[int, float]] = {}  # since when children are copies of us, by thread
        self._held: dict[int, int] = {}  # bytes at the last look, by thread
        self._shared = Shared()
        self._known: set[int] = set()

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
        children = {thread: self._children(thread) for thread in list(self._peaks)}
        self._unlimit({one for some in children.values() for one in some})
        held = {thread: sum(_bytes(_NOW, some)) for thread, some in children.items()}
        shared = self._shared.look(children, held)
        for thread in held:
            most = sum(_bytes(_HIGHEST, children[thread]))
            held[thread] -= min(shared.get(thread, 0), held[thread])
            if thread in self._peaks:  # the peak is asked for last: it is never below what is told of now
                highest = max(held[thread], most - shared.get(thread, 0))
                self._peaks[thread] = max(self._peaks[thread], highest)
        self._held = held
        return sum(held.values())

    def end_largest(self) -> None:
        """End the children of the thread whose children held most at the last look."""
        thread = max(self._held, key=self._held.__getitem__, default=None)
        if thread is not None and self._held[thread]:
            self._ended[thread] = self._held[thread]
            for child in _of(thread):
                _kill(child)

    def _unlimit(self, children: set[int]) -> None:
        """Let them map what they need: they inherited a limit that is made for this process."""
        for child in children - self._known:
            unlimit(child)
        self._known = children

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


class Shared:
    """How much of what children hold is counted elsewhere: pages that they share with this process or each other.

    Linux tells for every page how many share it, which costs milliseconds per gigabyte: it is asked only of children
    that hold much, and not more often than one part in fifty of the time.
    """

    def __init__(self) -> None:
        self._due = 0.0
        self._found: dict[int, int] = {}

    def look(self, children: Mapping[int, list[int]], held: Mapping[int, int]) -> dict[int, int]:
        """Return the bytes that are counted elsewhere, of the resident bytes of children, by thread."""
        if sum(held.values()) < _MUCH:
            self._found = {}
        elif (now := monotonic()) >= self._due:
            self._found = self._ask(children, held)
            self._due = monotonic() + _SELDOM * (monotonic() - now)
        return self._found

    def _ask(self, children: Mapping[int, list[int]], held: Mapping[int, int]) -> dict[int, int]:
        own = {thread: sum(_field(one, _PROPORTIONAL) for one in some) for thread, some in children.items()}
        ours = max(_field("self", _ANONYMOUS) - _field("self", _OUR_PART), 0)
        total = sum(own.values()) or 1
        # What we share counts for us in full, so not for them: each has its part of what is missing from ours.
        return {one: max(held[one] - own[one] + min(ours * own[one] // total, own[one]), 0) for one in own}


def _field(process: int | str, field: bytes) -> int:
    told = _read(_PROC / str(process) / "smaps_rollup").partition(field)[2].split(maxsplit=1)
    return int(told[0]) << 10 if told else 0


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
