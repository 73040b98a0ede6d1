"""Makespan of 120 tasks of mixed memory, against the bound that their own hold times set.

Contenders take turns, another one first with each seed. Figures of each run:

``ratio``
    Makespan ÷ bound. The bound is `allocation.bound` of how long the completed tasks held 3 × 4 threads and
    3 × 1.7 GB: a slow machine stretches both.
``allocated``
    How full the workers were while enough work waited to fill them, sampled inside the scheduler: see
    `allocation.allocated`. Only ours keeps the account.
``used``
    The same from outside, for every contender: bytes that the running tasks truly held ÷ 3 × 1.7 GB, from the
    first submission to the last start.

"One function" is the same load as a single task type whose memory depends on its input; nobody says anything of it.
"Unknown types" are a hundred types that nobody has seen, of two tasks each: how many workers they bring down.

Ray runs as one node with the pooled capacity, which no fragmentation can hurt, in a network of its own, since it
listens on every interface. A task that failed, or was not done after ten minutes, counts as failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from allocation import Sample, StockCluster, Watch, allocated, bound, draw
from distributed import Client, Future, SpecCluster, wait
from memory_load import (
    BYTES,
    GROWTH,
    LIMIT,
    THREADS,
    USABLE,
    WORKERS,
    Run,
    expand,
    load,
    most_at_once,
    used_while_waiting,
)
from rich.console import Console
from rich.table import Table

from supreme_dask import SupremeCluster, WorkerGroup

GROUPS = [WorkerGroup("worker", cpu=THREADS, memory=LIMIT, count=WORKERS)]
QUIET = logging.CRITICAL
PATIENCE = 600  # seconds; stock Dask may never be done
TYPES = 100


@dataclass(frozen=True)
class Result:
    """One contender on one load."""

    seed: int
    makespan: float
    ratio: float
    lost: int
    failed: int
    allocated: float | None
    used: float
    most: int
    pauses: int
    bound: float


def main() -> None:
    options = _options()
    contenders = _contenders(options)
    results: dict[str, list[Result]] = {}
    for turn, seed in enumerate(options.seeds):
        first = turn % len(contenders)
        for run in [*contenders[first:], *contenders[:first]]:
            for name, result in run(seed):
                results.setdefault(name, []).append(result)
                print(f"seed {seed}: {name}: {result.makespan:.1f} s, {result.ratio:.2f} × bound", file=sys.stderr)
    report(results)
    if options.json:
        options.json.write_text(json.dumps({name: [asdict(one) for one in many] for name, many in results.items()}))


def report(results: Mapping[str, list[Result]]) -> None:
    """Print medians."""
    table = Table("contender", "runs", "makespan", "÷ bound", "lost", "failed", "pauses", "allocated", "used")
    for name, many in results.items():
        middle = {key: _median(getattr(one, key) for one in many) for key in Result.__annotations__}
        table.add_row(
            name,
            str(len(many)),
            f"{middle['makespan']:.1f} s",
            f"{middle['ratio']:.2f}",
            f"{middle['lost']:g}",
            f"{middle['failed']:g}",
            f"{middle['pauses']:g}",
            "" if middle["allocated"] is None else f"{middle['allocated']:.0%}",
            f"{middle['used']:.0%}",
        )
    Console(width=110).print(table)
    ours = _median(one.ratio for one in results.get("ours, annotated", ()))
    for name, many in results.items():
        if ours and name != "ours, annotated":
            print(f"{name} ÷ ours, annotated: {_median(one.ratio for one in many) / ours:.2f} (of ÷ bound)")


Contender = Callable[[int], Iterator[tuple[str, Result]]]


def _contenders(options: argparse.Namespace) -> list[Contender]:
    chosen: list[Contender] = [
        partial(_ours, png=options.png),
        _ours_one_function,
        _ours_unknown_types,
        _ours_annotated,
        _stock_annotated,
    ]
    if options.ray:
        chosen.append(_ray)
    if options.stock:
        chosen.append(_stock)
    return [run for run in chosen if options.only is None or options.only in getattr(run, "func", run).__name__]


def _ours(seed: int, png: Path | None = None) -> Iterator[tuple[str, Result]]:
    with SupremeCluster(GROUPS, dashboard_address=None, silence_logs=QUIET) as cluster, _client(cluster) as client:
        result, _ = _dask(client, cluster, seed, _submit(client, seed))
        yield "ours, first run", result
        result, samples = _dask(client, cluster, seed, _submit(client, seed))
        yield "ours, second run", result
        if png is not None:
            draw(samples, dict.fromkeys(map(str, cluster.workers), LIMIT), f"seed {seed}, second run", png)


def _ours_one_function(seed: int) -> Iterator[tuple[str, Result]]:
    with SupremeCluster(GROUPS, dashboard_address=None, silence_logs=QUIET) as cluster, _client(cluster) as client:
        blocks = {task: client.submit(bytes, held // GROWTH) for task, held in BYTES.items()}
        wait(list(blocks.values()))
        tasks = load(seed)
        for run in ("first", "second"):
            submit = [partial(client.submit, expand, blocks[task], pure=False) for task in tasks]
            yield f"ours, one function, {run} run", _dask(client, cluster, seed, submit)[0]


def _ours_unknown_types(seed: int) -> Iterator[tuple[str, Result]]:
    with SupremeCluster(GROUPS, dashboard_address=None, silence_logs=QUIET) as cluster, _client(cluster) as client:
        submit = [
            partial(client.submit, task, key=f"type{number}-{copy}")
            for number, task in enumerate(load(seed)[:TYPES])
            for copy in range(2)
        ]
        yield f"ours, {TYPES} unknown types", _dask(client, cluster, seed, submit)[0]


def _ours_annotated(seed: int) -> Iterator[tuple[str, Result]]:
    with SupremeCluster(GROUPS, dashboard_address=None, silence_logs=QUIET) as cluster, _client(cluster) as client:
        yield "ours, annotated", _dask(client, cluster, seed, _submit(client, seed, "memory"))[0]


def _stock_annotated(seed: int) -> Iterator[tuple[str, Result]]:
    with StockCluster(GROUPS, QUIET, MEMORY=USABLE) as cluster, _client(cluster) as client:
        yield "stock, annotated", _dask(client, cluster, seed, _submit(client, seed, "MEMORY"))[0]


def _stock(seed: int) -> Iterator[tuple[str, Result]]:
    with StockCluster(GROUPS, QUIET) as cluster, _client(cluster) as client:
        yield "stock", _dask(client, cluster, seed, _submit(client, seed))[0]


def _ray(seed: int) -> Iterator[tuple[str, Result]]:
    script = Path(__file__).with_name("memory_load_on_ray.py")
    alone = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    told = subprocess.run([*alone, sys.executable, script, str(seed)], check=True, stdout=subprocess.PIPE).stdout
    answer = json.loads(told.splitlines()[-1])
    yield (
        "Ray",
        _result(seed, answer["since"], answer["until"], [Run(*run) for run in answer["runs"]], len(load(seed))),
    )


def _submit(client: Client, seed: int, annotation: str | None = None) -> list[Callable[[], Future]]:
    return [
        partial(client.submit, task, pure=False, resources={annotation: BYTES[task]} if annotation else None)
        for task in load(seed)
    ]


def _dask(
    client: Client, cluster: SpecCluster, seed: int, submit: Sequence[Callable[[], Future]]
) -> tuple[Result, list[Sample]]:
    with Watch(client, cluster) as watch:
        since = time.time()
        futures = [one() for one in submit]
        with suppress(TimeoutError):
            wait(futures, timeout=PATIENCE)
        until = time.time()
    runs = [future.result() for future in futures if future.status == "finished"]
    return _result(seed, since, until, runs, len(futures), watch), watch.samples


def _result(
    seed: int, since: float, until: float, runs: list[Run], submitted: int, watch: Watch | None = None
) -> Result:
    least = bound([(run.bytes, run.ended - run.began) for run in runs], THREADS * WORKERS, USABLE * WORKERS)
    return Result(
        seed=seed,
        makespan=until - since,
        ratio=(until - since) / least,
        lost=watch.lost if watch else 0,
        failed=submitted - len(runs),
        allocated=allocated(watch.samples) if watch and any(sample.held for sample in watch.samples) else None,
        used=used_while_waiting(runs, since),
        most=most_at_once(runs),
        pauses=watch.pauses if watch else 0,
        bound=least,
    )


@contextmanager
def _client(cluster: SpecCluster) -> Iterator[Client]:
    with Client(cluster) as client:
        client.wait_for_workers(WORKERS)
        client.run(_import_numpy)
        time.sleep(2)  # heartbeats tell what a process takes when it rests
        yield client


def _import_numpy() -> None:
    importlib.import_module("numpy")


def _median(figures: Iterator[Any]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return statistics.median(known) if known else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--stock", action="store_true", help="also stock Dask without annotations: minutes")
    parser.add_argument("--ray", action="store_true", help="also Ray with memory=, if it is installed")
    parser.add_argument("--only", help="only contenders whose function name contains this")
    parser.add_argument("--json", type=Path, help="where to write every run")
    parser.add_argument("--png", type=Path, help="where to draw our second run")
    options = parser.parse_args()
    if options.ray and not (importlib.util.find_spec("ray") and shutil.which("unshare")):
        parser.error("--ray needs the package ray, and unshare of util-linux")
    return options


if __name__ == "__main__":
    main()
