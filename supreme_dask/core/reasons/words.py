"""What several sentences have in common."""

from __future__ import annotations

from collections.abc import Sequence

from supreme_dask.core.resources import format_amount

_NAMED = 3  # of many names


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "task"), counted(2, "task")
    ('1 task', '2 tasks')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")


def few(names: Sequence[str], noun: str = "") -> str:
    """Return the first of some names, and how many there are beside them.

    >>> few(["a", "b"]), few(["a", "b", "c", "d", "e"], "types")
    ('a, b', 'a, b, c and 2 more types')
    """
    more = f" and {len(names) - _NAMED} more {noun}".rstrip() if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def amount(resource: str, number: int) -> str:
    """Return an amount of anything that a worker can lack."""
    return str(number) if resource in ("threads", "idle", "worker") else format_amount(resource, number)
