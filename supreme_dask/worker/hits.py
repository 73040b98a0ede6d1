"""Errors that say that there was no memory: which they are, what was asked for, and how what they hold is freed."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

_FROM_CPP = "std::bad_alloc"
_SIZE = re.compile(r"\bof size (\d+)\b")  # Arrow's "malloc of size 64 failed"


def hit(error: BaseException | None) -> BaseException | None:
    """Return the error which says that there was no memory: this one, or one that led to it."""
    return next((one for one in _chain(error) if _is_hit(one)), None)


def asked(error: BaseException) -> int:
    """Return the bytes of the allocation that failed; 0 if the error does not say."""
    size = getattr(error, "_total_size", None)  # NumPy's, which knows them
    if isinstance(size, int):
        return size
    found = _SIZE.search(str(error))
    return int(found[1]) if found else 0


def let_go(message: MutableMapping[str, Any]) -> None:
    """Free what the frames of a task hold.

    The message, its error, the error's traceback and the frames refer to each other in a circle, which only a
    collection would free, some time later.
    """
    for one in list(_chain(message["actual_exception"])):
        traceback.clear_frames(one.__traceback__)
        one.__traceback__ = one.__context__ = one.__cause__ = None
    message.update(exception=None, traceback=None, actual_exception=None)


def _is_hit(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return _FROM_CPP in str(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
