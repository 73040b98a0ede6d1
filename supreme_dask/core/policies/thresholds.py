"""Add a worker where a metric is high for long, let one go where it is low for long."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from supreme_dask.core import reasons
from supreme_dask.core.policies.base import AtLeast, Proposal, Spare
from supreme_dask.core.policies.situation import Situation, Supply
from supreme_dask.core.snapshot import Usage, Windows
from supreme_dask.core.victims import choose

Metric = Literal["cpu", "memory", "network", "allocated", "backlog"]
Window = Literal["now", "minute", "five-minutes"]
METRICS: tuple[str, ...] = get_args(Metric)
WINDOWS: tuple[str, ...] = get_args(Window)


@dataclass(slots=True)
class Threshold:
    """One threshold of one metric. It is crossed when it has been crossed all the time for so long.

    Attributes
    ----------
    metric : str
        Of `Usage`, in percent; ``backlog`` in seconds of waiting work per thread.
    limit : float
        Where it begins.
    above : bool
        Whether more than that is meant, which adds workers; else less, which lets them go.
    seconds : float
        How long it must have been crossed.
    step : int
        Workers to add or to let go at a time.
    group : str or None
        The group that is looked at and scaled; None for all together.
    window : str
        Of the metric.
    """

    follows_clock: ClassVar[bool] = False

    metric: Metric
    limit: float
    above: bool
    seconds: float
    step: int = 1
    group: str | None = None
    window: Window = "now"
    _since: float | None = None

    def propose(self, situation: Situation) -> Iterable[Proposal]:
        """Propose `step` more or fewer, and begin to wait anew."""
        now = situation.snapshot.now
        if not self._is_crossed(situation):
            self._since = None
            return ()
        self._since = now if self._since is None else self._since
        if now - self._since < self.seconds:
            return ()
        return self._more(situation) if self.above else self._fewer(situation)

    def _is_crossed(self, situation: Situation) -> bool:
        supplies = self._supplies(situation)
        if self.above and any(supply.view.launching for supply in supplies):
            return False  # what was asked for has not had a chance to help
        if not any(supply.staying for supply in supplies):
            return False
        value = getattr(_usage(self._windows(situation), self.window), self.metric)
        return bool(value > self.limit if self.above else value < self.limit)

    def _more(self, situation: Situation) -> Iterable[Proposal]:
        able = [supply for supply in self._supplies(situation) if supply.growth != 0]
        if able:
            cheapest = min(able, key=lambda supply: (supply.group.cost, supply.group.name))
            self._since = None
            yield AtLeast(cheapest.group.name, cheapest.count + self.step, self._reason())

    def _fewer(self, situation: Situation) -> Iterable[Proposal]:
        candidates = [
            worker
            for supply in self._supplies(situation)
            if supply.count > supply.group.minimum
            for worker in supply.staying
        ]
        homes = {worker.name: worker.group for worker in candidates}
        for name in choose(candidates, self.step):
            self._since = None
            yield Spare(homes[name], (name,), self._reason())

    def _supplies(self, situation: Situation) -> list[Supply]:
        return [supply for name, supply in situation.groups.items() if self.group in (None, name)]

    def _windows(self, situation: Situation) -> Windows:
        if self.group is None:
            return situation.snapshot.usage
        return situation.groups[self.group].view.usage if self.group in situation.groups else Windows()

    def _reason(self) -> str:
        return reasons.crossed(self.metric, self.limit, above=self.above, seconds=self.seconds)


def _usage(windows: Windows, window: Window) -> Usage:
    return {"now": windows.now, "minute": windows.minute, "five-minutes": windows.five_minutes}[window]
