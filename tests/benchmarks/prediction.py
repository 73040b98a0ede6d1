"""How well does a simulation foretell a live run?

Two bursts of sleeping tasks on a cluster of this machine that scales up for each and down between them. What is
measured live is when tasks became ready, how long each ran, and how long each worker took to start; a simulation
gets just that, with the same groups and the same policy, and foretells the makespan.

::

    python tests/benchmarks/prediction.py --tasks 320 --json prediction.json
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters import write_json
from distributed import Client
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.cluster import SupremeCluster
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import Resources
from supreme_dask.core.scaling import Scaling
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.outcomes import Outcome
from supreme_dask.core.simulation.replay import simulate
from supreme_dask.core.simulation.traces import Job
from supreme_dask.stores import schemas

POLICY = {"demand": {"kind": "demand", "within-seconds": 4}, "idle": {"kind": "idle", "after-seconds": 3}}
DEMAND = {"memory": "64 MiB"}
DURATIONS = (0.2, 0.4, 0.6, 1.2)
"""Seconds that tasks sleep, in turn."""
STARTUP = 3.0
"""Seconds that the operator expects a worker to take; the policy knows only this."""


@dataclass
class Record:
    """What was seen of a run; times on the clock of the scheduler's process."""

    ready: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    ended: float = 0.0
    joined: dict[str, float] = field(default_factory=dict)
    targets: list[dict[str, int]] = field(default_factory=list)


class Recorder(SchedulerPlugin):
    """Notes when tasks become ready, how long they run, who joins, and what scaling wants."""

    name = "recorder"

    def __init__(self) -> None:
        self.record = Record()

    async def start(self, scheduler: Any) -> None:
        self._scaling = scheduler.plugins["supreme"].scaling

    def update_graph(self, scheduler: Any, *, keys: set[Any], **_: Any) -> None:
        now = time.monotonic()
        self.record.ready.update((str(key), now) for key in keys)

    def transition(self, key: Any, start: str, finish: str, *_: Any, **told: Any) -> None:
        if finish == "memory" and start == "processing":
            self.record.seconds[str(key)] = sum(
                one["stop"] - one["start"] for one in told["startstops"] if one["action"] == "compute"
            )
            self.record.ended = time.monotonic()

    def add_worker(self, scheduler: Any, worker: str) -> None:
        self.record.joined[str(scheduler.workers[worker].name)] = time.monotonic()
        self._see()

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        self._see()

    def _see(self) -> None:
        targets = {target.group: target.workers for target in self._scaling.plan.targets}
        if targets and targets not in self.record.targets[-1:]:
            self.record.targets.append(targets)


class WatchedCluster(SupremeCluster):
    """Notes when its workers are asked for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.asked: list[float] = []
        super().__init__(*arguments, **options)

    def _spec(self, group: WorkerGroup) -> dict[str, Any]:
        self.asked.append(time.monotonic())
        return super()._spec(group)


def main() -> None:
    arguments = parse_arguments()
    group = WorkerGroup(
        "small", cpu=2, memory="1 GiB", count=1, minimum=1, maximum=arguments.workers, startup=STARTUP, cost=1.0
    )
    record, startups = live(group, arguments.tasks, arguments.pause)
    outcome = foretell(group, record, startups)
    report = figures(record, startups, outcome)
    print(
        f"{report['tasks']} tasks, {report['scale_events']} scale events live, "
        f"{report['scale_events_foretold']} foretold; makespan {report['makespan']:.1f} s live, "
        f"{report['makespan_foretold']:.1f} s foretold: {report['error']:+.1%}"
    )
    write_json(arguments.json, report)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=320, help="half of them in each burst")
    parser.add_argument("--workers", type=int, default=6, help="at most")
    parser.add_argument("--pause", type=float, default=12.0, help="seconds between the bursts")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


def live(group: WorkerGroup, tasks: int, pause: float) -> tuple[Record, list[float]]:
    """Run the bursts on real workers; return what was seen, and the start-up times in the order of launches."""
    with WatchedCluster([group], policy=POLICY, dashboard_address=None) as cluster, Client(cluster) as client:
        client.wait_for_workers(group.count)
        recorder = Recorder()
        cluster.scheduler.add_plugin(recorder, name=recorder.name)
        recorder._scaling = cluster.scheduler.plugins["supreme"].scaling
        asked = len(cluster.asked)
        for burst in range(2):
            naps = [DURATIONS[number % len(DURATIONS)] for number in range(tasks // 2)]
            keys = [f"nap-{burst}-{number}" for number in range(len(naps))]
            client.gather(client.map(time.sleep, naps, key=keys, resources=DEMAND))
            time.sleep(pause if not burst else 0)
        launched = cluster.asked[asked:]
        joined = [when for name, when in recorder.record.joined.items() if name.startswith(group.name)]
        return recorder.record, [there - since for since, there in zip(launched, joined, strict=False)]


def foretell(group: WorkerGroup, record: Record, startups: list[float]) -> Outcome:
    """Simulate the run that was seen."""
    begin = min(record.ready.values())
    jobs = [
        Job(key, key.split("-")[0], ready - begin, record.seconds[key], Resources.parse(DEMAND), cpu=0.0)
        for key, ready in record.ready.items()
    ]
    jobs.sort(key=lambda job: job.arrival)
    world = Conditions(startups={group.name: tuple(startups)}, pace=0.25)
    return simulate(jobs, [group], Scaling(schemas.policy(POLICY)), world)


def figures(record: Record, startups: list[float], outcome: Outcome) -> dict[str, Any]:
    """Return what was and what was foretold."""
    makespan = record.ended - min(record.ready.values())
    return {
        "tasks": len(record.seconds),
        "makespan": makespan,
        "makespan_foretold": outcome.makespan,
        "error": outcome.makespan / makespan - 1,
        "targets": record.targets,
        "scale_events": len(record.targets),
        "scale_events_foretold": len(outcome.scale_events),
        "startups": startups,
        "workers_launched": len(startups),
        "workers_launched_foretold": outcome.launched,
    }


if __name__ == "__main__":
    main()
