"""A bound on launches that needs no plan to be right: it counts what exists, and what was launched within an hour."""

from __future__ import annotations

from collections import deque

from supreme_dask.core import reasons
from supreme_dask.core.groups import WorkerGroup

_HOUR = 3600.0  # s
_LEAST, _TIMES, _UNBOUNDED = 100, 10, 1000
"""Launches within an hour where none are stated: at least so many, so many times the maximum of a group, and so many
where a group has none. A group whose workers all come and go every six minutes stays below."""


class Fuse:
    """Bounds the launches of one controller, which brings the time in seconds.

    Parameters
    ----------
    per_hour
        How many workers of one group may be launched within an hour; None for ten times its maximum, at least 100,
        and 1,000 without a maximum.

    Examples
    --------
    >>> fuse, group = Fuse(per_hour=3), WorkerGroup("small", maximum=2)
    >>> fuse.allow(group, 5, existing=1, now=0.0), fuse.allow(group, 1, existing=2, now=1.0)
    (1, 0)
    >>> fuse.allow(group, 2, existing=0, now=2.0), fuse.allow(group, 1, existing=0, now=3.0)
    (2, 0)
    >>> fuse.blown(3.0)
    {'small': '3 workers of group small were launched within an hour, as many as may be: no more for 60 minutes'}
    """

    def __init__(self, per_hour: int | None = None) -> None:
        self._per_hour = per_hour
        self._launched: dict[str, deque[float]] = {}
        self._until: dict[str, tuple[float, str]] = {}

    def allow(self, group: WorkerGroup, wanted: int, existing: int, now: float) -> int:
        """Return how many workers may be launched now, of those that are wanted, and count them as launched.

        Parameters
        ----------
        existing
            Workers of the group that exist, those that are ending counted.
        """
        if self._is_blown(group.name, now):
            return 0
        room = wanted if group.maximum is None else min(wanted, max(group.maximum - existing, 0))
        launched = self._launched.setdefault(group.name, deque())
        while launched and launched[0] <= now - _HOUR:
            launched.popleft()
        limit = self._limit(group)
        allowed = min(room, max(limit - len(launched), 0))
        launched.extend([now] * allowed)
        if allowed < room:
            self._until[group.name] = now + _HOUR, reasons.fuse_blown(group.name, limit)
        return allowed

    def blown(self, now: float) -> dict[str, str]:
        """Return by group why none is launched."""
        return {name: reason for name, (_, reason) in self._until.items() if self._is_blown(name, now)}

    def reset(self, group: str) -> None:
        """Let workers of a group be launched again, as if none had been."""
        self._launched.pop(group, None)
        self._until.pop(group, None)

    def _is_blown(self, group: str, now: float) -> bool:
        return group in self._until and now < self._until[group][0]

    def _limit(self, group: WorkerGroup) -> int:
        if self._per_hour is not None:
            return self._per_hour
        return _UNBOUNDED if group.maximum is None else max(_LEAST, _TIMES * group.maximum)
