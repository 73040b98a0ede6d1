"""What pages, HTTP and commands show of a cluster: plain values, computed in one place.

Amounts are numbers in the units of Dask's ``resources=``: cores, bytes, bytes per second, and what workers declare.
Times are seconds, usage is in percent. What is unlimited, or not known, is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from supreme_dask.core import explaining
from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import LIMITED
from supreme_dask.core.plans import Plan, Target
from supreme_dask.core.policies.situation import Supply
from supreme_dask.core.profiles import Profile
from supreme_dask.core.resources import MEMORY, Resources, in_units
from supreme_dask.core.shapes import Shape
from supreme_dask.core.snapshot import GroupView, Snapshot, WorkerView
from supreme_dask.core.timeline import Counts, counts_of


def workers(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return a row for each worker, in the order of their groups and names."""
    ordered = sorted(snapshot.workers, key=lambda one: (one.group, _natural(one.name), one.address))
    return [_worker(one, snapshot.now) for one in ordered]


def totals(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return what the workers of each group have and what is reserved of it, for each resource: a row each.

    The first rows are those of all workers, whose group is ``"*"``.
    """
    members: dict[str, list[WorkerView]] = {"*": list(snapshot.workers)}
    for one in snapshot.workers:
        members.setdefault(one.group, []).append(one)
    return [row for group, found in members.items() for row in _totals(group, found)]


def groups(snapshot: Snapshot, plan: Plan) -> list[dict[str, Any]]:
    """Return a row for each worker group that can be scaled, and one for all workers that belong to none of them."""
    targets = {target.group: target for target in plan.targets}
    counts = counts_of(snapshot, plan)
    rows = [_group(view, targets.get(view.group.name), counts[view.group.name]) for view in snapshot.groups]
    others = sum(one.group not in counts for one in snapshot.workers)
    return [*rows, {"group": "", "there": others}] if others else rows


def waiting(
    admission: Admission, names: Mapping[str, str], supplies: Sequence[Supply], now: float, most: int
) -> list[dict[str, Any]]:
    """Return a row for each shape of waiting tasks, first to go first, at most so many.

    Parameters
    ----------
    names
        What workers are called, by address.
    supplies
        The worker groups that can be scaled.
    """
    ledger, queues, kinds = admission.ledger, admission.queues, admission.kinds
    rows = []
    for shape in islice(queues.in_order(), most):
        head = shape.head()
        wait = explaining.why(ledger, queues, kinds, head.key, now) if head is not None else None
        if wait is not None:
            said = explaining.sentence(replace(wait, ahead=0), names, supplies)
            rows.append(
                {**_shape(shape, now), "demand": amounts(wait.demand), "cause": wait.cause.value, "why": said}
            )
    return rows


def profiles(known: Iterable[tuple[str, Profile]], most: int) -> Iterator[dict[str, Any]]:
    """Yield what was learned of each task type, at most of so many: of those that ran most often."""
    measured = ((name, profile) for name, profile in known if profile.count)
    for name, profile in islice(sorted(measured, key=lambda one: -one[1].count), most):
        summary = profile.summary()
        yield {
            "type": name,
            "runs": summary.count,
            "seconds": summary.duration,
            "memory_typical": summary.typical,
            "memory_high": summary.high,
            "unused": None if summary.waste is None else 100 * summary.waste,
            "kills": summary.kills,
            "cores": summary.cores,
        }


def amounts(resources: Resources) -> dict[str, float | None]:
    """Return amounts by name; None for what is unlimited.

    >>> amounts(Resources.parse({"cpu": 0.5, "memory": "1 KiB"}))
    {'cpu': 0.5, 'memory': 1024.0}
    """
    return {name: _amount(name, amount) for name, amount in resources.amounts}


def _amount(name: str, amount: int) -> float | None:
    return float(in_units(name, amount)) if amount < LIMITED else None


def _shape(shape: Shape, now: float) -> dict[str, Any]:
    return {
        "type": shape.type,
        "tasks": shape.count,
        "running": shape.running,
        "passed_over": max(now - shape.since, 0.0),
        "measured": not shape.guessed,
        "seconds": shape.duration,
    }


def _worker(one: WorkerView, now: float) -> dict[str, Any]:
    stored = one.allocated[MEMORY] - one.reserved[MEMORY]
    return {
        "name": one.name,
        "group": one.group,
        "address": one.address,
        "state": _state(one),
        "threads": one.threads,
        "running": one.running - one.behind,
        "behind": one.behind,
        "idle": None if one.idle_since is None else max(now - one.idle_since, 0.0),
        "capacity": amounts(one.capacity),
        "reserved": amounts(one.reserved),
        "stored": float(max(stored, 0)),
        "cpu": one.usage.now.cpu,
        "memory": one.usage.now.memory,
    }


def _state(one: WorkerView) -> str:
    if one.draining:
        return "draining"
    return "open" if one.open else "closed"


def _totals(group: str, found: Sequence[WorkerView]) -> Iterator[dict[str, Any]]:
    for name in sorted({name for one in found for name in one.capacity}):
        limited = [one for one in found if one.capacity[name] < LIMITED]
        capacity = sum(one.capacity[name] for one in limited)
        reserved = sum(one.reserved[name] for one in limited)
        free = sum(one.free[name] for one in limited)
        if capacity:
            stored = max(capacity - reserved - free, 0)
            yield {
                "group": group,
                "resource": name,
                "capacity": _amount(name, capacity),
                "reserved": _amount(name, reserved),
                "stored": _amount(name, stored),
                "free": _amount(name, max(free, 0)),
            }


def _group(view: GroupView, target: Target | None, counts: Counts) -> dict[str, Any]:
    group = view.group
    return {
        "group": group.name,
        "wanted": None if target is None else target.workers,
        "there": counts.there,
        "starting": counts.starting,
        "draining": counts.draining,
        "minimum": group.minimum,
        "maximum": group.maximum,
        "cost": group.cost,
        "reason": "" if target is None else target.reason,
        "blocked": view.blocked,
    }


def _natural(name: str) -> tuple[str, int]:
    """Return what names are sorted by: small-10 comes after small-9."""
    start, _, number = name.rpartition("-")
    return (start, int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else (name, -1)
