"""How near the least cost the choice of worker groups is, and how long it takes.

Prices are within a quarter of what the size of a worker is worth. Costs are compared with the best whole workers that
an integer program finds (few tasks), and with a linear program that may take parts of workers (100 tasks and more).
Times are processor time of one decision: existing workers are filled, and groups are chosen for what is left.

::

    python tests/benchmarks/groups.py --instances 200 --json groups.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from time import process_time

import numpy as np
from group_costs import Problem, configuration_bound, integer_optimum, problem, problems

from supreme_dask.core.packing import cover, fill, pack

CASES = ((100, 1_000, 1), (1_000, 1_000, 16), (1_000, 100_000, 1), (1_000, 100_000, 16), (1_000, 100_000, 64))
"""Existing workers, waiting tasks, shapes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=200, help="problems of few shapes, of each kind")
    parser.add_argument("--wide", type=int, default=10, help="problems of 16 and of 64 shapes; a bound takes seconds")
    parser.add_argument("--decisions", type=int, default=100, help="decisions that are timed, of each kind")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    figures = {"costs": costs(arguments.instances, arguments.wide), "milliseconds": times(arguments.decisions)}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def costs(instances: int, wide: int) -> dict[str, dict[str, float]]:
    """Print and return how our costs compare, by kind of problem."""
    print(f"{'problems':38} {'number':>6} {'median':>7} {'p95':>7} {'max':>7}  cost over the", flush=True)
    kinds: dict[str, tuple[Iterable[Problem], Callable[[Problem], float], str]] = {
        "2-4 shapes, up to 10 of each": (problems(instances, 10), integer_optimum, "integer optimum")
    }
    for most in (100, 1_000):
        kinds[f"2-4 shapes, up to {most} of each"] = (
            problems(instances, most),
            configuration_bound,
            "linear program",
        )
    for shapes in (16, 64) if wide else ():
        rng = np.random.default_rng(shapes)
        ones = [problem(rng, 1_000, (shapes, shapes), groups=5, resources=3) for _ in range(wide)]
        kinds[f"{shapes} shapes, 3 resources, up to 1000"] = (ones, configuration_bound, "linear program")
    return {name: compare(name, *kind) for name, kind in kinds.items()}


def compare(name: str, ones: Iterable[Problem], bound: Callable[[Problem], float], of: str) -> dict[str, float]:
    ratios, useless = [], 0
    for one in ones:
        loads = pack(one.demands, one.counts, one.offers)
        ratios.append(sum(load.times * one.offers[load.offer].cost for load in loads) / bound(one))
        useless += sum(not (load.tasks @ one.demands <= one.offers[load.offer].capacity).all() for load in loads)
    median, high = np.quantile(ratios, (0.5, 0.95))
    print(f"{name:38} {len(ratios):6} {median:7.3f} {high:7.3f} {max(ratios):7.3f}  {of}", flush=True)
    return {"number": len(ratios), "median": median, "p95": high, "max": max(ratios), "useless": useless}


def times(decisions: int) -> dict[str, dict[str, float]]:
    """Print and return how long a decision takes, by size."""
    print(
        f"\n{'workers':>8} {'waiting':>8} {'shapes':>7} {'fill p50':>9} {'p99':>7} {'cover p50':>10} {'p99':>7}"
        f" {'both p50':>9} {'p99':>7} ms"
    )
    figures = {}
    for workers, waiting, shapes in CASES:
        taken = np.array([decide(workers, waiting, shapes, seed) for seed in range(decisions)]) * 1e3
        taken = np.column_stack([taken, taken.sum(axis=1)])
        (f50, c50, b50), (f99, c99, b99) = np.quantile(taken, (0.5, 0.99), axis=0)
        print(
            f"{workers:8} {waiting:8} {shapes:7} {f50:9.1f} {f99:7.1f} {c50:10.1f} {c99:7.1f} {b50:9.1f} {b99:7.1f}"
        )
        figures[f"{workers} workers, {waiting} waiting, {shapes} shapes"] = {"p50": b50, "p99": b99}
    return figures


def decide(workers: int, waiting: int, shapes: int, seed: int) -> tuple[float, float]:
    """Return the seconds that it takes to fill the workers there are, and to choose more."""
    rng = np.random.default_rng([seed, shapes])
    one = problem(rng, 10, (shapes, shapes), groups=5, resources=3)
    counts = np.floor(waiting * rng.dirichlet(np.ones(len(one.counts))))
    rooms = np.array([one.offers[place].capacity for place in rng.integers(0, 5, workers)])
    rooms = np.floor(rooms * rng.uniform(0, 1, rooms.shape))
    started = process_time()
    left = fill(one.demands, counts, rooms).left
    filled = process_time()
    cover(one.demands, left, one.offers)
    return filled - started, process_time() - filled


if __name__ == "__main__":
    main()
