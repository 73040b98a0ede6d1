"""How fast are simulations, and how full does scaling keep a cluster on a production trace?

Alibaba's pods arrive within an hour, as many as keep the largest allowed cluster busy for three; durations are
clipped at their 80th percentile. nf-core workflows arrive as they did. `--data` holds ``openb/openb_default.csv`` and
``nfcore/*.csv``; nothing but `supreme_dask.core` runs.

::

    python tests/benchmarks/simulation.py --data DIR --workers 100 200 300 1000 --json simulation.json
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusters import quantile, write_json

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.policies import DEFAULT_POLICY, read_policy
from supreme_dask.core.scaling import Scaling
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.replay import simulate
from supreme_dask.core.simulation.traces import Job, read, squeezed

NODE = WorkerGroup("gpu", cpu=96, memory="384 GiB", resources={"GPU": 8}, count=0, startup=60.0, cost=10.0)
MACHINE = WorkerGroup("machine", cpu=16, memory="128 GiB", count=0, startup=60.0)
ALL_OF_A_NODE = Conditions(usable=1.0, base=0, terminate=1.0)
"""Pods declare what they may take of a whole node."""
PODS_PER_NODE = 80
HOUR = 3600.0


def main() -> None:
    arguments = parse_arguments()
    pods = read_trace(arguments.data / "openb" / "openb_default.csv")
    report: dict[str, Any] = {"fixed": fixed(pods), "scaled": {}, "workflows": {}}
    for workers in arguments.workers:
        report["scaled"][str(workers)] = figures(
            f"openb, scaled up to {workers}", enough(pods, workers), replace(NODE, maximum=workers), ALL_OF_A_NODE
        )
    for file in sorted((arguments.data / "nfcore").glob("*.csv")):
        machines = replace(MACHINE, maximum=200)
        report["workflows"][file.stem] = figures(file.stem, read_trace(file), machines, Conditions())
    write_json(arguments.json, report)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="directory of the traces")
    parser.add_argument("--workers", type=int, nargs="+", default=[100, 200, 300, 1000], help="maxima of the group")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


def read_trace(file: Path) -> tuple[Job, ...]:
    """Return the jobs of a file."""
    with file.open(newline="") as rows:
        return read(csv.DictReader(rows))


def fixed(pods: Sequence[Job]) -> dict[str, Any]:
    """Return the figures of 20 nodes and all pods at once: how well placement alone packs them."""
    jobs = squeezed(pods, span=0.0, longest=usual_longest(pods))
    return figures("openb, 20 nodes", jobs, replace(NODE, count=20), ALL_OF_A_NODE, scaled=False)


def enough(pods: Sequence[Job], workers: int) -> tuple[Job, ...]:
    """Return pods that keep so many workers busy, by repeating the trace; those no worker could hold are left out."""
    possible = [pod for pod in pods if pod.declared is not None and pod.declared.fits(NODE.capacity)]
    needed = PODS_PER_NODE * workers
    repeated = [
        replace(possible[number % len(possible)], key=f"pod-{number}", arrival=0.0) for number in range(needed)
    ]
    return squeezed(repeated, span=HOUR, longest=usual_longest(pods))


def usual_longest(pods: Sequence[Job]) -> float:
    """Return the 80th percentile of the durations: a few run for months."""
    return quantile([pod.duration for pod in pods], 0.8)


def figures(
    title: str, jobs: Sequence[Job], group: WorkerGroup, world: Conditions, *, scaled: bool = True
) -> dict[str, Any]:
    """Return what a simulation says, and how fast it was; print it in a line."""
    planner = Scaling(read_policy(DEFAULT_POLICY)) if scaled else None
    started = time.process_time()
    outcome = simulate(jobs, [group], planner, world)
    spent = time.process_time() - started
    usage = outcome.usage
    print(
        f"{title}: {outcome.tasks} tasks in {outcome.makespan:.0f} s, computed in {spent:.1f} s "
        f"({outcome.makespan / spent:.0f}× real time, {1e6 * spent / outcome.tasks:.0f} µs per task); "
        f"{usage.allocated:.2%} of {usage.scarce} allocated while at least {world.backlog} waited "
        f"({usage.backlog:.0f} s); cost {usage.cost:.1f}, cores {usage.utilised:.1%} busy; "
        f"waits p50 {outcome.waiting.p50:.0f} s, p99 {outcome.waiting.p99:.0f} s; "
        f"{outcome.launched} launched, {outcome.removed} removed, {outcome.evaluations} decisions"
    )
    wire = outcome.to_wire()
    kept = {name: wire[name] for name in wire if name not in ("moments", "scale_events", "failed", "unmet")}
    return kept | {"seconds": spent, "times_real": outcome.makespan / spent, "unmet": len(outcome.unmet)}


if __name__ == "__main__":
    main()
