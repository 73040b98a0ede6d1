"""How far is what is measured of a task from what it truly takes, and what does measuring cost?

    python tests/benchmarks/measuring.py --json measuring.json

Tasks of known size run in a worker's process: of numpy arrays and of Python objects, again and again in one process,
beside each other, with results that are kept. Alone, the peak should be right to 5 % or 8 MiB; beside others, never
below the true one. Cost is the processor time that a task which does nothing takes with all of it, over 1 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from supreme_dask.worker.children import Children
from supreme_dask.worker.measure import Measured, Meter

MiB = 1 << 20
SIZES = (20, 100, 20, 300, 100)  # MiB: an allocator keeps what the larger ones leave
kept: list[object] = []


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of task: how many were measured, and how far off, in MiB."""

    task: str
    runs: int
    least: float
    most: float
    within: int
    below: int


def array(mebibytes: int) -> float:
    """Fill a numpy array."""
    return float(np.ones(mebibytes * MiB // 8).sum())


def objects(mebibytes: int) -> int:
    """Make many small Python objects."""
    return len([bytes(1000) for _ in range(mebibytes * MiB // 1033)])


def strings(mebibytes: int) -> int:
    """Make a dictionary of strings."""
    return len({number: f"{number:3900}" for number in range(mebibytes * MiB // 4096)})


def result(mebibytes: int) -> object:
    """Return an array, which the worker keeps."""
    kept.append(np.ones(mebibytes * MiB // 8))
    return kept[-1]


def alone(meter: Meter, task: Callable[[int], object]) -> Row:
    """Measure a task of each size, one after the other."""
    found = [(size, meter.run(f"{task.__name__}-{size}", partial(task, size))[1]) for size in SIZES]
    kept.clear()
    return _row(f"{task.__name__}, alone", found)


Found = list[tuple[int, Measured | None]]


def beside(meter: Meter, task: Callable[[int], object]) -> Row:
    """Measure a task of each size, three at a time."""
    found: Found = []
    for _ in range(len(SIZES)):
        together = threading.Barrier(3)
        threads = [
            threading.Thread(target=_together, args=(meter, task, size, together, found)) for size in SIZES[1:4]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return _row(f"{task.__name__}, beside two others", found)


def _together(
    meter: Meter,
    task: Callable[[int], object],
    size: int,
    together: threading.Barrier,
    found: list[tuple[int, object]],
) -> None:
    def run() -> None:
        together.wait()
        task(size)
        together.wait()

    found.append((size, meter.run(f"{task.__name__}-{size}-beside", run)[1]))


def _row(name: str, found: Found) -> Row:
    errors = [(size, memory / MiB - size) for size, (_, memory, _, _) in found]
    return Row(
        name,
        len(errors),
        min(error for _, error in errors),
        max(error for _, error in errors),
        sum(abs(error) <= max(0.05 * size, 8) for size, error in errors),
        sum(error < -max(0.05 * size, 8) for size, error in errors),
    )


def cost(meter: Meter, repeats: int, tasks: int = 2000) -> float:
    """Return the part that measuring adds to a task of 1 ms: least processor time per task that does nothing."""
    children = Children()

    def run() -> None:
        children.begin()
        meter.run("nothing", int)
        children.end()

    def seconds() -> float:
        began = time.thread_time()
        for _ in range(tasks):
            run()
        return (time.thread_time() - began) / tasks

    return min(seconds() for _ in range(repeats)) / 0.001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="of the measurement of cost")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    meter = Meter()
    if not meter.works:
        sys.exit("This kernel does not let a process set its peak back: nothing is measured here.")
    added = cost(meter, options.repeats)
    rows = [alone(meter, task) for task in (array, objects, strings, result)]
    rows += [beside(meter, task) for task in (array, objects)]
    table = Table("task", "runs", "least error", "most", "within 5 % or 8 MiB", "below that")
    for row in rows:
        table.add_row(
            row.task, str(row.runs), f"{row.least:+.1f} MiB", f"{row.most:+.1f} MiB", str(row.within), str(row.below)
        )
    Console(width=110).print(table)
    print(f"added to tasks of 1 ms: {added:.2%}")
    if options.json:
        options.json.write_text(json.dumps({"rows": [asdict(row) for row in rows], "added": added}, indent=1))


if __name__ == "__main__":
    main()
