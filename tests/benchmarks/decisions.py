"""How long a decision to scale takes, and how soon after its graph a burst is decided on.

``evaluate`` is `ScalabilityEngine.evaluate_scaling`, snapshot and plan, on a real scheduler with fake
workers in five groups, all of them busy; processor time, so that other programs on the machine do not count.
``burst`` is wall time from the return of `update_graph` for 1,000 more tasks until they are decided on, and the plan
is published if it has changed, with the event loop running and workers sending heartbeats. What is there before is
kept from Python's garbage collector: to look through 100,000 tasks takes it half a second, whatever is decided. The
collector is as lazy as `dask scheduler` makes it::

    python tests/benchmarks/decisions.py --json decisions.json
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import statistics
import subprocess
import sys
from collections import deque
from pathlib import Path
from time import perf_counter, thread_time, time
from typing import Any, NoReturn

import dask
from dask._task_spec import Task
from distributed import Scheduler
from distributed.scheduler import ClientState
from distributed.spans import SpanMetadata

sys.path.insert(0, str(Path(__file__).parent))
from fakes import METRICS, attach

from supreme_dask import SupremePlugin, WorkerGroup
from supreme_dask.core.plans import Plan
from supreme_dask.core.policies import DEFAULT_POLICY

GIB = 1 << 30
GROUPS = [
    WorkerGroup(f"group{number}", cpu=2 << number, memory=(4 << number) * GIB, startup=0, cost=1.9**number)
    for number in range(5)
]
POLICY = {"demand": {"kind": "demand", "within-seconds": 0.1}, "rate": DEFAULT_POLICY["rate"]}
"""The hardest case: a place for each task that waits is looked for."""
BURST = 1000  # tasks


def main() -> None:
    arguments = parse_arguments()
    if arguments.child:
        logging.disable(logging.CRITICAL)
        asyncio.run(measure(arguments))
    lines = []
    for workers in arguments.workers:
        for waiting in arguments.waiting:
            for shapes in arguments.shapes:
                line = {"workers": workers, "waiting": waiting, "shapes": shapes}
                line |= run_child(workers, waiting, shapes, arguments.repeats)
                lines.append(line)
                evaluate, burst = ((line[f"{name}_p50"], line[f"{name}_p99"]) for name in ("evaluate", "burst"))
                print(
                    f"{workers:5} workers {waiting:7} waiting {shapes:3} shapes:  "
                    f"evaluate p50 {evaluate[0]:6.1f} p99 {evaluate[1]:6.1f} ms, "
                    f"snapshot {line['snapshot_p50']:5.1f} ms   burst p50 {burst[0]:6.1f} p99 {burst[1]:6.1f} ms",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(lines, indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--waiting", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--shapes", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_child(workers: int, waiting: int, shapes: int, repeats: int) -> dict[str, float]:
    sizes = ["--workers", str(workers), "--waiting", str(waiting), "--shapes", str(shapes), "--repeats", str(repeats)]
    answer = subprocess.run([sys.executable, __file__, "--child", *sizes], capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


async def measure(arguments: argparse.Namespace) -> NoReturn:
    """Print the figures of one size, and end the process."""
    dask.config.set(
        {
            "distributed.scheduler.worker-ttl": None,
            "distributed.admin.tick.limit": "1h",
            "supreme.scaling.launch-timeout": "1h",
        }
    )
    async with Scheduler(
        dashboard=False, dashboard_address="127.0.0.1:0", port=0, host="127.0.0.1", validate=False
    ) as scheduler:
        plugin = SupremePlugin()
        await scheduler.register_scheduler_plugin(plugin, name="supreme", idempotent=False)
        scheduler.clients["client"] = ClientState("client")
        cluster = Cluster(scheduler, plugin)
        await cluster.join(arguments.workers[0])
        cluster.submit("t-running", sum(ws.nthreads for ws in scheduler.workers.values()), shapes=1)
        await asyncio.sleep(1)  # for the queues to be looked at
        cluster.submit("t-waiting", arguments.waiting[0], arguments.shapes[0])
        gc.collect()
        gc.freeze()
        gc.set_threshold(*(3 * threshold for threshold in gc.get_threshold()))
        figures = {
            **cluster.evaluate(arguments.repeats),
            **await cluster.burst(arguments.repeats, arguments.shapes[0]),
        }
        print(json.dumps(figures), flush=True)
        os._exit(0)  # nobody is there to say goodbye to a thousand workers


class Cluster:
    """A scheduler with fake workers, equally many of each group."""

    def __init__(self, scheduler: Scheduler, plugin: SupremePlugin) -> None:
        self.scheduler = scheduler
        self.engine = plugin.scaling
        self.decided = asyncio.Event()
        self._act = self.engine.execute_scaling_action
        self.engine.execute_scaling_action = self._carry_out
        self.engine.begin(lambda _: None, policy=POLICY, groups=GROUPS)

    async def join(self, workers: int) -> None:
        sent: deque[tuple[str, dict[str, Any]]] = deque()
        for number in range(workers):
            group = GROUPS[number % len(GROUPS)]
            memory = group.capacity["memory"]
            name = f"{group.name}-{number}"
            outbox = await attach(self.scheduler, number, sent, nthreads=group.threads, memory=memory, name=name)
            self.scheduler.add_resources(outbox.address, {"cpu": group.cpu, "memory": memory})

    def evaluate(self, repeats: int) -> dict[str, float]:
        spent, looking = [], []
        for _ in range(repeats):
            self.hear(len(self.scheduler.workers) // 5)
            started = thread_time()
            self.engine.metrics_monitor.snapshot()
            looking.append(thread_time() - started)
            self.hear(len(self.scheduler.workers) // 5)
            started = thread_time()
            self.engine.evaluate_scaling()
            spent.append(thread_time() - started)
        return {**quantiles("evaluate", spent), **quantiles("snapshot", looking)}

    def hear(self, workers: int) -> None:
        """Let some workers send a heartbeat, as they do in a second."""
        for address in list(self.scheduler.workers)[:workers]:
            self.scheduler.heartbeat_worker(address=address, resolve_address=False, now=time(), metrics=METRICS)

    async def burst(self, repeats: int, shapes: int) -> dict[str, float]:
        """Submit graphs, at any moment between two decisions by the clock."""
        spent = []
        for number in range(min(repeats, 50)):
            await asyncio.sleep(0.7)
            self.hear(len(self.scheduler.workers) // 15)
            self.submit(f"t-burst-{number}", BURST, shapes)
            self.decided.clear()
            returned = perf_counter()
            async with asyncio.timeout(10):
                await self.decided.wait()
            spent.append(perf_counter() - returned)
        return quantiles("burst", spent)

    def _carry_out(self, plan: Plan) -> None:
        self._act(plan)
        self.decided.set()

    def submit(self, group: str, tasks: int, shapes: int) -> None:
        """Insert a graph of independent tasks, below the layer that unpacks what a client sends."""
        keys = [(group, number) for number in range(tasks)]
        sizes = {key: {"memory": (1 + key[1] % shapes) * GIB // 8, "cpu": 1} for key in keys}
        self.scheduler._create_taskstate_from_graph(
            start=time(),
            dsk={key: Task(key, int) for key in keys},
            keys=set(keys),
            ordered={key: number for number, key in enumerate(keys)},
            client="client",
            annotations_by_type={"resources": sizes},
            global_annotations=None,
            stimulus_id=f"submit-{group}",
            submitting_task=None,
            span_metadata=SpanMetadata(collections=[]),
        )


def quantiles(name: str, seconds: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    ordered = sorted(seconds)
    last = ordered[min(int(0.99 * len(ordered)), len(ordered) - 1)]
    return {f"{name}_p50": 1e3 * statistics.median(ordered), f"{name}_p99": 1e3 * last}


if __name__ == "__main__":
    main()
