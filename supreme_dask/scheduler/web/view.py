"""The values that pages, HTTP and commands show: each part computed once for all who look, and not too often."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic, time
from typing import Any

from distributed.scheduler import Scheduler

from supreme_dask.core import tables
from supreme_dask.core.admission import Admission
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.scaling import ScalabilityEngine
from supreme_dask.scheduler.web.pace import Pace

_OFTEN = 1.0  # s between two computations, at least
_SHAPES = 50  # of waiting tasks that are explained, at most
_WALKED = 10_000  # workers that are looked at to explain them, each once for each shape
_TYPES = 200  # of which profiles are shown

Part = dict[str, Any]


class View:
    """What is to be seen of one scheduler.

    Parameters
    ----------
    scheduler, admission, scaling
        Of the plugin that it belongs to.

    Attributes
    ----------
    parts : dict
        By name, what returns its value. Those who are given one must not change it.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, scaling: ScalabilityEngine) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._scaling = scaling
        self.parts: dict[str, _Shared] = {
            "workers": _Shared(self._workers),
            "waiting": _Shared(self._waiting),
            "scaling": _Shared(self._scaled),
            "profiles": _Shared(self._profiles),
        }

    def end(self) -> None:
        """Compute nothing more: pages that are open keep what they show."""
        for part in self.parts.values():
            part.pace.end()

    def look(self, *, parts: Iterable[str]) -> dict[str, Part]:
        """Return the values of some parts, by name; of one that there is not, none."""
        return {name: self.parts[name]() for name in parts if name in self.parts}

    def _workers(self) -> Part:
        snapshot = self._scaling.latest()
        return {"time": snapshot.wall, "workers": tables.workers(snapshot), "totals": tables.totals(snapshot)}

    def _waiting(self) -> Part:
        names, supplies = observe.called(self._scheduler), self._scaling.supplies()
        most = max(1, min(_SHAPES, _WALKED // max(len(names), 1)))
        rows = tables.waiting(self._admission, names, supplies, monotonic(), most)
        queues = self._admission.queues
        return {"time": time(), "tasks": len(queues), "shapes": sum(1 for _ in queues.in_order()), "waiting": rows}

    def _scaled(self) -> Part:
        snapshot, plan, timeline = self._scaling.latest(), self._scaling.plan, self._scaling.timeline
        changes = timeline.changes()
        return {
            "time": snapshot.wall,
            "generation": plan.generation,
            "groups": tables.groups(snapshot, plan),
            "unmet": list(plan.unmet),
            "spent": snapshot.spent,
            "decisions": [{"time": at, "reason": sentence} for at, sentence in timeline.decisions()],
            "timeline": [{"time": at, "group": group, **counts._asdict()} for at, group, counts in changes],
        }

    def _profiles(self) -> Part:
        return {"time": time(), "types": list(tables.profiles(self._admission.kinds.profiles(), _TYPES))}


class _Shared:
    """A value for all who look: computed when it is asked for, and not too often."""

    def __init__(self, compute: Callable[[], Part]) -> None:
        self._compute = compute
        self._value: Part = {}
        self.pace = Pace(self._renew, _OFTEN)

    def __call__(self) -> Part:
        self.pace()
        return self._value

    def _renew(self) -> None:
        self._value = self._compute()
