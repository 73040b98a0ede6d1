"""One contender on a cluster of its own, for `ordinary.py`: python ordinary_run.py stock|ours full|quick NAME…

Each workload is run twice. A line of JSON on the standard output says when a run begins, and what came of it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import traceback
from typing import Any

import dask
import ordinary_collections  # noqa: F401, what is imported is registered
import ordinary_dataframes  # noqa: F401
import ordinary_tasks  # noqa: F401
from distributed import Client, LocalCluster, Scheduler, SchedulerPlugin, Worker
from ordinary_registry import WORKLOADS, Workload

import supreme_dask

WORKERS, THREADS, MEMORY = 2, 4, "1 GiB"
PRELOADS = {"stock": [], "ours": ["supreme_dask.preload"]}
PATIENCE = 10  # seconds until what was let go of is forgotten


class Losses(SchedulerPlugin):
    """Counts workers that went."""

    name = "losses-of-benchmark"
    count = 0

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        self.count += 1


def main() -> None:
    contender, size, *names = sys.argv[1:]
    preload = PRELOADS[contender]
    # Workers whose tasks start processes may not be daemons.
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=THREADS,
            memory_limit=MEMORY,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"preload": preload},
            preload=preload,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(WORKERS)
        losses = Losses()
        cluster.scheduler.add_plugin(losses)
        client.run(_import)
        tell("ready", package=str(supreme_dask.__file__), active="supreme" in cluster.scheduler.plugins)
        for name in names:
            for turn in ("first", "second"):
                tell("begin", workload=name, turn=turn)
                tell("end", workload=name, turn=turn, **run(WORKLOADS[name], client, losses, size == "quick"))
                if left := _left(cluster.scheduler):
                    print(f"{name}, {turn} run: {len(left)} tasks are not forgotten: {left[:3]}", file=sys.stderr)
        tell("bye")


def run(workload: Workload, client: Client, losses: Losses, quick: bool) -> dict[str, Any]:
    """Run a workload once and return its result, and what it took."""
    before, lost = client.run(_traffic), losses.count
    begin = time.perf_counter()
    try:
        outcome = {"result": workload.do(client, quick)}
    except Exception:  # noqa: BLE001, whatever a workload fails with is its outcome
        outcome = {"error": traceback.format_exc()}
    wall = time.perf_counter() - begin
    after = client.run(_traffic)
    moved = {
        name: sum(max(0, figures[name] - before.get(worker, {}).get(name, 0)) for worker, figures in after.items())
        for name in ("fetched", "spilled")
    }
    return {**outcome, "wall": wall, "lost": losses.count - lost, **moved}


def tell(event: str, **figures: Any) -> None:
    """Say something to `ordinary.py`."""
    print(json.dumps({"event": event, **figures}), flush=True)


def _import() -> None:
    import numpy  # noqa: F401
    import pandas  # noqa: F401


def _traffic(dask_worker: Worker) -> dict[str, float]:
    """Return the bytes that a worker has sent to others, and written to its disk, since it came."""
    spilled = getattr(dask_worker.data, "cumulative_metrics", {}).get(("disk-write", "bytes"), 0)
    return {"fetched": dask_worker.transfer_outgoing_bytes_total, "spilled": spilled}


def _left(scheduler: Scheduler) -> list[Any]:
    """Wait until all that was let go of is forgotten, so that the next run computes it anew; return what is not."""
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while scheduler.tasks and time.monotonic() < deadline:
        time.sleep(0.02)
    return list(scheduler.tasks)


if __name__ == "__main__":
    main()
