"""How many workers are lost to tasks that take too much, and how many tasks fail?

    python tests/benchmarks/wall.py --runs 3 --json wall.json

Tasks of each kind are given to one worker of two threads that can hold one of them at a time. With the wall, without
it, and on stock Dask, in turns. What a kind needs and is not installed is skipped, and says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import dask
import numpy as np
from distributed import Client, LocalCluster, wait
from rich.console import Console
from rich.table import Table

from supreme_dask import SupremeCluster, WorkerGroup

sys.path.insert(0, str(Path(__file__).parent))
from clusters import write_json

MiB = 1 << 20
LIMIT = 800 * MiB
TASKS = 6
CONTENDERS = ("wall", "no wall", "stock")


@dataclass(frozen=True, slots=True)
class Row:
    """Some runs of one kind under one contender: workers lost and tasks failed in all, median seconds of a run."""

    kind: str
    contender: str
    runs: int
    lost: int
    failed: int
    seconds: float


def steps(mebibytes: int) -> int:
    held = []
    for _ in range(mebibytes // 8):
        held.append(bytearray(b"x") * (8 * MiB))
        time.sleep(0.002)
    return len(held)


def leap(mebibytes: int) -> float:
    return float(np.ones(mebibytes * MiB // 8).sum())


def objects(mebibytes: int) -> int:
    return len([bytes(1000) for _ in range(mebibytes * MiB // 1033)])


def sort(mebibytes: int) -> int:
    return int(np.sort(np.arange(mebibytes * MiB // 16, 0, -1), kind="stable")[0])


def join(mebibytes: int) -> int:
    return len(b"".join([bytes(MiB)] * mebibytes))


def arrow(mebibytes: int) -> int:
    import pyarrow

    part = pyarrow.table({"x": np.arange(mebibytes * MiB // 24)})
    return int(pyarrow.concat_tables([part, part]).combine_chunks().num_rows)


def merge(mebibytes: int) -> int:
    import pandas

    frame = pandas.DataFrame({"key": np.arange(mebibytes * MiB // 96), "value": 1.0})
    return len(frame.merge(frame, on="key"))


def fork(mebibytes: int) -> int:
    held = np.ones(mebibytes * MiB // 16)
    child = os.fork()
    if not child:
        os._exit(int(held[::512].sum() < 0))  # it only reads
    return os.waitpid(child, 0)[1]


def start(mebibytes: int) -> int:
    hold = f"import time; held = bytearray(b'x') * ({mebibytes // 2} << 20); time.sleep(0.3)"
    return subprocess.run([sys.executable, "-c", hold], check=True).returncode


def threads(mebibytes: int) -> float:
    side = int((mebibytes * MiB / 24) ** 0.5)
    square = np.ones((side, side))
    return float((square @ square)[0, 0])


def memmap(mebibytes: int) -> int:
    file = Path(tempfile.gettempdir()) / f"wall-{os.getpid()}-{time.monotonic_ns()}"
    try:
        with file.open("wb") as written:
            for _ in range(2 * mebibytes // 16):
                written.write(bytes(16 * MiB))
        total = int(np.memmap(file, mode="r", dtype=np.uint8)[::4096].sum())
        time.sleep(0.3)
        return total
    finally:
        file.unlink()


def retained(mebibytes: int) -> int:
    kept = [bytes(1000) for _ in range(mebibytes // 2 * MiB // 1033)]
    kept = kept[::50]  # holes that an allocator cannot give back
    return len(kept) + int(np.ones(mebibytes * MiB // 16)[0])


def consume(block: np.ndarray) -> float:
    return float(block.sum())


KINDS: dict[str, tuple[Callable[[int], object], str | None]] = {
    "steps": (steps, None),
    "leap": (leap, None),
    "objects": (objects, None),
    "sort": (sort, None),
    "bytes.join": (join, None),
    "Arrow table": (arrow, "pyarrow"),
    "pandas merge": (merge, "pandas"),
    "fork": (fork, None),
    "subprocess": (start, None),
    "NumPy threads": (threads, None),
    "read-only memmap": (memmap, None),
    "retained arenas": (retained, None),
    "input of half a worker": (consume, None),
}


@contextmanager
def started(contender: str, workers: int) -> Iterator[Client]:
    """Run a cluster of processes on the loopback address, whose nannies look after them."""
    if contender == "stock":
        options = {"n_workers": workers, "threads_per_worker": 2, "memory_limit": LIMIT, "dashboard_address": None}
        with LocalCluster(host="127.0.0.1", **options) as cluster, Client(cluster) as client:
            yield client
        return
    group = WorkerGroup("one", cpu=2, memory=LIMIT, count=workers)
    wall = {} if contender == "wall" else {"supreme.memory.wall": None}
    with (
        dask.config.set(wall),
        SupremeCluster([group], dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run(kind: str, contender: str, patience: float) -> tuple[int, int, float]:
    """Return how many workers were lost and tasks failed, and how long all took."""
    task, _ = KINDS[kind]
    with started(contender, 2 if task is consume else 1) as client:
        client.wait_for_workers(2 if task is consume else 1, 30)
        began = time.monotonic()
        if task is consume:
            first, second = client.nthreads()
            block = client.submit(np.ones, LIMIT // 16, workers=[first])
            futures = [client.submit(task, block, workers=[second], pure=False) for _ in range(TASKS)]
        else:
            futures = client.map(task, [480] * TASKS, pure=False)
        done = wait_for(futures, patience)
        seconds = time.monotonic() - began
        return len(client.get_events("worker-restart-memory")), TASKS - done, seconds


def wait_for(futures: list, patience: float) -> int:
    """Return how many tasks ended well within so many seconds."""
    with suppress(TimeoutError):  # those that are not done count as failed
        wait(futures, timeout=patience)
    return sum(future.status == "finished" for future in futures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds until a run is given up")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    rows = []
    for kind in options.kinds:
        needs = KINDS[kind][1]
        if needs is not None and importlib.util.find_spec(needs) is None:
            print(f"{kind}: skipped, for {needs} is not installed")
            continue
        found: dict[str, list[tuple[int, int, float]]] = {contender: [] for contender in options.contenders}
        for _ in range(options.runs):
            for contender, runs in found.items():
                runs.append(run(kind, contender, options.patience))
        for contender, runs in found.items():
            lost, failed, seconds = zip(*runs, strict=True)
            rows.append(Row(kind, contender, len(runs), sum(lost), sum(failed), round(median(seconds), 1)))
            print(rows[-1], flush=True)
    table = Table("kind", "contender", "runs", "workers lost", "tasks failed", "seconds")
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    Console(width=110).print(table)
    write_json(options.json, {"rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
