"""Worker groups: sets of equal workers that can be scaled."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from supreme_dask.core.resources import CPU, MEASURED, MEMORY, Resources
from supreme_dask.errors import DemandError

# Workers are named after it, and looked up, stored and logged by these names.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_NUMBERS: dict[str, type | tuple[type, ...]] = {
    "cpu": (int, float),
    "count": int,
    "minimum": int,
    "maximum": int,
    "cost": (int, float),
    "startup": (int, float),
    "interruptions": (int, float),
}


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """A set of equal workers.

    Parameters
    ----------
    name
        Workers are named after it: ``small-0``, ``small-1``.
    cpu
        Cores of each worker; as many threads, rounded up.
    memory
        Memory limit of each worker, such as ``"4 GiB"``.
    count
        How many there are at the start.
    resources
        What else each has, such as ``{"GPU": 1}``.
    minimum, maximum
        How few and how many there may be when the group is scaled; None for no upper limit.
    cost
        Price of one worker per hour, in any unit that all groups share.
    startup
        Seconds from asking for a worker until it takes tasks.
    interruptions
        How often per hour one worker is taken away by who lends it; 0 for a worker that stays.
    labels
        Where and what it is, such as ``{"zone": "a", "spot": "yes"}``.
    pod
        What its pods on Kubernetes have beside what is derived from the above, such as
        ``{"spec": {"nodeSelector": {"pool": "gpu"}}}``; nothing to any other provisioner.

    Raises
    ------
    DemandError
        If an amount cannot be understood, a worker would have no cpu or no memory, or the limits contradict.

    Examples
    --------
    >>> WorkerGroup("small", cpu=2, memory="1 GiB").capacity["memory"]
    1073741824
    """

    name: str
    cpu: float = 1
    memory: str | float = "2 GiB"
    count: int = 1
    resources: dict[str, float | str] = field(default_factory=dict)
    minimum: int = 0
    maximum: int | None = None
    cost: float = 1.0
    startup: float = 10.0
    interruptions: float = 0.0
    labels: dict[str, str] = field(default_factory=dict)
    pod: dict[str, Any] = field(default_factory=dict)
    capacity: Resources = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DemandError("name", self.name, "expected letters, digits, '-', '_' and '.', such as small-gpu")
        _check_mappings(self.resources, self.labels, self.pod)
        if any(isinstance(name, str) and name.lower() in MEASURED[:2] for name in self.resources):
            raise DemandError("resources", self.resources, "cpu and memory have parameters of their own")
        capacity = Resources.parse({**self.resources, CPU: self.cpu, MEMORY: self.memory})
        for name in (CPU, MEMORY):
            if not capacity[name]:
                raise DemandError(name, getattr(self, name), f"a worker of group {self.name!r} needs some")
        for name, kind in _NUMBERS.items():
            _check_number(self.name, name, getattr(self, name), kind)
        if self.maximum is not None and self.maximum < self.minimum:
            raise DemandError(
                "maximum", self.maximum, f"group {self.name!r} has a minimum of {self.minimum}, which is more"
            )
        object.__setattr__(self, "capacity", capacity)

    @property
    def threads(self) -> int:
        """Number of tasks that a worker runs at once."""
        return math.ceil(self.cpu)

    def within_limits(self) -> WorkerGroup:
        """Return the group as it is when scaling begins: with a count between its minimum and its maximum."""
        most = self.count if self.maximum is None else min(self.count, self.maximum)
        return replace(self, count=max(most, self.minimum))


def _check_mappings(resources: object, labels: object, pod: object) -> None:
    if not isinstance(resources, Mapping):
        raise DemandError("resources", resources, 'expected amounts by name, such as {"GPU": 1}')
    if not isinstance(labels, Mapping) or not all(isinstance(one, str) for one in chain(*labels.items())):
        raise DemandError("labels", labels, 'expected strings by name, such as {"zone": "a"}')
    parts = pod if isinstance(pod, Mapping) else {"": None}
    if not parts.keys() <= {"metadata", "spec"} or not all(isinstance(part, Mapping) for part in parts.values()):
        raise DemandError(
            "pod", pod, 'expected metadata and spec, such as {"spec": {"nodeSelector": {"pool": "gpu"}}}'
        )


def _check_number(group: str, name: str, value: object, kind: type | tuple[type, ...]) -> None:
    if value is None and name == "maximum":
        return
    if isinstance(value, bool) or not isinstance(value, kind) or not 0 <= value < math.inf:  # type: ignore[operator]
        what = "whole number" if kind is int else "number"
        raise DemandError(name, value, f"group {group!r} needs a {what} of 0 or more, such as 2")


def group_of(worker: str, groups: Iterable[str]) -> str:
    """Return the group that a worker belongs to by its name; empty if it belongs to none.

    Parameters
    ----------
    worker
        Name of the worker.
    groups
        Names of all groups.

    Examples
    --------
    >>> group_of("small-3", ["small", "large"]), group_of("small-gpu-worker-1f2e", ["small", "small-gpu"])
    ('small', 'small-gpu')
    >>> group_of("smaller-3", ["small"])
    ''
    """
    return max((group for group in groups if worker.startswith(f"{group}-")), key=len, default="")
