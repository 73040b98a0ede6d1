"""How much memory the runs of one task type needed, and what to set aside for the next one.

Measurements are taken into account in batches, a few more each time as more is known; those of one batch count
as made at the same time, so their order changes nothing. Exact ones are what sizes are learned from. A bound,
of a run that others ran beside, counts while nothing exact is known, and where many in a row show that less is
enough. A killed run raises an alarm where nothing measured had needed as much: no estimate stays below what it
had reached until something needs more, or several runs do not. Otherwise its like are known, and whether to
make room for them is a matter of price. Where several exact runs of a batch surprise, all get what the largest
of them needed, until a whole batch tells whether the type has changed; then the runs before it are forgotten.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any, Self

import numpy as np

from supreme_dask.core.predictors import TYPICAL_PRICE, Fit, Runs, Vector, fit

_WINDOW = 400
"""Exact runs remembered. More changes sizes by less than chance does, and costs time at every refit."""
_FEW = 3
"""Fewer runs show no spread to learn from."""
_YOUNG = 10
"""With fewer runs every single one is taken into account at once."""
_ROOM = 1.25
"""Room above the largest need while runs are few, and above what a killed run had reached."""
_NOISE = 1 << 20
"""Bytes by which equal runs differ, from what an allocator keeps."""
_STREAK = 32
"""Bounds in a row that outweigh older exact runs."""
_CALM = 8
"""Exact runs after a kill that end the alarm it raised, if none needed as much."""
_SURPRISES = 2
"""Exact runs beyond all expectation in one batch that are no chance: one is a record, two are a change."""
_OPEN = 32
"""Kills remembered whose retry was not measured."""


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """What one run said of its memory. Ordered, so that a batch has one order whichever way it came."""

    inputs: int
    memory: int
    wall: float
    exact: bool
    killed: bool


class Needs:
    """How much memory runs of one type needed: the exact runs of late, open kills, a streak of bounds."""

    __slots__ = (
        "_alarm",
        "_bounds",
        "_doubt",
        "_drift",
        "_fit",
        "_kills",
        "_learned",
        "_runs",
        "_surprises",
        "_taken",
        "_waiting",
        "largest",
        "refits",
    )

    def __init__(self) -> None:
        self.refits = 0
        self.largest = 0  # exact need remembered; 0 when there is none
        self._taken = 0.0  # the same, of those that are not waiting for their batch
        self._waiting: list[Seen] = []
        self._learned = 0
        self._runs: Vector = np.empty((0, 3))  # inputs, memory, wall; in order of learning
        self._kills: list[_Kill] = []
        self._bounds: list[tuple[int, int]] = []  # inputs, memory
        self._drift = _Drift()
        self._alarm = 0  # most that an open kill had reached
        self._surprises = 0  # waiting exact runs that needed more than anything could let expect
        self._doubt = 0  # largest need of the last batch, if that had surprised
        self._fit: Fit | None = None

    def learn(self, seen: Seen) -> bool:
        """Take note of one more run; return whether the next estimate may differ."""
        floor = self._floor()
        self._waiting.append(seen)
        if seen.killed:
            self._alarm = max(self._alarm, seen.memory)
        elif seen.exact:
            self._surprises += self._surprised(seen)
            self.largest = max(self.largest, seen.memory)
        if len(self._waiting) < self._patience():
            return floor != self._floor()
        self._take(sorted(self._waiting))
        self._waiting = []
        return True

    def estimate(self, inputs: int, price: float) -> int | None:
        """Return the bytes to set aside for the next run, or None while nothing is known."""
        known = self._known(inputs, price)
        floor = self._floor()
        return math.ceil(max(known or 0.0, floor)) + _NOISE if known is not None or floor else None

    def retry(self, failed: int) -> int:
        """Return the bytes for the next attempt of a run that was killed with `failed` bytes."""
        return int(_next(failed, self.largest)) + _NOISE

    @property
    def kills(self) -> int:
        """How many killed runs are remembered whose need was not measured since."""
        return len(self._kills) + sum(seen.killed for seen in self._waiting)

    def predictor(self) -> str:
        """Return in a word what the estimates come from."""
        if len(self._runs) >= _FEW:
            return "line" if self._fitted().line.slope else "level"
        if len(self._runs):
            return "largest"
        return "bounds" if self._bounds else "none"

    def remembered(self) -> list[tuple[int, int, float]]:
        """Return inputs, needs and seconds of the exact runs remembered, ascending by need."""
        waiting = [(seen.inputs, seen.memory, seen.wall) for seen in self._waiting if seen.exact and not seen.killed]
        learned = [(int(inputs), int(memory), float(wall)) for inputs, memory, wall in self._runs]
        return sorted(learned + waiting, key=lambda run: run[1])

    # ------------------------------------------------------------------------------------------ asking
    def _floor(self) -> float:
        """Return what no estimate stays below, for an open kill or a doubt; 0 in quiet times."""
        alarm = self._alarm * _ROOM if self._alarm >= self.largest else 0.0
        return max(alarm, self.largest if self._surprises >= _SURPRISES else self._doubt)

    def _known(self, inputs: int, price: float) -> float | None:
        if not len(self._runs):
            return self._bounded(inputs)
        if len(self._runs) < _FEW:
            return self._roomy(inputs)
        size = self._fitted().size(inputs, price)
        return min(size, self._streak(inputs))

    def _bounded(self, inputs: int) -> float | None:
        """Return the least bound of a run with no smaller inputs; beyond them all, grow in proportion."""
        if not self._bounds:
            return None
        widest = max(seen for seen, _ in self._bounds)
        growth = max(1.0, inputs / widest) if widest else 1.0
        return growth * _ROOM * min(memory for seen, memory in self._bounds if seen >= min(inputs, widest))

    def _roomy(self, inputs: int) -> float:
        widest = float(self._runs[:, 0].max())
        return self.largest * _ROOM * (max(1.0, inputs / widest) if widest else 1.0)

    def _streak(self, inputs: int) -> float:
        """Return what a full streak of bounds leaves for inputs like theirs: none of them needed more."""
        if len(self._bounds) < _STREAK or inputs > max(seen for seen, _ in self._bounds):
            return math.inf
        return max(memory for _, memory in self._bounds)

    def _fitted(self) -> Fit:
        if self._fit is None:
            self.refits += 1
            # Not `largest`: a fit does not depend on when it is asked for.
            kills = [(kill.inputs, _next(kill.memory, self._taken), kill.wall) for kill in self._kills]
            rows = np.concatenate([self._runs, np.array(kills).reshape(-1, 3)])
            self._fit = fit(Runs(*rows[rows[:, 0].argsort(kind="stable")].T))
        return self._fit

    # ---------------------------------------------------------------------------------------- learning
    def _surprised(self, seen: Seen) -> bool:
        """Return whether a run needed more than any taken before, and more than the highest price gives it."""
        if len(self._runs) < _YOUNG or seen.memory <= self._taken:
            return False
        return seen.memory > self._fitted().size(seen.inputs, math.inf)

    def _patience(self) -> int:
        """Return how many measurements make a batch: a refit costs as much as hundreds of estimates."""
        known = len(self._runs)
        return 1 if known < _YOUNG else math.isqrt(4 * known)

    def _take(self, batch: list[Seen]) -> None:
        exact = [seen for seen in batch if seen.exact and not seen.killed]
        kills = [seen for seen in batch if seen.killed]
        self._take_exact(exact)
        self._take_kills(kills, exact)
        bounds = [(seen.inputs, seen.memory) for seen in batch if not seen.exact and not seen.killed]
        self._bounds = [] if exact or kills else (self._bounds + bounds)[-_STREAK:]
        if exact or kills:
            self._fit = None

    def _take_exact(self, exact: list[Seen]) -> None:
        if not exact:
            return
        self._notice(exact)
        new = np.array([(seen.inputs, seen.memory, seen.wall) for seen in exact], dtype=float)
        self._runs = np.concatenate([self._runs, new])[-_WINDOW:]
        self._learned += len(exact)
        self._taken = float(self._runs[:, 1].max())
        self.largest = int(self._taken)
        if self._surprises >= _SURPRISES:
            self._doubt, self._drift = self.largest, _Drift()
        elif self._drift.full:
            self._doubt = 0
        self._surprises = 0

    def _notice(self, exact: list[Seen]) -> None:
        """Forget the runs before a block that shows another type than they do."""
        if len(self._runs) >= _FEW and self._drift.noticed(self._fitted(), exact):
            self._runs = self._runs[len(self._runs) - (self._drift.seen - len(exact)) :]
            self._surprises = 0

    def _take_kills(self, kills: list[Seen], exact: list[Seen]) -> None:
        """Keep what was killed until its retry, the run of equal inputs that needed more, is measured."""
        opened = [_Kill(seen.inputs, seen.memory, seen.wall, self._learned) for seen in kills]
        measured = {seen.inputs: seen.memory for seen in exact}  # ascending, so the largest of equal inputs
        self._kills = [
            kill
            for kill in self._kills + opened
            if measured.get(kill.inputs, 0) <= kill.memory and self._learned - kill.learned < _WINDOW
        ][-_OPEN:]
        alarming = [kill.memory for kill in self._kills if self._learned - kill.learned < _CALM]
        self._alarm = max(alarming, default=0)

    # ------------------------------------------------------------------------------------------- wire
    def to_wire(self) -> dict[str, Any]:
        """Return all that was learned; the fit follows from it."""
        return {
            "waiting": [list(astuple(seen)) for seen in self._waiting],
            "learned": self._learned,
            "largest": self.largest,
            "runs": self._runs.tolist(),
            "kills": [list(astuple(kill)) for kill in self._kills],
            "bounds": [list(bound) for bound in self._bounds],
            "drift": list(astuple(self._drift)),
            "alarm": self._alarm,
            "surprises": self._surprises,
            "doubt": self._doubt,
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Return what `to_wire` described."""
        needs = cls()
        needs._waiting = [Seen(*seen) for seen in wire["waiting"]]
        needs._learned = wire["learned"]
        needs.largest = wire["largest"]
        needs._runs = np.array(wire["runs"], dtype=float).reshape(-1, 3)
        needs._taken = float(needs._runs[:, 1].max(initial=0.0))
        needs._kills = [_Kill(*kill) for kill in wire["kills"]]
        needs._bounds = [(inputs, memory) for inputs, memory in wire["bounds"]]
        needs._drift = _Drift(*wire["drift"])
        needs._alarm = wire["alarm"]
        needs._surprises = wire["surprises"]
        needs._doubt = wire["doubt"]
        return needs


@dataclass(frozen=True, slots=True)
class _Kill:
    """A killed run whose need was not measured since, and how many exact runs had been learned then."""

    inputs: int
    memory: int
    wall: float
    learned: int


def _next(failed: int, largest: float) -> float:
    """Return the likely need of a run that was killed with `failed` bytes."""
    return largest if largest > failed else 2 * failed


@dataclass(slots=True)
class _Drift:
    """How new runs compare with what was expected of them, over a block of at least nine.

    A quarter of them should need less than the lower quartile, a quarter more than the upper one. Where the
    count is more than five standard deviations above that (one block in 200,000 by chance), the type is
    another than it was, and what was learned before the block misleads.
    """

    seen: int = 0
    above: int = 0
    below: int = 0

    @property
    def full(self) -> bool:
        return self.seen >= 9

    def noticed(self, expected: Fit, exact: list[Seen]) -> bool:
        """Compare `exact` with what was `expected` before them; begin a new block when this one is full."""
        if self.full:
            self.seen = self.above = self.below = 0
        low, high = expected.quartiles
        relative = [run.memory / expected.size(run.inputs, TYPICAL_PRICE) for run in exact]
        self.seen += len(exact)
        self.above += sum(ratio > high for ratio in relative)
        self.below += sum(ratio < low for ratio in relative)
        beyond = max(self.above, self.below)
        return self.full and beyond > self.seen / 4 + 5 * math.sqrt(self.seen * 3 / 16)
