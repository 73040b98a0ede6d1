"""What one task took: processor seconds and peak memory, measured in the thread that ran it.

The kernel keeps the highest resident size of a process (``VmHWM``) and lets the process set it back. A task that runs
alone starts by doing so; the peak above its start is its own. A task that others overlapped gets an upper bound: the
peak above the least that the process ever held when nothing ran. Setting back and reading costs tens of microseconds,
so short types are measured only now and then.
"""

from __future__ import annotations

import ctypes
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any, TypeVar

T = TypeVar("T")

_PAGE = resource.getpagesize()
_SHORT = 0.010  # seconds; below it a measurement is dear in proportion
_ALWAYS = 4  # runs of a type that are measured whatever they cost
_EVERY = 32  # then one of so many short ones
_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): "resets the peak resident set size to the current value"

Measured = tuple[float, int | None, bool, int | None]
"""Processor seconds, peak bytes (None: not measured), whether these are the task's own, and what the process held
afterwards (None: others ran)."""


class Meter:
    """Measures the tasks of one process; any number of threads may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._started = 0  # tasks so far: a task that saw no other start or run was alone
        self._floor = _resident()  # fewest bytes ever held when nothing ran
        self._runs: dict[str, int] = {}
        self._short: dict[str, bool] = {}
        self._trim = _malloc_trim()
        self.works = _reset_peak()

    def run(self, type_: str, call: Callable[[], T]) -> tuple[T, Measured | None]:
        """Run `call` and return its result, with what it took; None if this run was not measured.

        Parameters
        ----------
        type_
            What runs alike: short types are measured now and then only.
        """
        measured = self._is_due(type_)
        started, base, alone = self._begin(measured)
        wall, cpu, total_cpu = perf_counter(), thread_time(), process_time()
        try:
            result = call()
        finally:
            wall = perf_counter() - wall
            cpu, total_cpu = thread_time() - cpu, process_time() - total_cpu
            alone, peak, floor, after = self._end(started, alone=alone, measured=measured)
            self._short[type_] = wall < _SHORT
        if not measured:
            return result, None
        above = max(peak - (base if alone else floor), 0)
        return result, (total_cpu if alone else cpu, above if self.works else None, alone, after)

    def _is_due(self, type_: str) -> bool:
        runs = self._runs[type_] = self._runs.get(type_, 0) + 1
        return runs <= _ALWAYS or not self._short.get(type_) or runs % _EVERY == 0

    def _begin(self, measured: bool) -> tuple[int, int, bool]:
        with self._lock:
            self._running += 1
            self._started += 1
            alone = self._running == 1
            if not measured:
                return self._started, 0, alone
            if alone:
                # What the allocator kept of earlier tasks would hide what this one takes.
                self._trim()
                _reset_peak()
            resident = _resident()
            if alone:
                self._floor = min(self._floor, resident)
            return self._started, resident, alone

    def _end(self, started: int, *, alone: bool, measured: bool) -> tuple[bool, int, int, int | None]:
        with self._lock:
            self._running -= 1
            alone = alone and self._started == started
            if not measured:
                return alone, 0, self._floor, None
            peak = _peak()
            if alone:
                self._trim()
            return alone, peak, self._floor, _resident() if alone else None


def _resident() -> int:
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except OSError:
        return _peak()


def _peak() -> int:
    # Not `ru_maxrss`, if there is better: it is never less than what the process that forked this one took.
    try:
        return int(_STATUS.read_bytes().partition(b"VmHWM:")[2].split(maxsplit=1)[0]) << 10
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _reset_peak() -> bool:
    """Set the peak back; return whether this system lets us."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _malloc_trim() -> Callable[[], Any]:
    """Return glibc's way to give freed memory back, or something that does nothing where there is none."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return lambda: 0
    return lambda: trim(0)
