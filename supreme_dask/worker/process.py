"""What this process has mapped and holds, and the limit of what it may map, as Linux says and takes it.

RLIMIT_DATA counts what is private and writable, that is what programs allocate; not files that are only read.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Any, NamedTuple

_PAGE = resource.getpagesize()
_LIBRARIES = 128 << 20
"""Bytes of resident files that count as memory: code. What is beyond are data, which the kernel drops at need."""
_FILES = b"RssFile:"
_FIRST = (4, 7)  # the Linux in which RLIMIT_DATA began to count all that is private and writable


class Memory(NamedTuple):
    """Bytes that a process has mapped, private and writable; that it holds of these; that it uses in all."""

    mapped: int
    held: int
    used: int


def can_be_limited() -> bool:
    """Tell whether this system limits what a process maps."""
    if sys.platform != "linux":
        return False
    version = os.uname().release.split(".")
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version[:2]) >= _FIRST


class Reader:
    """Reads the memory of this process, without letting other threads in between: they would take their time."""

    def __init__(self) -> None:
        self._file = os.open("/proc/self/statm", os.O_RDONLY)
        self._buffer = ctypes.create_string_buffer(128)
        # Python's own call gives up its lock, and waits for it again behind every thread that computes.
        self._pread = ctypes.PyDLL(None).pread
        self._pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long)
        self._pread.restype = ctypes.c_ssize_t

    def read(self) -> Memory:
        """Return what this process has mapped and uses now."""
        length = self._pread(self._file, self._buffer, 127, 0)
        _, resident, shared, _, _, mapped, *_ = self._buffer.raw[:length].split()
        used, files = int(resident) * _PAGE, int(shared) * _PAGE
        held = used - files
        if files > _LIBRARIES:
            used -= data_files("self")
        return Memory(int(mapped) * _PAGE, held, used)


def resident(process: int) -> int:
    """Return the bytes that a process has of the machine's memory; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def data_files(process: int | str) -> int:
    """Return the bytes of files that a process only reads, and that are no libraries; 0 if nobody can tell."""
    try:
        told = Path(f"/proc/{process}/status").read_bytes().partition(_FILES)[2].split(maxsplit=1)
    except OSError:
        return 0
    return max((int(told[0]) << 10) - _LIBRARIES, 0) if told else 0


class DataLimit:
    """The soft limit of what this process may map. Its children get none: nobody would look after them."""

    def __init__(self) -> None:
        self._first, self._hard = resource.getrlimit(resource.RLIMIT_DATA)
        self._set = self._first
        os.register_at_fork(after_in_child=self.lift)

    @property
    def now(self) -> int:
        """Bytes; -1 for none."""
        return self._set

    def set(self, limit: int) -> None:
        """Let this process map so many bytes, or what its user allows if that is less."""
        if self._first != resource.RLIM_INFINITY:
            limit = min(limit, self._first)
        if limit != self._set:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, self._hard))
            self._set = limit

    def lift(self) -> None:
        """Let this process map what it could at first."""
        resource.setrlimit(resource.RLIMIT_DATA, (self._first, self._hard))
        self._set = self._first


def is_limited(process: int) -> bool:
    """Tell whether a process has a limit of what it may map below the highest that it could have."""
    soft, hard = _limits(process)
    return soft not in (resource.RLIM_INFINITY, hard)


def unlimit(process: int) -> None:
    """Take from a process that was started by one with a limit what it inherited; one that has ended has none."""
    soft, hard = _limits(process)
    if soft != hard:
        resource.prlimit(process, resource.RLIMIT_DATA, (hard, hard))


def _limits(process: int) -> tuple[int, int]:
    try:
        return resource.prlimit(process, resource.RLIMIT_DATA)
    except OSError:  # it has ended, or belongs to somebody else
        return resource.RLIM_INFINITY, resource.RLIM_INFINITY


def trim() -> None:
    """Give freed memory back to the system, where the allocator is glibc's."""
    _trim(0)


def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return lambda _: 0


_trim = _malloc_trim()
