"""The least that workers for some tasks could cost: random problems, and bounds by programs of scipy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from supreme_dask.core.packing import Offer

NEAR = 2e-3
"""How near the bound is to the true optimum of the linear program."""

_LOADS = 4000


@dataclass(frozen=True, slots=True)
class Problem:
    """Tasks, and what they could run on."""

    demands: NDArray[np.float64]
    counts: NDArray[np.float64]
    offers: list[Offer]


def problems(number: int, most: int, seed: int = 0) -> Iterator[Problem]:
    """Yield problems of few shapes, small enough for an integer program."""
    rng = np.random.default_rng([seed, most])
    while number:
        one = problem(rng, most)
        if every_load(one) is not None:
            yield one
            number -= 1


def problem(
    rng: np.random.Generator,
    most: int,
    shapes: tuple[int, int] = (2, 4),
    groups: int | None = None,
    resources: int = 2,
) -> Problem:
    """Return a problem with 5 to 8 groups whose prices are within a quarter of what their size is worth.

    Parameters
    ----------
    most
        Tasks of a shape at most; where it is 100 or more, one shape has 100.
    resources
        2 for cpu and memory, 3 for GPUs too, which some groups have and a third of the shapes need.
    """
    offers = [_offer(rng, resources) for _ in range(groups or rng.integers(5, 9))]
    wanted = rng.integers(shapes[0], shapes[1] + 1)
    found: dict[tuple[float, ...], None] = {}
    for _ in range(1000):
        need = _need(rng, resources, fine=wanted > 8)
        if len(found) < wanted and any((need <= offer.capacity).all() for offer in offers):
            found.setdefault(tuple(need))
    demands = np.array(list(found) or [(1.0, 1.0, 0.0)[:resources]])
    counts = rng.integers(1, most + 1, len(demands)).astype(float)
    counts[0] = max(counts[0], min(most, 100))
    return Problem(demands, counts, offers)


def _offer(rng: np.random.Generator, resources: int) -> Offer:
    cpu = rng.choice([2, 4, 8, 16])
    memory = cpu * rng.choice([2, 4, 8])
    gpus = rng.choice([0, 0, 1, 2, 4]) if resources == 3 else 0
    price = (cpu + memory / 4 + 10 * gpus) * rng.uniform(0.8, 1.25)
    return Offer(np.array([cpu, memory, gpus][:resources], float), float(price))


def _need(rng: np.random.Generator, resources: int, fine: bool) -> NDArray[np.float64]:
    memory = rng.choice([1, 2, 3, 4, 5, 6, 7, 9, 12] if fine else [1, 2, 4, 6, 12])
    return np.array([rng.choice([1, 1, 2, 4]), memory, rng.choice([0, 0, 0, 0, 1, 2])][:resources], float)


def integer_optimum(one: Problem) -> float:
    """Return the cost of the best whole workers, proven within 0.1 % or not beaten in 5 s."""
    loads, costs = _written_down(one)
    found = milp(
        costs,
        constraints=LinearConstraint(loads.T, lb=one.counts),
        integrality=np.ones(len(costs)),
        bounds=Bounds(0, np.inf),
        options={"time_limit": 5, "mip_rel_gap": 1e-3},
    )
    return float(found.fun)


def configuration_bound(one: Problem) -> float:
    """Return the least cost if parts of workers could be had, from below.

    The linear program over all loads (Gilmore and Gomory 1961) where they can be written down. Where not, loads are
    made by exact knapsacks until Farley's bound ("A note on bounding a class of linear programming problems", 1990),
    which holds at any moment, is near.
    """
    if every_load(one) is not None:
        loads, costs = _written_down(one)
        return float(linprog(costs, A_ub=-loads.T, b_ub=-one.counts).fun)
    singles = [
        (np.eye(len(one.counts))[shape], offer.cost)
        for shape, need in enumerate(one.demands)
        for offer in one.offers
        if (need <= offer.capacity).all()
    ]
    loads, costs = np.array([load for load, _ in singles]), np.array([cost for _, cost in singles])
    bound = 0.0
    while True:
        mix = linprog(costs, A_ub=-loads.T, b_ub=-one.counts)
        found = [_knapsack(one, offer, -mix.ineqlin.marginals) for offer in one.offers]
        gains = [worth / offer.cost for (_, worth), offer in zip(found, one.offers, strict=True)]
        bound = max(bound, mix.fun / max(1.0, *gains))
        if mix.fun <= bound * (1 + NEAR):
            return float(bound)
        loads = np.vstack([loads, *(load for load, _ in found)])
        costs = np.append(costs, [offer.cost for offer in one.offers])


def _knapsack(one: Problem, offer: Offer, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the most valuable load of a worker, and a bound of what any is worth."""
    found = milp(
        -values,
        constraints=LinearConstraint(one.demands.T, ub=offer.capacity),
        integrality=np.ones(len(values)),
        bounds=Bounds(0, one.counts),
        options={"mip_rel_gap": 1e-4},
    )
    return np.round(found.x), -found.mip_dual_bound


def every_load(one: Problem) -> list[set[tuple[int, ...]]] | None:
    """Return all loads of each offer to which none of the last shape could be added; None if they are too many."""
    found: list[set[tuple[int, ...]]] = []
    for offer in one.offers:
        loads = {()}
        for shape in range(len(one.counts)):
            last = shape == len(one.counts) - 1
            loads = {(*load, times) for load in loads for times in _choices(one, offer, load, last)}
            if len(loads) > _LOADS:
                return None
        found.append(loads)
    return found


def _choices(one: Problem, offer: Offer, load: tuple[int, ...], last: bool) -> range:
    shape = len(load)
    free = offer.capacity - np.array(load, float) @ one.demands[:shape]
    need = one.demands[shape]
    most = int(min(one.counts[shape], *(free[need > 0] // need[need > 0])))
    return range(most if last else 0, most + 1)


def _written_down(one: Problem) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    loads = every_load(one)
    assert loads is not None
    costs = np.repeat([offer.cost for offer in one.offers], [len(some) for some in loads])
    return np.array([load for some in loads for load in sorted(some)], float), costs
