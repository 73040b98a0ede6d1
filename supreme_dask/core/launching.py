"""Workers that were asked for and have not joined: who is on the way, who is given up, and when to ask again.

A group of which a worker is late, ended before it joined, or could not be had, is blocked for a while: twice as long
each time in a row, until one joins.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from supreme_dask.core import reasons
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.snapshot import Launch

_SLOW = 3.0  # times the start-up time of its group
_FIRST_BLOCK = 10.0  # s
_LONGEST_BLOCK = 300.0  # s


@dataclass(slots=True)
class _Group:
    launches: list[Launch] = field(default_factory=list)  # oldest first
    failures: int = 0  # in a row
    blocked_until: float = float("-inf")
    reason: str = ""


class Launches:
    """The launches of all groups. It has one owner, who brings the time.

    Parameters
    ----------
    timeout
        Seconds within which a worker must have joined; three start-up times of its group, if that is longer.

    Attributes
    ----------
    abandoned : set of str
        Names of workers that were given up, though they exist somewhere: whoever made them may remove them.
    """

    def __init__(self, timeout: float) -> None:
        self.abandoned: set[str] = set()
        self._timeout = timeout
        self._groups: dict[str, _Group] = {}
        self._ever_joined: set[str] = set()

    def of(self, group: str) -> tuple[Launch, ...]:
        """Return who is on the way to a group."""
        return tuple(self._of(group).launches)

    def blocked(self, group: str, now: float) -> str:
        """Return why no more workers of a group are asked for; empty if they are."""
        state = self._of(group)
        return state.reason if now < state.blocked_until else ""

    def has_joined(self, name: str) -> bool:
        """Return whether a worker that exists has joined before."""
        return name in self._ever_joined

    def want(self, group: WorkerGroup, missing: int, now: float) -> None:
        """Note that a plan asks for so many workers that have not joined, in all.

        Those that exist somewhere come, wanted or not; the others are no more asked for.
        """
        launches = self._of(group.name).launches
        if not self.blocked(group.name, now):
            launches += [Launch("", self._deadline(group, now))] * (missing - len(launches))
        for place in reversed(range(len(launches))):
            if len(launches) > missing and not launches[place].name:
                del launches[place]

    def joined(self, group: str, name: str) -> None:
        """Take a worker off that has come: the one of that name, or the oldest that has none."""
        state = self._of(group)
        state.failures, state.blocked_until = 0, float("-inf")
        self._ever_joined.add(name)
        candidates = [place for place, launch in enumerate(state.launches) if launch.name in (name, "")]
        if candidates:
            del state.launches[max(candidates, key=lambda place: (state.launches[place].name == name, -place))]

    def report(
        self, existing: Mapping[str, str], there: Container[str], groups: Mapping[str, WorkerGroup], now: float
    ) -> list[str]:
        """Take in who exists, starting or running; return a sentence for each group of which some have ended.

        Parameters
        ----------
        existing
            Group of each worker by name, as those say who make them.
        there
            Names of those that have joined.
        groups
            All that there are; of others nobody is on the way any more.
        """
        self.abandoned &= existing.keys()
        for name, group in existing.items():
            if name in there and name not in self._ever_joined and group in groups:
                self.joined(group, name)  # as one of no group, if its name does not say it and no report had come
        ever_joined = self._ever_joined
        self._ever_joined = {name for name in existing if name in ever_joined or name in there}
        self._groups = {name: state for name, state in self._groups.items() if name in groups}
        sentences = []
        for name, state in self._groups.items():
            # Whoever is there has come, though nobody may have looked when he did.
            coming = [one for one in state.launches if not one.name or one.name not in there]
            ended = [one for one in coming if one.name and one.name not in existing]
            state.launches = [one for one in coming if one not in ended]
            early = [one.name for one in ended if one.name not in ever_joined]
            if early:
                sentences.append(self._fail(name, reasons.ended_early(early), now))
        for name, group in existing.items():
            if group in groups and name not in there and name not in self.abandoned:
                self._see(name, groups[group], now)
        return sentences

    def refuse(self, group: str, reason: str, now: float) -> bool:
        """Note that a group cannot be had now; tell whether that is news."""
        if self.blocked(group, now):
            return False
        state = self._of(group)
        state.launches = [launch for launch in state.launches if launch.name]
        self._fail(group, reason, now)
        return True

    def expire(self, now: float) -> list[str]:
        """Give up those that are late; return a sentence for each group that has such."""
        sentences = []
        for name, state in self._groups.items():
            late = [launch for launch in state.launches if launch.deadline <= now]
            state.launches = [launch for launch in state.launches if launch.deadline > now]
            self.abandoned.update(launch.name for launch in late if launch.name)
            if late:
                sentences.append(self._fail(name, reasons.never_joined(name, len(late)), now))
        return sentences

    def _of(self, group: str) -> _Group:
        return self._groups.setdefault(group, _Group())

    def _see(self, name: str, group: WorkerGroup, now: float) -> None:
        launches = self._of(group.name).launches
        if any(launch.name == name for launch in launches):
            return
        place = next((place for place, launch in enumerate(launches) if not launch.name), None)
        if place is None:
            launches.append(Launch(name, self._deadline(group, now)))
        else:
            launches[place] = Launch(name, launches[place].deadline)

    def _fail(self, group: str, reason: str, now: float) -> str:
        state = self._of(group)
        seconds = min(_FIRST_BLOCK * 2**state.failures, _LONGEST_BLOCK)
        state.blocked_until = now + seconds
        state.failures += 1
        state.reason = reason
        return reasons.backs_off(reason, seconds)

    def _deadline(self, group: WorkerGroup, now: float) -> float:
        return now + max(self._timeout, _SLOW * group.startup)
