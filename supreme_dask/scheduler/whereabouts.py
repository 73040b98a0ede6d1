"""Where one task is, as distributed's scheduler has it: its states in, one value out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dask.typing import Key
from distributed.scheduler import Scheduler, TaskState

from supreme_dask.scheduler import observe

_MANY = 100  # results that a task waits for and that are looked at
_DEEP = 10_000  # tasks of a chain
_LONGEST = 300  # characters of an error
_LONGEST_KEY = 1000  # characters of a key that is read as one of another type
_LIKELY = ("no-worker", "queued", "waiting", "processing")
"""In which of these states a task is the more likely to be what others wait for."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """One task.

    Attributes
    ----------
    key : Key
        Its key.
    state : str
        Its state in Dask.
    type : str
        Its type.
    workers : tuple of str
        Names of the workers that have it, its result, or that had it when it failed.
    seconds : float or None
        For how long it has been running; None unless its worker has told that it runs.
    nbytes : int
        Size of its result.
    missing, needed : int
        Results that it waits for, and that it needs.
    error : str
        Why it failed, in a line.
    blamed : Key or None
        The task that failed first, if it is another.
    """

    key: Key
    state: str
    type: str
    workers: tuple[str, ...] = ()
    seconds: float | None = None
    nbytes: int = 0
    missing: int = 0
    needed: int = 0
    error: str = ""
    blamed: Key | None = None


def find(scheduler: Scheduler, key: Any) -> Key | None:
    """Return the key of a task that a person means by what may be its key, or that in words; None if there is none.

    >>> from types import SimpleNamespace
    >>> scheduler = SimpleNamespace(tasks={"load-1": 0, ("x", 0): 0, 7: 0})
    >>> find(scheduler, "load-1"), find(scheduler, "('x', 0)"), find(scheduler, "7"), find(scheduler, "load")
    ('load-1', ('x', 0), 7, None)
    """
    if key in scheduler.tasks:
        return key  # type: ignore[no-any-return]
    try:
        meant: Key = ast.literal_eval(key) if isinstance(key, str) and len(key) < _LONGEST_KEY else ""
        known = meant in scheduler.tasks
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # any text may come
        return None
    return meant if known else None


def look(scheduler: Scheduler, key: Key, now: float) -> Whereabouts:
    """Return where a task is at the time `now`, in seconds since 1970."""
    ts = scheduler.tasks[key]
    return Whereabouts(
        ts.key,
        ts.state,
        observe.task_type(ts),
        tuple(sorted(_names(scheduler, ts))),
        _seconds(ts, now),
        max(ts.nbytes, 0),
        len(ts.waiting_on or ()),
        len(ts.dependencies),
        _in_a_line(ts.exception_text or "") if ts.state == "erred" else "",
        ts.exception_blame.key if ts.exception_blame not in (None, ts) else None,
    )


def root(scheduler: Scheduler, key: Key) -> Key:
    """Return the task for which one waits in the end: itself, if it waits for no other's result."""
    ts = scheduler.tasks[key]
    for _ in range(_DEEP):
        missing = islice(ts.waiting_on or (), _MANY)
        ts, before = min(missing, key=_likely, default=ts), ts
        if ts is before:
            break
    return ts.key


def _likely(ts: TaskState) -> tuple[int, Any]:
    rank = _LIKELY.index(ts.state) if ts.state in _LIKELY else len(_LIKELY)
    return rank, ts.priority or ()


def _seconds(ts: TaskState, now: float) -> float | None:
    ws = ts.processing_on
    if ws is None or ts not in ws.executing:
        return None
    return float(ws.executing[ts] + max(now - ws.last_seen, 0.0))


def _names(scheduler: Scheduler, ts: TaskState) -> Iterator[str]:
    if ts.state == "erred":
        there = scheduler.workers
        return (str(there[one].name) if one in there else one for one in ts.erred_on or ())
    workers = [ts.processing_on] if ts.processing_on is not None else ts.who_has or ()
    return (str(ws.name) for ws in workers)


def _in_a_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
