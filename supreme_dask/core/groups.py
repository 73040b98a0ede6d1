"""Worker groups: sets of equal workers that can be scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from supreme_dask.core.resources import CPU, MEASURED, MEMORY, Resources
from supreme_dask.errors import DemandError


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

    Raises
    ------
    DemandError
        If an amount cannot be understood, or a worker would have no cpu or no memory.

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
    capacity: Resources = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if any(name.lower() in MEASURED[:2] for name in self.resources):
            raise DemandError("resources", self.resources, "cpu and memory have parameters of their own")
        capacity = Resources.parse({**self.resources, CPU: self.cpu, MEMORY: self.memory})
        for name in (CPU, MEMORY):
            if not capacity[name]:
                raise DemandError(name, getattr(self, name), f"a worker of group {self.name!r} needs some")
        if self.count < 0:
            raise DemandError("count", self.count, f"group {self.name!r} has zero workers or more")
        object.__setattr__(self, "capacity", capacity)

    @property
    def threads(self) -> int:
        """Number of tasks that a worker runs at once."""
        return math.ceil(self.cpu)
