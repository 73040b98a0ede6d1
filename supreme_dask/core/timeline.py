"""How many workers each group had and was to have, over time, and what was decided: a bounded number of changes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

from supreme_dask.core.plans import Plan
from supreme_dask.core.snapshot import Snapshot

_MOST = 2000  # changes
_DECISIONS = 100


class Counts(NamedTuple):
    """The workers of one group at one time.

    Attributes
    ----------
    wanted, there, starting, draining : int
        How many there should be, have joined and stay, are on their way in, and are on their way out.
    """

    wanted: int
    there: int
    starting: int
    draining: int


class Timeline:
    """The counts of all groups. It has one owner, who brings the time.

    Examples
    --------
    >>> timeline = Timeline()
    >>> for now in range(3):
    ...     timeline.note({"small": Counts(2, now // 2, 1, 0)}, float(now))
    >>> [(time, group, counts.there) for time, group, counts in timeline.changes()]
    [(0.0, 'small', 0), (2.0, 'small', 1)]
    """

    def __init__(self) -> None:
        self._changes: deque[tuple[float, str, Counts]] = deque(maxlen=_MOST)
        self._last: dict[str, Counts] = {}
        self._decisions: deque[tuple[float, str]] = deque(maxlen=_DECISIONS)

    def note(self, counts: Mapping[str, Counts], now: float) -> None:
        """Take in the counts of the groups that are there; of one that is gone, that it has none."""
        gone = {group: Counts(0, 0, 0, 0) for group in self._last.keys() - counts.keys()}
        for group, found in {**gone, **counts}.items():
            if self._last.get(group) != found:
                self._last[group] = found
                self._changes.append((now, group, found))
        for group in gone:
            del self._last[group]

    def changes(self) -> list[tuple[float, str, Counts]]:
        """Return the changes that are kept, the oldest first: when, of which group, and its counts from then on."""
        return list(self._changes)

    def tell(self, sentence: str, now: float) -> None:
        """Take in what was decided."""
        self._decisions.append((now, sentence))

    def decisions(self) -> list[tuple[float, str]]:
        """Return the decisions that are kept, the oldest first."""
        return list(self._decisions)


def counts_of(snapshot: Snapshot, plan: Plan) -> dict[str, Counts]:
    """Return the counts of each group that can be scaled."""
    wanted = {target.group: target.workers for target in plan.targets}
    there = Counter((one.group, one.draining) for one in snapshot.workers)
    names = {view.group.name: len(view.launching) for view in snapshot.groups}
    return {
        name: Counts(wanted.get(name, there[name, False]), there[name, False], starting, there[name, True])
        for name, starting in names.items()
    }
