"""How much memory do sizers waste on the tasks of real workflows, and how often are they too small?

    python tests/benchmarks/sizing.py --data DIR --seeds 5 --json sizing.json

`DIR` holds Nextflow traces, one CSV per workflow, as published with Sizey (github.com/dos-group/sizey).

The protocol is Sizey's (Bader et al., CLUSTER 2024, arXiv 2407.16353): task types with at least 34 runs, in
random order; 30 % of the runs are known at the start, the others come one by one and are learned after
their prediction; the input size is `rchar`, the peak is `rss`. A run that was given too little is killed at
its end, the worst case, and tried again with more. *Waste* is what was reserved without being used, in
GB·h with GB = 1e9 bytes: all of a killed attempt, and what the last attempt left over. Time is processor time
per prediction, learning included.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

import numpy as np

from supreme_dask.core.profiles import Measurement, Profile

FEWEST_RUNS = 34
KNOWN_SHARE = 0.3
NODE = 128e9
"""Bytes of the machine that a run gets when all else failed; that of the traces."""
GB_HOUR = 1e9 * 3600 * 1000
"""Bytes × milliseconds: the durations of the traces are in milliseconds."""


@dataclass(frozen=True, slots=True)
class Run:
    """One task of a trace: bytes read, peak bytes, milliseconds, bytes the user asked for."""

    inputs: float
    peak: float
    wall: float
    request: float


class Sizer(Protocol):
    """Says how much memory the next run of one task type gets."""

    def size(self, run: Run) -> float:
        """Return the bytes for the first attempt; only `inputs` and `request` of `run` may be read."""

    def retry(self, failed: float, run: Run) -> float:
        """Return the bytes for the attempt after one with `failed` bytes was killed."""

    def learn(self, run: Run) -> None:
        """Take note of a finished run."""


# ------------------------------------------------------------------------------------------- the sizers
class Request:
    """What the user asked for."""

    def size(self, run: Run) -> float:
        return run.request

    def retry(self, failed: float, _: Run) -> float:
        return 2 * failed

    def learn(self, run: Run) -> None:
        pass


class _History:
    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.largest = 0.0

    def learn(self, run: Run) -> None:
        self.runs.append(run)
        self.largest = max(self.largest, run.peak)

    def retry(self, failed: float, _: Run) -> float:
        return 2 * failed


class LargestSeen(_History):
    """The largest peak so far, doubled after a failure: the baseline that papers forget."""

    def size(self, _: Run) -> float:
        return self.largest


class WittP95(_History):
    """The 95th percentile of the peaks so far (Witt et al., HPCS 2019)."""

    def size(self, _: Run) -> float:
        return float(np.percentile([seen.peak for seen in self.runs], 95))


class Tovar(_History):
    """The peak that would have wasted least as everyone's first size (Tovar et al., TPDS 29(8), 2018).

    A failure is followed by the largest peak so far, then by the whole node.
    """

    def size(self, _: Run) -> float:
        runs = sorted(self.runs, key=lambda seen: seen.peak)
        peak = np.array([seen.peak for seen in runs])
        wall = np.array([seen.wall for seen in runs])
        fitting, used = np.cumsum(wall), np.cumsum(peak * wall)
        failing = fitting[-1] - fitting
        left_over = peak * fitting - used
        retried = peak * failing + peak[-1] * failing - (used[-1] - used)
        return float(peak[np.argmin(left_over + retried)])

    def retry(self, failed: float, _: Run) -> float:
        return self.largest if failed < self.largest else NODE


class Minimiser(_History):
    """The empirical-waste minimiser: one of seven predictors, times the factor that would have wasted least.

    Each predictor's past predictions, made before their run was known, give ratios of need to prediction;
    candidate factors are quantiles of them. A factor's cost is the waste it would have caused, a killed
    attempt counting `1 + price` times, plus the chance that the next run exceeds all ratios seen.
    """

    WINDOW = 400
    DECAY = 0.995
    QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.98, 1.0)
    BEYOND = (1.02, 1.05, 1.1, 1.2)

    def __init__(self, price: float = 4.0) -> None:
        super().__init__()
        self.price = price
        self.guesses: list[np.ndarray | None] = []
        self.guess: tuple[Run, np.ndarray] | None = None

    def size(self, run: Run) -> float:
        guess = self._guess(run)
        rows = [
            (seen, past)
            for seen, past in zip(self.runs[-self.WINDOW :], self.guesses[-self.WINDOW :], strict=True)
            if past is not None
        ]
        if len(rows) < 3:
            return self.largest * 1.25
        peak = np.array([seen.peak for seen, _ in rows])
        weight = np.array([seen.wall for seen, _ in rows]) * self.DECAY ** np.arange(len(rows))[::-1]
        past = np.array([past for _, past in rows])
        best = min((self._cheapest(past[:, j], peak, weight), j) for j in range(past.shape[1]))
        (_, factor), j = best
        return max(guess[j] * factor, 1e6)

    def learn(self, run: Run) -> None:
        self.guesses.append(self._guess(run) if len(self.runs) >= 3 else None)
        super().learn(run)

    def _cheapest(self, guess: np.ndarray, peak: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
        """Return the least cost over the factors, and the factor that has it."""
        ratio = np.maximum(peak / guess, 1e-3)
        largest = ratio.max()
        factors = np.unique([*np.quantile(ratio, self.QUANTILES), *(largest * np.array(self.BEYOND))])
        sizes = guess * factors[:, None]
        fits = sizes >= peak
        doublings = np.where(fits, 0, np.ceil(np.log2(np.maximum(peak / sizes, 1))))
        wasted = self.price * sizes * (2**doublings - 1) + sizes * 2**doublings - peak
        scale = max(ratio.std(), 0.02) * largest
        unseen = np.exp(-np.maximum(factors - largest, 0) / scale) / (len(peak) + 1)
        surprise = np.where(fits.all(axis=1), unseen, 0) * ((1 + self.price) * sizes * weight).sum(axis=1)
        cost = (wasted * weight).sum(axis=1) + surprise
        at = int(np.argmin(cost))
        return float(cost[at]), float(factors[at])

    def _guess(self, run: Run) -> np.ndarray:
        if self.guess is None or self.guess[0] is not run:
            self.guess = run, self._predict(run.inputs)
        return self.guess[1]

    def _predict(self, inputs: float) -> np.ndarray:
        """Return what each predictor expects: median, linear, power law, neighbours (3), largest."""
        x = np.array([seen.inputs for seen in self.runs[-self.WINDOW :]])
        y = np.array([seen.peak for seen in self.runs[-self.WINDOW :]])
        middle, largest = float(np.median(y)), float(y.max())
        if x.std() == 0:
            return np.array([middle] * 6 + [largest])
        low, high = y.min() * 0.5, largest * 2
        slope, offset = np.polyfit(x, y, 1)
        linear = np.clip(offset + slope * inputs, low, high)
        lx, ly, at = np.log(np.maximum(x, 1)), np.log(y), math.log(max(inputs, 1))
        power = middle
        if lx.std() > 1e-9:
            exponent = np.clip(np.polyfit(lx, ly, 1)[0], -0.2, 1.5)
            power = np.clip(math.exp(ly.mean() + exponent * (at - lx.mean())), low, high)
        near = y[np.argsort(np.abs(lx - at), kind="stable")[:5]]
        return np.array([middle, linear, power, near.max(), np.median(near), near[0], largest])


class Ours:
    """`supreme_dask.core.profiles`, at a price of failure."""

    def __init__(self, price: float) -> None:
        self.price = price
        self.profile = Profile()

    def size(self, run: Run) -> float:
        size = self.profile.memory(int(run.inputs), failure_price=self.price)
        return NODE if size is None else size

    def retry(self, failed: float, run: Run) -> float:
        self.profile.learn(Measurement(run.wall / 1e3, memory=int(failed), inputs=int(run.inputs), killed=True))
        return self.profile.retry(int(failed))

    def learn(self, run: Run) -> None:
        self.profile.learn(Measurement(run.wall / 1e3, memory=int(run.peak), inputs=int(run.inputs)))


class Oracle:
    """What a class of predictors could have reached: it knows all runs, and only its form limits it.

    Sizes are a line (least squares, or level) times the factor that wastes least over the run's neighbours,
    of which itself is one. After a failure comes the largest peak.
    """

    def __init__(self, runs: Sequence[Run], *, sloped: bool, share: float = 1.0) -> None:
        runs = sorted(runs, key=lambda run: run.inputs)
        inputs, peak, wall = (np.array([getattr(run, of) for run in runs]) for of in ("inputs", "peak", "wall"))
        away = inputs - inputs.mean()
        line = np.full(len(runs), peak.mean())
        if sloped and inputs[0] < inputs[-1]:
            line = np.maximum(line + away * (away @ peak) / (away @ away), peak.min() / 2)
        factors = np.quantile(peak / line, np.linspace(0, 1, 200))[:, None]
        wasted = (factors * line + (factors * line < peak) * peak.max() - peak) * wall
        near = max(int(len(runs) * share), 1)
        first = np.clip(np.arange(len(runs)) - near // 2, 0, len(runs) - near)
        sums = np.concatenate([np.zeros((len(factors), 1)), wasted.cumsum(axis=1)], axis=1)
        best = (sums[:, first + near] - sums[:, first]).argmin(axis=0)
        self.sizes = dict(zip(map(id, runs), line * factors[best, 0], strict=True))
        self.largest = float(peak.max())

    def size(self, run: Run) -> float:
        return float(self.sizes[id(run)])

    def retry(self, failed: float, _: Run) -> float:
        return self.largest if failed < self.largest else 2 * failed

    def learn(self, run: Run) -> None:
        pass


SIZERS: dict[str, Callable[[Sequence[Run]], Sizer]] = {
    "user requests": lambda _: Request(),
    "Tovar": lambda _: Tovar(),
    "Witt-P95": lambda _: WittP95(),
    "largest seen": lambda _: LargestSeen(),
    "minimiser (price 4)": lambda _: Minimiser(4.0),
    **{f"ours (price {price})": lambda _, price=price: Ours(price) for price in (8, 4, 2.5, 1)},
    "oracle: one size": lambda runs: Oracle(runs, sloped=False),
    "oracle: line": lambda runs: Oracle(runs, sloped=True),
    "oracle: neighbours (1/8)": lambda runs: Oracle(runs, sloped=False, share=1 / 8),
}


# ----------------------------------------------------------------------------------------- the protocol
@dataclass(slots=True)
class Tally:
    """What one sizer did with the runs of a workflow."""

    waste: float = 0.0
    used: float = 0.0
    predictions: int = 0
    failures: int = 0
    seconds: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def figures(self) -> dict[str, float]:
        return {
            "waste_gb_h": self.waste,
            "useful_share": self.used / (self.used + self.waste),
            "first_try_failures": self.failures / self.predictions,
            "us_per_prediction": self.seconds / self.predictions * 1e6,
        }


def read(path: Path) -> list[list[Run]]:
    """Return the runs of each task type that the protocol admits."""
    types: dict[str, list[Run]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            try:
                run = Run(*(float(row[of]) for of in ("rchar", "rss", "realtime", "memory")))
            except ValueError:
                continue  # "-" stands for what Nextflow could not measure
            if run.peak > 0:
                types[row["process"]].append(run)
    return [runs for runs in types.values() if len(runs) >= FEWEST_RUNS and all(run.wall > 0 for run in runs)]


def replay(sizer: Sizer, known: Iterable[Run], coming: Iterable[Run]) -> Tally:
    """Let `sizer` learn what is known, then size what comes, learning from each run after it."""
    for run in known:
        sizer.learn(run)
    tally = Tally()
    begin = time.process_time()
    for run in coming:
        size = sizer.size(run)
        tally.failures += size < run.peak
        while size < run.peak:
            tally.waste += size * run.wall / GB_HOUR
            size = sizer.retry(size, run)
        tally.waste += (size - run.peak) * run.wall / GB_HOUR
        tally.used += run.peak * run.wall / GB_HOUR
        tally.predictions += 1
        sizer.learn(run)
    tally.seconds = time.process_time() - begin
    return tally


def run_workflow(types: Sequence[Sequence[Run]], name: str, seed: int) -> Tally:
    """Return what the sizer of that name did with all task types, each shuffled by `seed`."""
    total = Tally()
    for runs in types:
        order = np.random.default_rng(seed).permutation(len(runs))
        shuffled = [runs[at] for at in order]
        known = int(len(runs) * KNOWN_SHARE)
        total += replay(SIZERS[name](runs), shuffled[:known], shuffled[known:])
    return total


def measure(workflows: dict[str, list[list[Run]]], seeds: int) -> dict[str, dict[str, list[Tally]]]:
    """Return the tallies of every sizer on every workflow, and on their total, one per seed."""
    tallies: dict[str, dict[str, list[Tally]]] = {}
    for name in SIZERS:
        each = {
            workflow: [run_workflow(types, name, seed) for seed in range(1, seeds + 1)]
            for workflow, types in workflows.items()
        }
        tallies[name] = {
            **each,
            "total": [sum(at_seed, Tally()) for at_seed in zip(*each.values(), strict=True)],
        }
    return tallies


# ------------------------------------------------------------------------------------------- the result
def medians(tallies: dict[str, dict[str, list[Tally]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the median over the seeds of every figure, by sizer and workflow."""
    return {
        name: {workflow: _median_figures(of_seeds) for workflow, of_seeds in each.items()}
        for name, each in tallies.items()
    }


def _median_figures(of_seeds: Sequence[Tally]) -> dict[str, float]:
    figures = [tally.figures() for tally in of_seeds]
    return {figure: median(each[figure] for each in figures) for figure in figures[0]}


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the medians as text: waste by workflow, then what holds for the total."""
    workflows = list(next(iter(figures.values())))
    head = ["waste, GB·h", *workflows, "useful", "failures", "µs"]
    rows = [head] + [
        [
            name,
            *(f"{each[workflow]['waste_gb_h']:.2f}" for workflow in workflows),
            f"{each['total']['useful_share']:.1%}",
            f"{each['total']['first_try_failures']:.2%}",
            f"{each['total']['us_per_prediction']:.0f}",
        ]
        for name, each in figures.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    )


def ratios(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the waste of ours, at each price, divided by that of the others: median by median."""
    baselines = ("minimiser (price 4)", "largest seen", "Witt-P95", "Tovar", "user requests")
    return {
        f"{ours} / {baseline}": {
            workflow: each["waste_gb_h"] / figures[baseline][workflow]["waste_gb_h"]
            for workflow, each in figures[ours].items()
        }
        for ours in figures
        if ours.startswith("ours")
        for baseline in baselines
    }


def draw(figures: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Draw waste over first-try failures: what a lower price buys, and what the others reach."""
    from matplotlib.figure import Figure

    axes = (figure := Figure(figsize=(8, 5), layout="constrained")).subplots()
    points = {
        name: (100 * each["total"]["first_try_failures"], each["total"]["waste_gb_h"])
        for name, each in figures.items()
        if name != "user requests"
    }
    axes.plot(*zip(*(at for name, at in points.items() if name.startswith("ours")), strict=True), color="C0")
    for name, at in points.items():
        axes.plot(*at, "x" if name.startswith("oracle") else "o", color="C0" if name.startswith("ours") else "C1")
        axes.annotate(name, at, textcoords="offset points", xytext=(5, 5))
    axes.set(xlabel="first-try failures, %", ylabel="waste, GB·h", ylim=(0, None), xlim=(0, None))
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory of the traces, *.csv")
    parser.add_argument("--seeds", type=int, default=5, help="number of random orders")
    parser.add_argument("--json", type=Path, help="where to write medians, ratios and every seed's figures")
    parser.add_argument("--png", type=Path, help="where to draw waste over failures")
    args = parser.parse_args()
    tallies = measure({path.stem: read(path) for path in sorted(args.data.glob("*.csv"))}, args.seeds)
    figures = medians(tallies)
    print(table(figures))
    for pair, by_workflow in ratios(figures).items():
        print(f"{pair:45}", *(f"{workflow} {ratio:.2f}" for workflow, ratio in by_workflow.items()))
    if args.json:
        seeds = {
            name: {workflow: [tally.figures() for tally in each] for workflow, each in by_workflow.items()}
            for name, by_workflow in tallies.items()
        }
        result = {"seeds": args.seeds, "medians": figures, "ratios": ratios(figures), "each_seed": seeds}
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.png:
        draw(figures, args.png)


if __name__ == "__main__":
    main()
