"""A storm of tasks that declare their memory, one in twenty of which takes three times as much.

Runs them under SupremeCluster and, with `--stock`, under stock Dask with the same annotations on workers of the
same size. Prints how many workers were lost, how many tasks failed, and how often tasks were begun, those that took
what they declared ("honest") apart; writes JSON.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from distributed import Client, LocalCluster, as_completed

from supreme_dask import SupremeCluster, WorkerGroup

MiB = 2**20
WORKERS, THREADS, LIMIT = 4, 4, 448
BASE = 130  # MiB that a worker's process takes itself
LIARS = 0.05


def load(tasks, seed):
    """Return what each task takes and what it says, in MiB."""
    chance = random.Random(seed)
    taken = [chance.choice([40, 60, 80]) for _ in range(tasks)]
    return [(3 * said if chance.random() < LIARS else said, said) for said in taken]


def hold(number, taken, directory):
    """Take memory in steps, as work does, and leave a mark that this was begun."""
    with (Path(directory) / str(number)).open("a") as marks:
        marks.write("x")
    held = []
    for _ in range(taken // 10):
        held.append(bytearray(b"x") * (10 * MiB))
        time.sleep(0.005)
    time.sleep(0.3)
    return number


def ours():
    group = WorkerGroup("equal", cpu=THREADS, memory=f"{LIMIT} MiB", count=WORKERS)
    return SupremeCluster([group], dashboard_address=None)


def stock():
    return LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=THREADS,
        memory_limit=f"{LIMIT} MiB",
        resources={"memory": (0.92 * LIMIT - BASE) * MiB},
        host="127.0.0.1",
        dashboard_address=None,
        worker_dashboard_address="127.0.0.1:0",
    )


def run(start, tasks, seed=1):
    """Return the figures of one storm."""
    with tempfile.TemporaryDirectory() as directory, start() as cluster, Client(cluster) as client:
        client.wait_for_workers(WORKERS)
        begin = time.perf_counter()
        futures = [
            client.submit(hold, number, taken, directory, resources={"memory": said * MiB}, key=f"hold-{number}")
            for number, (taken, said) in enumerate(load(tasks, seed))
        ]
        ends = Counter("done" if future.status == "finished" else _why(future) for future in as_completed(futures))
        seconds = time.perf_counter() - begin
        lost = len(client.get_events("worker-restart-memory"))
        attempts = {int(path.name): path.stat().st_size for path in Path(directory).iterdir()}
    liars = [number for number, (taken, said) in enumerate(load(tasks, seed)) if taken > said]
    again = {number for number, times in attempts.items() if times > 1}
    ordered = sorted(attempts.values())
    return {
        "tasks": tasks,
        "ends": dict(ends),
        "workers lost": lost,
        "liars": len(liars),
        "liars begun again": len(again.intersection(liars)),
        "honest begun again": len(again.difference(liars)),
        "attempts p95": ordered[int(0.95 * len(ordered))],
        "attempts most": ordered[-1],
        "seconds": round(seconds, 1),
    }


def _why(future):
    """Return what a task failed with; a result that was lost once more is there again when this returns."""
    error = future.exception()
    return "done" if error is None else f"{type(error).__name__}: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--stock", action="store_true", help="also under stock Dask")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = {
        start.__name__: run(start, arguments.tasks) for start in ((stock, ours) if arguments.stock else (ours,))
    }
    for name, found in figures.items():
        print(name, found)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
