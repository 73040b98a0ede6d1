"""How a cluster grows and shrinks: stock Dask's `adapt` and ours, alternating, with real worker processes.

Tasks sleep, so the machine hardly matters but for the time in which a worker starts.

==========  ==========================================================================================
burst       80 × 1 s, at most 8 workers of one thread
annotated   40 × 1 s of ``{SLOT: 7}``, at most 8 workers with 4 threads and ``SLOT=10``: one at a time
infeasible  100 tasks that need a GPU, which no worker has; 20 s
square      24 × 0.5 s every 10 s, five times, at most 4 workers of one thread
==========  ==========================================================================================

``ratio`` is the time from submission to the last result, over the ideal with all workers from the start; ``seconds``
the worker-seconds that were paid for::

    python tests/benchmarks/scaling.py --repeats 3 --json scaling.json
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, SpecCluster, wait

from supreme_dask import SupremeCluster, WorkerGroup
from supreme_dask.core.policies import DEFAULT_POLICY

CONTENDERS = ("stock", "ours")
Figures = dict[str, float]


@dataclass
class Watch:
    """Counts workers, twenty times a second.

    Attributes
    ----------
    counts
        When the number of workers changed, and to what.
    """

    cluster: SpecCluster
    counts: list[tuple[float, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.wait(0.05):
            workers = len(self.cluster.scheduler.workers)
            if not self.counts or self.counts[-1][1] != workers:
                self.counts.append((time.monotonic(), workers))

    def stop(self) -> None:
        self._stop.set()

    def steps(self) -> list[int]:
        """Return by how much the number changed, each time."""
        return [after - before for (_, before), (_, after) in pairwise(self.counts)]

    def started(self) -> int:
        return sum(step for step in self.steps() if step > 0)

    def stopped(self) -> int:
        return -sum(step for step in self.steps() if step < 0)

    def reversals(self) -> int:
        """Return how often it turned from growing to shrinking or back."""
        signs = [step > 0 for step in self.steps()]
        return sum(before != after for before, after in pairwise(signs))

    def most(self) -> int:
        return max(workers for _, workers in self.counts)

    def seconds(self, until: float) -> float:
        times = [*(moment for moment, _ in self.counts), until]
        return sum(n * (end - begin) for (begin, n), end in zip(self.counts, times[1:], strict=True))


def burst(client: Client, watch: Watch) -> Figures:
    return {"ratio": timed(client, 80, 1.0) / 10.0, "most": watch.most()}


def annotated(client: Client, watch: Watch) -> Figures:
    return {"ratio": timed(client, 40, 1.0, resources={"SLOT": 7}) / 5.0, "most": watch.most()}


def infeasible(client: Client, watch: Watch) -> Figures:
    futures = client.map(time.sleep, [0.1] * 100, pure=False, resources={"GPU": 1})
    time.sleep(20)
    client.cancel(futures)
    return {"most": watch.most()}


def square(client: Client, watch: Watch) -> Figures:
    latencies = []
    for _ in range(5):
        begun = time.monotonic()
        latencies.append(timed(client, 24, 0.5) / 3.0)
        time.sleep(max(begun + 10 - time.monotonic(), 0))
    turns = watch.reversals() / 5
    return {"ratio": statistics.median(latencies), "started": watch.started(), "reversals per period": turns}


SCENARIOS: dict[str, tuple[Callable[[Client, Watch], Figures], dict[str, Any]]] = {
    "burst": (burst, {"maximum": 8}),
    "annotated": (annotated, {"maximum": 8, "cpu": 4, "resources": {"SLOT": 10}}),
    "infeasible": (infeasible, {"maximum": 8}),
    "square": (square, {"maximum": 4}),
}


def timed(client: Client, count: int, seconds: float, **options: Any) -> float:
    begun = time.monotonic()
    futures = client.map(time.sleep, [seconds] * count, pure=False, **options)
    wait(futures)
    return time.monotonic() - begun


@contextmanager
def stock(maximum: int, cpu: int = 1, resources: dict[str, float] | None = None) -> Iterator[SpecCluster]:
    options = {"processes": True, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "silence_logs": 50}
    with LocalCluster(
        n_workers=1, threads_per_worker=cpu, memory_limit="500MB", resources=resources or {}, **options
    ) as cluster:
        cluster.adapt(minimum=1, maximum=maximum)
        yield cluster


@contextmanager
def ours(maximum: int, cpu: int = 1, resources: dict[str, float] | None = None) -> Iterator[SpecCluster]:
    group = WorkerGroup(
        "w", cpu=cpu, memory="500 MB", minimum=1, maximum=maximum, resources=resources or {}, startup=2.0
    )
    with SupremeCluster([group], policy=DEFAULT_POLICY, silence_logs=50) as cluster:
        yield cluster


def run(contender: str, scenario: str) -> Figures:
    story, options = SCENARIOS[scenario]
    with (stock if contender == "stock" else ours)(**options) as cluster, Client(cluster) as client:
        client.wait_for_workers(1)
        watch = Watch(cluster)
        thread = threading.Thread(target=watch.run, daemon=True)
        thread.start()
        time.sleep(2)
        found = story(client, watch)
        watch.stop()
        thread.join()
        return {**found, "seconds": watch.seconds(time.monotonic())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=sorted(SCENARIOS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    scenarios = [arguments.only] if arguments.only else list(SCENARIOS)
    figures: dict[str, dict[str, list[Figures]]] = {name: {who: [] for who in CONTENDERS} for name in scenarios}
    for _ in range(arguments.repeats):
        for scenario in scenarios:
            for contender in CONTENDERS:
                figures[scenario][contender].append(run(contender, scenario))
    for scenario, runs in figures.items():
        for contender, found in runs.items():
            medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
            print(
                f"{scenario:10} {contender:5} " + "  ".join(f"{name} {value:.2f}" for name, value in medians.items())
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
