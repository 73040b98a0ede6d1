"""What placement costs the scheduler: processor time per task, and operations per decision.

A real `distributed.Scheduler` with fake workers; no network, no event loop, so that nothing else is measured. Each
run is a process of its own, and contenders alternate. ``stock`` steals, ``stock-still`` does not.

==========  ======================================================================================
per task    graph inserted, then each task finished and the next one placed (microseconds)
decision    one annotated task that finds a place on a cluster with room (microseconds)
join        one worker joins while 10,000 annotated tasks wait for it (milliseconds)
==========  ======================================================================================

::

    python tests/benchmarks/overhead.py --workers 100 200 1000 --repeats 5 --json out.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections import deque
from pathlib import Path
from time import thread_time, time
from typing import Any, NoReturn

import dask
from dask._task_spec import Task
from distributed import Scheduler
from distributed.scheduler import ClientState
from distributed.spans import SpanMetadata

sys.path.insert(0, str(Path(__file__).parent))
from fakes import Outbox, attach, finish

from supreme_dask import SupremePlugin

CONTENDERS = ("stock", "stock-still", "ours")
GIB = 1 << 30
TASKS = 10_000
DECISIONS = 200
MEASURED = 16  # one of so many short tasks is measured by a worker (supreme_dask.worker.measure)


def main() -> None:
    arguments = parse_arguments()
    if arguments.contender:
        asyncio.run(measure(arguments))
    rows = [
        (contender, workers, shapes, run_child(contender, workers, shapes))
        for workers in arguments.workers
        for shapes in arguments.shapes
        for _ in range(arguments.repeats)
        for contender in CONTENDERS
    ]
    table = summarise(rows)
    for line in table:
        print(
            f"{line['contender']:12} {line['workers']:5} workers {line['shapes']:3} shapes:  per task "
            f"{line['per_task_min']:6.1f} min {line['per_task']:6.1f} median µs   graph {line['graph']:5.1f} µs   "
            f"decision {line['decision']:7.1f} µs   join {line['join']:6.2f} ms   "
            f"considered {line['considered']:.2f} shapes, visited {line['visited']:.1f} nodes per decision"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[100, 200, 1000])
    parser.add_argument("--shapes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_child(contender: str, workers: int, shapes: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--contender", contender, "--workers", str(workers), "--shapes", str(shapes)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def summarise(rows: list[tuple[str, int, int, dict[str, float]]]) -> list[dict[str, Any]]:
    """Return one line per contender and size: medians, and the least of the cost per task."""
    runs: dict[tuple[str, int, int], list[dict[str, float]]] = {}
    for contender, workers, shapes, figures in rows:
        runs.setdefault((contender, workers, shapes), []).append(figures)
    table = []
    for (contender, workers, shapes), figures in runs.items():
        line: dict[str, Any] = {"contender": contender, "workers": workers, "shapes": shapes, "runs": len(figures)}
        line.update({name: statistics.median(run[name] for run in figures) for name in figures[0]})
        line["per_task_min"] = min(run["per_task"] for run in figures)
        table.append(line)
    return table


async def measure(arguments: argparse.Namespace) -> NoReturn:
    """Print the figures of one contender at one size, and end the process."""
    dask.config.set(
        {
            "distributed.scheduler.worker-ttl": None,
            "distributed.admin.tick.limit": "1h",
            "distributed.scheduler.work-stealing": arguments.contender == "stock",
        }
    )
    async with Scheduler(dashboard=False, port=0, host="127.0.0.1", validate=False) as scheduler:
        plugin = SupremePlugin()
        if arguments.contender == "ours":
            await scheduler.register_scheduler_plugin(plugin, name="supreme", idempotent=False)
        scheduler.clients["client"] = ClientState("client")
        cluster = Cluster(scheduler, plugin)
        for _ in range(arguments.workers[0]):
            await cluster.join()
        figures = await cluster.flow(arguments.tasks, arguments.shapes[0])
        figures |= await cluster.decide(DECISIONS)
        figures |= await cluster.late_worker(TASKS)
        print(json.dumps(figures), flush=True)
        os._exit(0)  # nobody is there to say goodbye to a thousand workers


class Cluster:
    """A scheduler with fake workers of two threads."""

    def __init__(self, scheduler: Scheduler, plugin: SupremePlugin) -> None:
        self.scheduler = scheduler
        self.plugin = plugin
        self.sent: deque[tuple[str, dict[str, Any]]] = deque()
        self.outboxes: list[Outbox] = []

    async def join(self) -> None:
        outbox = await attach(self.scheduler, len(self.outboxes), self.sent, nthreads=2, memory=GIB)
        self.outboxes.append(outbox)
        resources = {"cpu": 2, "memory": GIB}
        self.scheduler.add_resources(outbox.address, resources)

    async def flow(self, tasks: int, shapes: int) -> dict[str, float]:
        """Submit one graph, and finish tasks as they come until none is left."""
        annotations = {}
        if shapes > 1 and self.plugin.active:
            sizes = [{"memory": (1 + number % shapes) << 20} for number in range(tasks)]
            annotations = {"resources": {("t-flow", number): size for number, size in enumerate(sizes)}}
        started = thread_time()
        self.submit("t-flow", tasks, annotations)
        graph = thread_time() - started
        considered, visited = self.counted()
        started = thread_time()
        left = tasks
        while left:
            if not self.sent:
                await asyncio.sleep(0.001)
                continue
            finish(self.scheduler, *self.sent.popleft(), measured=left % MEASURED == 0)
            left -= 1
        spent = thread_time() - started
        after = self.counted()
        return {
            "graph": 1e6 * graph / tasks,
            "per_task": 1e6 * spent / tasks,
            "considered": (after[0] - considered) / tasks,
            "visited": (after[1] - visited) / tasks,
            "sends": sum(outbox.sends for outbox in self.outboxes) / tasks,
        }

    async def decide(self, decisions: int) -> dict[str, float]:
        """Place annotated tasks one by one on a cluster with room."""
        decide = self.scheduler.decide_worker_non_rootish
        spent = []

        def timed(ts: Any) -> Any:
            started = thread_time()
            decided = decide(ts)
            spent.append(thread_time() - started)
            return decided

        self.scheduler.decide_worker_non_rootish = timed
        for number in range(min(decisions, len(self.outboxes))):
            group = f"decide{number}-{number}"
            self.submit(group, 1, {"resources": {(group, 0): {"memory": 1 << 20, "cpu": 1}}})
        self.scheduler.decide_worker_non_rootish = decide
        while self.sent:
            finish(self.scheduler, *self.sent.popleft(), measured=False)
        return {"decision": 1e6 * statistics.median(spent)}

    async def late_worker(self, tasks: int) -> dict[str, float]:
        """Let a worker join that some waiting tasks need, and all others do not."""
        sizes = {("t-late", number): {"memory": 2 * GIB} for number in range(tasks)}
        self.submit("t-late", tasks, {"resources": sizes})
        started = thread_time()
        await self.join()
        joined = thread_time() - started
        started = thread_time()
        await self.join()
        return {"join": 1e3 * min(joined, thread_time() - started)}

    def submit(self, group: str, tasks: int, annotations: dict[str, Any]) -> None:
        """Insert a graph of independent tasks, below the layer that unpacks what a client sends."""
        keys = [(group, number) for number in range(tasks)]
        self.scheduler._create_taskstate_from_graph(
            start=time(),
            dsk={key: Task(key, int) for key in keys},
            keys=set(keys),
            ordered={key: number for number, key in enumerate(keys)},
            client="client",
            annotations_by_type=annotations,
            global_annotations=None,
            stimulus_id=f"submit-{group}",
            submitting_task=None,
            span_metadata=SpanMetadata(collections=[]),
        )

    def counted(self) -> tuple[int, int]:
        """Return how many shapes and index nodes the core has looked at."""
        return self.plugin.admission.considered, self.plugin.admission.ledger.index.visits


if __name__ == "__main__":
    main()
