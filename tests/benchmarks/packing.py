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
        f"{len(possible)} tasks on {arguments.count} nodes: "
        f"{result['allocated']:.4f} of {result['scarce']} allocated "
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
    run = Replay(pods, node, count)
    started = time.process_time()
    run.submit()
    while run.running:
        run.step()
    spent = time.process_time() - started
    total = node[run.scarce] * count
    return {
        "allocated": run.area / (run.saturated * total) if run.saturated else 0.0,
        "scarce": NAMES[run.scarce],
        "makespan": run.clock,
        "makespan_over_bound": run.clock / max(run.work),
        "longest_wait": run.longest_wait,
        "microseconds_per_task": 1e6 * spent / len(pods),
        "shapes_considered_per_task": run.admission.considered / len(pods),
    }


class Replay:
    """A cluster in virtual time."""

    def __init__(self, pods: list[Pod], node: tuple[int, int, int], count: int) -> None:
        self.pods = {pod.name: pod for pod in pods}
        self.work = [
            sum(pod.amounts[i] * pod.duration for pod in pods) / (node[i] * count or 1) for i in range(len(NAMES))
        ]
        self.scarce = max(range(len(NAMES)), key=self.work.__getitem__)
        self.running: list[tuple[float, str]] = []
        self.clock = self.area = self.saturated = self.longest_wait = 0.0
        self.used = 0
        self.admission = Admission()
        for number in range(count):
            capacity = dict(zip(NAMES, node, strict=True))
            self.admission.add_worker(f"node-{number:04}", f"host-{number}", UNBOUNDED_THREADS, capacity)

    def submit(self) -> None:
        """Let all pods arrive, in the order of the file."""
        for number, pod in enumerate(self.pods.values()):
            demand = Resources.of(dict(zip(NAMES, pod.amounts, strict=True)))
            if self.admission.arrive(Task(pod.name, "pod", (0, 0, number), demand), self.clock) is not None:
                self._begin(pod)

    def step(self) -> None:
        """Go to the next moment at which a pod ends, and fill what it leaves."""
        now = self.running[0][0]
        if len(self.admission.queues) >= LEAST_WAITING:
            self.area += self.used * (now - self.clock)
            self.saturated += now - self.clock
        self.clock = now
        while self.running and self.running[0][0] <= now:
            pod = self.pods[heapq.heappop(self.running)[1]]
            self.used -= pod.amounts[self.scarce]
            self.admission.finish(pod.name, Measurement(pod.duration), now)
        self.admission.tick(now)
        for name, _ in self.admission.fill(now):
            self._begin(self.pods[str(name)])

    def _begin(self, pod: Pod) -> None:
        self.used += pod.amounts[self.scarce]
        self.longest_wait = max(self.longest_wait, self.clock)
        heapq.heappush(self.running, (self.clock + pod.duration, pod.name))


def _length(row: dict[str, str]) -> float:
    return float(row["deletion_time"] or 0) - float(row["scheduled_time"] or row["creation_time"] or 0)


def _amounts(row: dict[str, str]) -> tuple[int, int, int]:
    return int(row["cpu_milli"]), int(row["memory_mib"]) * MIB, int(row["num_gpu"]) * int(row["gpu_milli"])


if __name__ == "__main__":
    main()
