"""What several sentences have in common."""

from __future__ import annotations

from supreme_dask.core.resources import format_amount


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "task"), counted(2, "task")
    ('1 task', '2 tasks')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")


def amount(resource: str, number: int) -> str:
    """Return an amount of anything that a worker can lack."""
    return str(number) if resource in ("threads", "idle", "worker") else format_amount(resource, number)
