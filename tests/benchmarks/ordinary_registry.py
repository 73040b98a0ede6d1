"""The workloads of `ordinary.py`, by name, and how results are compared."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributed import Client

Sizes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """Work as users write it, which annotates nothing.

    Attributes
    ----------
    run
        Does it with a client and sizes, and returns what must be equal whoever places the tasks.
    full, quick
        Sizes: for figures, at least 2 s on plain Dask; and for CI.
    needs
        Modules without which it is skipped.
    """

    name: str
    run: Callable[..., Any]
    full: Sizes
    quick: Sizes
    needs: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What it does, in one line."""
        return str(self.run.__doc__).splitlines()[0].rstrip(".")

    def missing(self) -> list[str]:
        """Return the modules that it needs and that are not installed."""
        return [module for module in self.needs if importlib.util.find_spec(module) is None]

    def do(self, client: Client, quick: bool) -> Any:
        """Run it once."""
        return self.run(client, **(self.quick if quick else self.full))


WORKLOADS: dict[str, Workload] = {}


def workload(*, full: Sizes, quick: Sizes, needs: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Any]:
    """Register a function as the workload of its name."""

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        WORKLOADS[run.__name__] = Workload(run.__name__, run, full, quick, needs)
        return run

    return register


def equal(one: Any, other: Any) -> bool:
    """Tell whether two results are the same, up to the order in which numbers were added."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
