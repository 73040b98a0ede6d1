"""How much to set aside for a run of a given input size, so that the least is wasted.

What a size costs has two sides: what is set aside and not used, and what is lost when it was too little and
the run is killed. For sizes `a`, needs `y` and durations `t` of past runs that is

    cost = Σ t·a + Σ over runs with a < y of t·(largest + (price - 1)·y)

up to a constant: a killed attempt takes its own `t·a`, its successor gets the largest need seen, and the loss
is priced in units of the run's own memory × time. The size of a run is a line through the past runs at its
inputs, times a factor; the factor is the one that would have cost least for the runs of most similar inputs.
Which line, and how many runs are similar, is decided by the same cost, each run judged by the others only.

The idea of minimising the waste of past runs is Tovar et al., "A Job Sizing Strategy for High-Throughput
Scientific Workflows" (TPDS 29(8), 2018); factors on regressions are Witt et al., "Feedback-Based Resource
Allocation for Batch Scheduling of Scientific Workflows" (HPCS 2019).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.intp]

TYPICAL_PRICE = 2.5
"""What a kill costs on a worker of four equal tasks: one attempt, and three that are half done. Line and
neighbourhood are chosen at it whatever the price asked for, so that a higher price never gives a smaller size."""
_STEPS = 2
"""Prices to a factor of two: a kill is not priced more finely."""
_PRICES = 2.0 ** (np.arange(4 * _STEPS + 1) / _STEPS)
"""Those that sizes are worked out for, from 1 (alone) to 16 (among many)."""
_SHARES = (1, 2, 4, 8)
"""Similar are all runs, the nearest half, quarter or eighth: each step halves, so no number matters much."""
_OTHERS = 2.0
"""Weight, in runs, of all others among the similar ones: few neighbours alone would be believed too much."""
_CENTRES = 64
"""At most so many places get a factor of their own; a step between them is under 2 % of the runs."""
_FACTORS = 24
"""At most so many factors are tried: half of them evenly among the ratios seen, half the largest ones."""
_TAIL = 5
"""The next record is expected as far above the last as these are from the one below them, on average."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Finished runs, ascending by inputs: bytes of inputs, bytes needed (above 0), seconds (above 0)."""

    inputs: Vector
    needs: Vector
    walls: Vector


@dataclass(frozen=True, slots=True)
class Line:
    """Need expected at an input size, `middle + slope · (inputs - centre)`, kept within reason.

    Not less than half the smallest need seen; not more than twice the largest, which grows in proportion
    beyond the largest inputs seen.
    """

    middle: float
    slope: float
    centre: float
    least: float
    most: float
    widest: float

    def at(self, inputs: float) -> float:
        """Return the bytes expected."""
        most = self.most * max(1.0, inputs / self.widest) if self.widest else self.most
        return min(max(self.middle + self.slope * (inputs - self.centre), self.least), most)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line, and how the past runs compare with it: need divided by what the others let expect."""

    runs: Runs
    line: Line
    expected: Vector
    ratios: Vector
    factors: Vector
    record: float
    """Ratio that a run beyond all seen is expected to have."""

    def costs(self) -> tuple[_Costs, _Costs]:
        """Return what each factor would have cost: what was set aside, and what is lost per unit of price."""
        runs = self.runs
        fails = self.ratios[:, None] > self.factors
        lost = fails * (runs.walls * runs.needs)[:, None]
        aside = fails * (runs.walls * (runs.needs.max() - runs.needs))[:, None]
        aside += (runs.walls * self.expected)[:, None] * self.factors
        typical = self.factors * (runs.walls @ self.expected / len(runs.walls))
        record = (self.factors < self.record) * (runs.walls.mean() * runs.needs.max())
        return _Costs(aside, typical), _Costs(lost, record)


@dataclass(frozen=True, slots=True)
class Fit:
    """The cheapest candidate, ready to be asked for sizes."""

    line: Line
    quartiles: tuple[float, float]
    """Of what the past runs needed, divided by their size at `TYPICAL_PRICE`."""
    _centres: list[float]
    _tables: list[list[float]]
    """Factors, by price and centre."""

    def size(self, inputs: float, price: float) -> float:
        """Return the bytes that would have cost least for similar runs. It never falls as `price` rises.

        Prices are rounded to powers of the square root of two, from 1 to 16.
        """
        return self.line.at(inputs) * self._tables[_step(price)][_nearest(self._centres, inputs)]


def fit(runs: Runs) -> Fit:
    """Choose the line and the neighbourhood that would have cost least, each run judged by the others."""
    candidates = [_compare(runs, *line) for line in _lines(runs)]
    priced = [candidate.costs() for candidate in candidates]
    judged = [
        (cost, -similar, at)
        for at, (aside, lost) in enumerate(priced)
        for similar, cost in _judge(aside.plus(lost, TYPICAL_PRICE))
    ]
    _, similar, at = min(judged)  # of equally good ones that of most runs, then the level
    tables = _cheapest(candidates[at].factors, *priced[at], -similar)
    quartiles = _quartiles(candidates[at].ratios, tables[_step(TYPICAL_PRICE)])
    centres = runs.inputs[_centres(len(runs.inputs))]
    return Fit(candidates[at].line, quartiles, centres.tolist(), tables.tolist())


def _lines(runs: Runs) -> Iterator[tuple[Line, Vector]]:
    """Yield a level and, where inputs differ, a slope; each with what it expects of a run from the others."""
    inputs, needs = runs.inputs, runs.needs
    limits = float(needs.min()) / 2, float(needs.max()) * 2, float(inputs[-1])
    level = float(np.median(needs))
    if inputs[0] == inputs[-1] > 0:
        # Nothing is known about other inputs: larger ones are taken to need more in proportion.
        yield Line(level, level / limits[2], limits[2], level, *limits[1:]), np.full(len(needs), level)
        return
    yield Line(level, 0.0, 0.0, *limits), np.full(len(needs), level)
    centre, middle = float(inputs.mean()), float(needs.mean())
    away = inputs - centre
    spread = float(away @ away)
    if spread > 1e-9 * centre * centre:
        slope = float(away @ needs) / spread
        # What the line would be without the run itself: Cook and Weisberg, "Residuals and Influence in
        # Regression" (1982), 2.2.
        influence = 1 / len(needs) + away * away / spread
        left_out = needs - (needs - middle - slope * away) / np.maximum(1 - influence, 0.1)
        yield Line(middle, slope, centre, *limits), np.clip(left_out, limits[0], limits[1])


def _compare(runs: Runs, line: Line, expected: Vector) -> Candidate:
    ratios = runs.needs / expected
    ranked = np.sort(ratios)
    tail = ranked[-_TAIL - 1 :]
    record = ranked[-1] + (tail - tail[0]).sum() / max(len(tail) - 1, 1)
    half = _FACTORS // 2
    if len(ranked) > _FACTORS:
        evenly = np.linspace(0, len(ranked) - half, half, endpoint=False).astype(int)
        ranked = np.concatenate([ranked[evenly], ranked[-half:]])
    factors = np.append(ranked, [(ranked[-1] + record) / 2, record])
    return Candidate(runs, line, expected, ratios, factors, float(record))


@dataclass(frozen=True, slots=True)
class _Costs:
    """What each factor (last axis) would have cost for each run, and for one beyond all that were seen.

    The next of n + 1 equally likely runs is the largest with probability 1 / (n + 1).
    """

    own: Vector
    beyond: Vector

    def plus(self, other: _Costs, price: float) -> _Costs:
        return _Costs(self.own + price * other.own, self.beyond + price * other.beyond)


class _Neighbourhoods:
    """Costs summed over the runs of most similar inputs, around each centre."""

    def __init__(self, costs: _Costs) -> None:
        self._count, factors = costs.own.shape
        self._beyond = costs.beyond
        self._running = np.zeros((self._count + 1, factors))
        costs.own.cumsum(axis=0, out=self._running[1:])
        self._centres = _centres(self._count)

    def sums(self, similar: Places) -> Vector:
        """Return the costs for the `similar` nearest runs: by their number, centre and factor."""
        similar = similar[:, None]
        first = np.minimum(np.maximum(self._centres - similar // 2, 0), self._count - similar)
        sums: Vector = self._running[first + similar] - self._running[first]
        sums += self._running[-1] * (_OTHERS / self._count)
        sums += self._beyond * ((similar + _OTHERS) / self._count)[:, :, None]
        return sums


def _judge(costs: _Costs) -> Iterator[tuple[int, float]]:
    """Yield the numbers of similar runs to try, each with its cost when runs are left out of their own."""
    count = len(costs.own)
    similar = count // np.array([share for share in _SHARES if share == 1 or count >= 4 * share])
    own = costs.own[_centres(count)]
    chosen = (_Neighbourhoods(costs).sums(similar) - own).argmin(axis=-1)
    yield from zip(similar.tolist(), own[np.arange(len(own)), chosen].mean(axis=1).tolist(), strict=True)


def _cheapest(factors: Vector, aside: _Costs, lost: _Costs, similar: int) -> Vector:
    """Return the factor of least cost, by price and centre."""
    sums = [_Neighbourhoods(costs).sums(np.array([similar]))[0] for costs in (aside, lost)]
    cheapest = (sums[0] + _PRICES[:, None, None] * sums[1]).argmin(axis=-1)
    # Each price gets at least what the one below it does, rounding errors notwithstanding.
    return factors[np.maximum.accumulate(cheapest)]


def _quartiles(ratios: Vector, factors: Vector) -> tuple[float, float]:
    """Return the quartiles of ratios divided by the factor of the nearest centre."""
    count = len(ratios)
    nearest = np.rint(np.arange(count) * ((len(factors) - 1) / max(count - 1, 1))).astype(np.intp)
    relative = np.sort(ratios / factors[nearest])
    return float(relative[count // 4]), float(relative[-1 - count // 4])


def _step(price: float) -> int:
    return round(_STEPS * math.log2(min(max(price, 1.0), _PRICES[-1])))


def _centres(count: int) -> Places:
    """Return the places, among `count` runs, that get a factor of their own."""
    places = np.arange(min(count, _CENTRES))
    return places if count <= _CENTRES else np.rint(places * ((count - 1) / (_CENTRES - 1))).astype(np.intp)


def _nearest(ascending: list[float], value: float) -> int:
    """Return where the entry nearest to `value` is; the lower of two equally near."""
    after = bisect_left(ascending, value)
    if after == 0:
        return 0
    if after == len(ascending):
        return after - 1
    return after if ascending[after] - value < value - ascending[after - 1] else after - 1
