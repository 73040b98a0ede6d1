"""A policy as people write it: rules by name, each of a kind.

============= ============================================ ==================================================
kind          what it says                                 what else may be said
============= ============================================ ==================================================
threshold     ``threshold``, ``action``: add_node or       ``metric``, ``for-seconds``, ``step``, ``group``,
              remove_node                                  ``window``: now, minute, five-minutes
demand        workers for what waits                       ``within-seconds``
idle          idle workers go                              ``after-seconds``
schedule      ``minimum`` and ``maximum`` of groups        ``from``, ``to``, ``days``, ``time-zone``,
                                                           ``outside``: another schedule
budget        ``per-hour``, ``total``
rate          ``add``, ``per-seconds``
extension     ``name``: a policy of another distribution   ``options``
============= ============================================ ==================================================

A rule that names no kind is a threshold, and if it names no metric that is in its name: ``high_cpu``, ``low_memory``.
The form is a JSON Schema's business (`stores.schemas`); here is what no schema can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from supreme_dask.core.policies.base import Policy, Rule
from supreme_dask.core.policies.demand import Demand
from supreme_dask.core.policies.idle import Idle
from supreme_dask.core.policies.limits import Budget, Rate
from supreme_dask.core.policies.schedule import DAYS, Hours, Schedule
from supreme_dask.core.policies.thresholds import METRICS, Threshold
from supreme_dask.errors import PolicyError

DEFAULT_POLICY: dict[str, Any] = {
    "demand": {"kind": "demand"},
    "idle": {"kind": "idle"},
    "rate": {"kind": "rate", "add": 500, "per-seconds": 60},
}
"""What scales a cluster whose operator says nothing else."""

_DWELL = {"add_node": 30.0, "remove_node": 120.0}
"""Seconds for which a threshold must have been crossed, if nothing is said: to add too late delays work, to remove
too early costs a start."""
_WITHIN = 5.0
"""Seconds in which what waits should be done, if nothing is said: Dask's own distributed.adaptive.target-duration."""

_WHOLE = 100.0
_OUT_OF_RANGE = "is out of range: expected a percentage from 0 to 100, or for backlog seconds from 0"

Content = Mapping[str, Mapping[str, Any]]
Find = Callable[[str], Callable[..., Rule]]


def read_policy(content: Content, find: Find | None = None, malformed: Collection[object] = ()) -> Policy:
    """Return the policy that a document describes. Its form has been checked.

    Parameters
    ----------
    content
        The document: options by the name of the rule.
    find
        Returns what makes an extension's rule, by its name; it is called with the options of the rule.
    malformed
        Names of the rules whose form is wrong. They are left out: so all that is wrong is told at once.

    Raises
    ------
    PolicyError
        With the path of each offence, and its reason.
    """
    reader = _Reader(content, find, malformed)
    rules = tuple((name, reader.read(name)) for name in content if name not in malformed)
    problems = [*reader.problems, *_contradictions([rule for _, rule in rules if isinstance(rule, Threshold)])]
    if problems:
        raise PolicyError(problems)
    return Policy(tuple((name, rule) for name, rule in rules if rule is not None))


def unknown_groups(content: Content, known: Collection[str]) -> list[str]:
    """Return where a policy, whose form has been checked, names a group that is none of those known.

    Groups may come later than the policy, and a rule does nothing for one that is not there; whoever knows the groups
    decides whether that is wrong.

    Parameters
    ----------
    content
        The document: options by the name of the rule.
    known
        Names of the groups that exist.
    """
    return [
        f"$.{path}: unknown group {group!r}; known are {', '.join(known) or 'none'}"
        for name, rule in content.items()
        for path, group in _groups_named(name, rule)
        if group not in known
    ]


def _groups_named(name: str, rule: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "group" in rule:
        yield f"{name}.group", rule["group"]
    if rule.get("kind") == "schedule":
        yield from ((f"{name}.{limit}", group) for limit in ("minimum", "maximum") for group in rule.get(limit, ()))


class _Reader:
    """Makes rules of what a document says, and notes what is wrong."""

    def __init__(self, content: Content, find: Find | None, malformed: Collection[object]) -> None:
        self.problems: list[str] = []
        self._content = content
        self._find = find
        self._malformed = malformed

    def read(self, name: str) -> Rule | None:
        rule = self._content[name]
        match rule.get("kind", "threshold"):
            case "threshold":
                return self._threshold(name, rule)
            case "schedule":
                return self._schedule(name, ())
            case "extension":
                return self._extension(name, rule)
            case kind:
                return _SIMPLE[kind](rule)

    def _threshold(self, name: str, rule: Mapping[str, Any]) -> Rule | None:
        begin, _, rest = name.partition("_")
        metric, action = rule.get("metric", rest), rule["action"]
        if metric not in METRICS:
            self._refuse(name, f"{name!r} names no metric: say metric: cpu, or call it high_cpu; {_KNOWN_METRICS}")
            return None
        if begin in _SAYS and _SAYS[begin] != action:
            self._refuse(f"{name}.action", f"{begin!r} says {_SAYS[begin]}, not {action}")
            return None
        if rule["threshold"] < 0 or (metric != "backlog" and rule["threshold"] > _WHOLE):
            self._refuse(f"{name}.threshold", f"{rule['threshold']} {_OUT_OF_RANGE}")
            return None
        return Threshold(
            metric,
            rule["threshold"],
            action == "add_node",
            rule.get("for-seconds", _DWELL[action]),
            rule.get("step", 1),
            rule.get("group"),
            rule.get("window", "now"),
        )

    def _schedule(self, name: str, seen: tuple[str, ...]) -> Schedule | None:
        rule = self._content[name]
        minimum, maximum = rule.get("minimum", {}), rule.get("maximum", {})
        for group in minimum.keys() & maximum.keys():
            if minimum[group] > maximum[group]:
                self._refuse(
                    f"{name}.minimum.{group}", f"{minimum[group]} is more than the maximum, {maximum[group]}"
                )
        outside = self._outside(name, rule["outside"], (*seen, name)) if "outside" in rule else None
        return Schedule(name, self._hours(name, rule), outside, minimum, maximum)

    def _hours(self, name: str, rule: Mapping[str, Any]) -> Hours | None:
        if not rule.keys() & {"from", "to", "days"}:
            return None
        days = frozenset(DAYS.index(day) for day in rule.get("days", DAYS))
        begin, end = _minutes(rule.get("from", "00:00")), _minutes(rule.get("to", "00:00"))
        try:
            return Hours(begin, end, days, ZoneInfo(rule.get("time-zone", "UTC")))
        except (LookupError, ValueError, OSError):  # the last for the name of a directory
            self._refuse(f"{name}.time-zone", f"there is no {rule['time-zone']!r}; one is called Europe/Berlin")
            return None

    def _outside(self, name: str, other: str, seen: tuple[str, ...]) -> Schedule | None:
        if other in seen:
            self._refuse(f"{name}.outside", f"each holds outside the next: {' → '.join((*seen, other))}")
            return None
        if other in self._malformed:
            return None
        if self._content.get(other, {}).get("kind") != "schedule":
            self._refuse(f"{name}.outside", f"there is no schedule {other!r}")
            return None
        return self._schedule(other, seen)

    def _extension(self, name: str, rule: Mapping[str, Any]) -> Rule | None:
        if self._find is None:
            self._refuse(name, "policies of other distributions cannot be had here")
            return None
        try:
            made = self._find(rule["name"])(**rule.get("options", {}))
        except Exception as error:  # noqa: BLE001  (an extension may be anybody's)
            self._refuse(name, str(error) or repr(error))
            return None
        if not isinstance(made, Rule):
            self._refuse(f"{name}.name", f"{rule['name']!r} made {made!r}, which has no method `propose`")
            return None
        return made

    def _refuse(self, path: str, problem: str) -> None:
        self.problems.append(f"$.{path}: {problem}")


_SIMPLE: dict[str, Callable[[Mapping[str, Any]], Rule]] = {
    "demand": lambda rule: Demand(rule.get("within-seconds", _WITHIN)),
    "idle": lambda rule: Idle(rule.get("after-seconds")),
    "budget": lambda rule: Budget(rule.get("per-hour"), rule.get("total")),
    "rate": lambda rule: Rate(rule["add"], rule["per-seconds"]),
}
_KNOWN_METRICS = f"known are {', '.join(METRICS)}"
_SAYS = {"high": "add_node", "low": "remove_node"}
"""What the beginning of a threshold's name says that it does."""


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return 60 * int(hours) + int(minutes)


def _contradictions(thresholds: list[Threshold]) -> list[str]:
    """Return which thresholds would add and remove at the same time."""
    highs, lows = [one for one in thresholds if one.above], [one for one in thresholds if not one.above]
    return [
        f"$: {high.metric} above {high.limit:g} adds, and below {low.limit:g} removes: in between it would do both"
        for high, low in product(highs, lows)
        if high.metric == low.metric and high.limit <= low.limit and _meet(high.group, low.group)
    ]


def _meet(one: str | None, other: str | None) -> bool:
    return one == other or None in (one, other)
