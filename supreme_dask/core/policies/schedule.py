"""Different limits at different times of the week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from supreme_dask.core import reasons
from supreme_dask.core.policies.base import AtLeast, AtMost, Proposal
from supreme_dask.core.policies.situation import Situation

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the week.

    Attributes
    ----------
    begin, end : int
        Minutes of the day. An end that is not after the beginning is one of the next day.
    days : frozenset of int
        On which they begin; Monday is 0.
    zone : tzinfo
        Of the clock on the wall; where that is put forward or back, so are the hours.
    """

    begin: int
    end: int
    days: frozenset[int]
    zone: tzinfo = UTC

    def contain(self, wall: float) -> bool:
        """Tell whether it is within them at `wall` seconds since 1970."""
        there = datetime.fromtimestamp(wall, self.zone)
        day, minute = there.weekday(), 60 * there.hour + there.minute
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Limits of groups that hold at certain hours, or whenever another schedule does not.

    Attributes
    ----------
    name : str
        Of this rule.
    hours : Hours or None
        When it holds; None for always.
    outside : Schedule or None
        It does not hold while this one does.
    minimum, maximum : mapping of str to int
        By group.
    """

    name: str
    hours: Hours | None = None
    outside: Schedule | None = None
    minimum: Mapping[str, int] = field(default_factory=dict)
    maximum: Mapping[str, int] = field(default_factory=dict)

    def holds(self, wall: float) -> bool:
        """Tell whether it holds at `wall` seconds since 1970."""
        within = self.hours is None or self.hours.contain(wall)
        return within and not (self.outside is not None and self.outside.holds(wall))

    def propose(self, situation: Situation) -> Iterable[Proposal]:
        """Propose the limits, while it holds."""
        if self.holds(situation.snapshot.wall):
            reason = reasons.scheduled(self.name)
            yield from (AtLeast(group, workers, reason) for group, workers in self.minimum.items())
            yield from (AtMost(group, workers, reason) for group, workers in self.maximum.items())
