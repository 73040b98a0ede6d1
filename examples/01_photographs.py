"""Real image processing whose tasks differ a hundredfold in memory, on workers too small for carelessness.

A thumbnail takes a few MiB, the spectrum of an enlarged photograph 640. Nothing here says so: the tasks are plain
functions, submitted through an ordinary Dask client. `SupremeCluster` measures them, and places each where it fits.

    make demo                      about a minute on two cores
    make demo ARGS=--compare       then the same work on stock Dask, which loses workers

The photographs are those that scikit-image brings along; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage as ski
from allocation import StockCluster, Watch, allocated, bound, draw, read_peaks, runs
from distributed import Client, Future, SpecCluster, as_completed, get_task_stream
from rich.console import Console
from rich.progress import track
from rich.table import Table

from supreme_dask import SupremeCluster, WorkerGroup

GROUPS = [
    WorkerGroup("large", cpu=2, memory="1.75 GiB"),
    WorkerGroup("small", cpu=2, memory="1 GiB", count=2),
]
THREADS = sum(group.count * group.threads for group in GROUPS)
MEMORY = sum(group.count * group.capacity["memory"] for group in GROUPS)
PHOTOGRAPHS = ["astronaut", "camera", "cat", "coffee", "coins", "hubble_deep_field", "moon", "retina"]
OUT = Path("out")


# ------------------------------------------------------------------------------------- the work
def thumbnail(name: str) -> np.ndarray:
    return ski.transform.resize(grey(name), (96, 96), anti_aliasing=True)


def denoise(name: str, pixels: int) -> np.ndarray:
    return ski.restoration.denoise_tv_chambolle(enlarge(name, pixels), max_num_iter=40)


def count_regions(image: np.ndarray) -> int:
    smaller = ski.transform.rescale(image, 0.4)
    return int(ski.segmentation.felzenszwalb(smaller, scale=200, min_size=50).max()) + 1


def sharpness(name: str, pixels: int, window: str) -> float:
    """Return the part of the energy that lies in the finer half of all frequencies."""
    taper = getattr(np, window)(pixels)
    image = enlarge(name, pixels) * taper * taper[:, None]
    energy = np.abs(np.fft.fftshift(np.fft.fft2(image))) ** 2
    coarse = slice(pixels // 4, 3 * pixels // 4)
    return 1 - float(energy[coarse, coarse].sum() / energy.sum())


def grey(name: str) -> np.ndarray:
    image = getattr(ski.data, name)()
    return ski.color.rgb2gray(image) if image.ndim == 3 else ski.util.img_as_float(image)


def enlarge(name: str, pixels: int) -> np.ndarray:
    return ski.transform.resize(grey(name), (pixels, pixels), order=1)


def submit(client: Client, *, small: bool) -> list[Future]:
    """Submit everything; what needs much and what needs little comes mixed."""
    names, pixels = (PHOTOGRAPHS[:3], 256) if small else (PHOTOGRAPHS, 1024)
    futures = []
    for name in names:
        denoised = client.submit(denoise, name, pixels)
        futures += [client.submit(sharpness, name, 4 * pixels, window) for window in ("hanning", "blackman")]
        futures += [client.submit(thumbnail, name), denoised, client.submit(count_regions, denoised)]
    return futures


# -------------------------------------------------------------------------------------- the run
@dataclass
class Outcome:
    """What is told of one run."""

    tasks: int
    failed: int
    unfinished: int
    makespan: float
    bound: float
    watch: Watch


def run(cluster: SpecCluster, *, small: bool, patience: float | None = None) -> Outcome:
    """Do the work on a cluster, for `patience` seconds at most."""
    with Client(cluster) as client:
        client.wait_for_workers(len(cluster.worker_spec))
        with Watch(client, cluster) as watch, get_task_stream(client) as stream:
            began = time.time()
            futures = submit(client, small=small)
            follow(futures, type(cluster).__name__, patience)
            makespan = time.time() - began
        held = runs(stream.data, client.run_on_scheduler(read_peaks))
        states = Counter(future.status for future in futures)
    return Outcome(len(futures), states["error"], states["pending"], makespan, bound(held, THREADS, MEMORY), watch)


def follow(futures: list[Future], title: str, patience: float | None) -> None:
    """Show how many are done, until all are or patience ends."""
    with suppress(TimeoutError):
        for _ in track(as_completed(futures, timeout=patience), description=f"{title:15}", total=len(futures)):
            pass


def report(outcomes: dict[str, Outcome]) -> Table:
    table = Table(
        "",
        *outcomes,
        title="Photographs",
        caption="bound: time × memory or threads; peak: process ÷ its memory limit",
    )
    bounds = next(iter(outcomes.values())).bound

    def add(label: str, figures: Any) -> None:
        table.add_row(label, *map(figures, outcomes.values()))

    add("tasks", lambda one: str(one.tasks))
    add("failed tasks", lambda one: str(one.failed))
    add("unfinished tasks", lambda one: str(one.unfinished))
    add("workers lost", lambda one: str(one.watch.lost))
    add("makespan", lambda one: f"{one.makespan:.1f} s")
    add("÷ bound", lambda one: f"{one.makespan / bounds:.2f}")
    add("full while tasks waited", lambda one: share(allocated(one.watch.samples)))
    for name, limit in limits().items():
        add(f"peak of {name}", lambda one, name=name, limit=limit: share(one.watch.peak(name) / limit))
    return table


def share(part: float) -> str:
    return "unknown" if math.isnan(part) else f"{part:.0%}"


def limits() -> dict[str, int]:
    return {f"{group.name}-{number}": group.capacity["memory"] for group in GROUPS for number in range(group.count)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", action="store_true", help="run the same work on stock Dask, too")
    parser.add_argument("--small", action="store_true", help="three small photographs only")
    options = parser.parse_args()
    quiet = logging.CRITICAL  # lost workers are counted, not told one by one
    with SupremeCluster(GROUPS, dashboard_address=None, silence_logs=quiet) as cluster:
        outcomes = {"supreme-dask": run(cluster, small=options.small)}
    if options.compare:
        with StockCluster(GROUPS, silence_logs=quiet) as cluster:
            patience = max(60.0, 2 * outcomes["supreme-dask"].makespan)
            outcomes["stock Dask"] = run(cluster, small=options.small, patience=patience)
    Console().print(report(outcomes))
    for name, outcome in outcomes.items():
        picture = OUT / f"photographs-{name.split()[0]}.png"
        draw(outcome.watch.samples, limits(), f"Memory of each worker: {name}", picture)
        print(f"Picture: {picture}")
    ours = outcomes["supreme-dask"]
    return 1 if ours.failed or ours.unfinished else 0


if __name__ == "__main__":
    sys.exit(main())
