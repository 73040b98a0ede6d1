"""How full the core keeps a cluster: a production trace replayed in virtual time.

All tasks wait at t = 0, in the order of the file. The figure is the time average, while at least 64 wait, of the
allocated share of the resource with the most total work. Nothing but `supreme_dask.core` runs.

::

    python tests/benchmarks/packing.py --tasks openb_default.csv --node 96000,393216,8 --count 20 --json out.json
"""

from __future__ import annotations

import argparse
import csv
import heapq
import json
import time
from dataclasses import dataclass
from pathlib import Path

from supreme_dask.core.admission import Admission
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.resources import Resources
from supreme_dask.core.shapes import Task

NAMES = ("cpu", "memory", "gpu")
MIB = 1 << 20
UNBOUNDED_THREADS = 1 << 30
LEAST_WAITING = 64


@dataclass(frozen=True, slots=True)
class Pod:
    """One task of the trace: amounts in the units of `Resources`, and seconds."""

    name: str
    amounts: tuple[int, int, int]
    duration: float


def main() -> None:
    arguments = parse_arguments()
    pods = read_pods(arguments.tasks)
    cpu, memory, gpus = map(int, arguments.node.split(","))
    node = (cpu, memory * MIB, gpus * 1000)
    possible = [pod for pod in pods if all(need <= has for need, has in zip(pod.amounts, node, strict=True))]
    result = replay(possible, node, arguments.count)
    result["impossible"] = len(pods) - len(possible)
    print(
        f"{len(possible)} tasks on {arguments.count} nodes: {result['allocated']:.4f} of {result['scarce']} allocated "
        f"while at least {LEAST_WAITING} waited; makespan {result['makespan']:.0f} s, "
        f"{result['microseconds_per_task']:.0f} µs of decisions per task, "
        f"longest wait {result['longest_wait']:.0f} s"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=Path, required=True, help="pods of the trace, CSV")
    parser.add_argument("--node", default="96000,393216,8", help="milli-cpu, MiB, GPUs of a node")
    parser.add_argument("--count", type=int, default=20, help="number of nodes")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


def read_pods(path: Path) -> list[Pod]:
    """Return the pods in file order; durations are clipped at their 80th percentile."""
    rows = list(csv.DictReader(path.open()))
    lengths = sorted(_length(row) for row in rows)
    longest = lengths[int(0.8 * (len(lengths) - 1))]
    return [Pod(row["name"], _amounts(row), max(1.0, min(_length(row), longest))) for row in rows]


def replay(pods: list[Pod], node: tuple[int, int, int], count: int) -> dict[str, float | str]:
    """Run all pods on `count` nodes and return the figures."""
    admission = Admission()
    for number in range(count):
        capacity = dict(zip(NAMES, node, strict=True))
        admission.add_worker(f"node-{number:04}", f"host-{number}", UNBOUNDED_THREADS, capacity)
    work = [sum(pod.amounts[i] * pod.duration for pod in pods) / (node[i] * count or 1) for i in range(len(NAMES))]
    scarce = max(range(len(NAMES)), key=work.__getitem__)
    by_name = {pod.name: pod for pod in pods}
    clock, used, area, saturated, longest_wait = 0.0, 0, 0.0, 0.0, 0.0
    running: list[tuple[float, str]] = []

    def begin(name: str) -> None:
        nonlocal used, longest_wait
        used += by_name[name].amounts[scarce]
        longest_wait = max(longest_wait, clock)
        heapq.heappush(running, (clock + by_name[name].duration, name))

    started = time.process_time()
    for number, pod in enumerate(pods):
        demand = Resources.of(dict(zip(NAMES, pod.amounts, strict=True)))
        if admission.arrive(Task(pod.name, "pod", (0, 0, number), demand), clock) is not None:
            begin(pod.name)
    while running:
        now = running[0][0]
        if len(admission.queues) >= LEAST_WAITING:
            area += used * (now - clock)
            saturated += now - clock
        clock = now
        while running and running[0][0] <= now:
            _, name = heapq.heappop(running)
            used -= by_name[name].amounts[scarce]
            admission.finish(name, Measurement(by_name[name].duration), now)
        admission.tick(now)
        for name, _ in admission.fill(now):
            begin(name)
    spent = time.process_time() - started
    return {
        "allocated": area / (saturated * node[scarce] * count) if saturated else 0.0,
        "scarce": NAMES[scarce],
        "makespan": clock,
        "makespan_over_bound": clock / max(work),
        "longest_wait": longest_wait,
        "microseconds_per_task": 1e6 * spent / len(pods),
        "waiting_at_end": len(admission.queues),
    }


def _length(row: dict[str, str]) -> float:
    return float(row["deletion_time"] or 0) - float(row["scheduled_time"] or row["creation_time"] or 0)


def _amounts(row: dict[str, str]) -> tuple[int, int, int]:
    return int(row["cpu_milli"]), int(row["memory_mib"]) * MIB, int(row["num_gpu"]) * int(row["gpu_milli"])


if __name__ == "__main__":
    main()
