"""How many tasks that do nothing a scheduler gets done, and what it spends on each.

    python tests/benchmarks/throughput.py --pairs 5 --json throughput.json

Cases: one ``client.map``; as many ``client.submit`` outstanding at once, from one client and from ten. In each round
every contender runs once, on a cluster of its own; the order is turned around from round to round. What is compared
is the ratio within a round.

``--profile FILE`` instead writes where the event loop of our scheduler spends its time.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import operator
import pstats
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from clusters import Cluster, cluster, cpu_seconds, medians, quantile, write_json
from distributed import Client, Future, as_completed, wait
from distributed.scheduler import Scheduler

from supreme_dask import SupremeOrchestrator

CLIENTS = 10
NOTHING = operator.pos  # every process can import it, so that it travels as a name
CONTENDERS = {"stock": "stock", "supreme": "supreme", "orchestrator": "supreme"}
"""Who takes part, on which cluster; ``orchestrator`` submits through `SupremeOrchestrator`."""

Run = Callable[[Cluster, str, int], dict[str, float]]


def run_map(where: Cluster, _: str, tasks: int) -> dict[str, float]:
    with Client(where.address) as client:
        client.wait_for_workers(len(where.workers))
        client.gather(client.map(NOTHING, range(200), pure=False))
        with _Bill(where, client, tasks) as bill:
            futures = client.map(NOTHING, range(tasks), pure=False)
            wait(futures)
        assert client.gather(futures) == list(range(tasks))
    return bill.figures


def run_submits(where: Cluster, contender: str, tasks: int) -> dict[str, float]:
    with Client(where.address) as client:
        client.wait_for_workers(len(where.workers))
        client.gather([client.submit(NOTHING, number, pure=False) for number in range(200)])
        with _Bill(where, client, tasks) as bill:
            latencies = _submit_all(client, contender, tasks)
        return {**bill.figures, **_latencies(latencies)}


def run_submits_of_many(where: Cluster, contender: str, tasks: int) -> dict[str, float]:
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(CLIENTS + 1), spawn.Queue()
    share = tasks // CLIENTS
    with Client(where.address) as client:
        client.wait_for_workers(len(where.workers))
        children = [
            spawn.Process(target=_one_of_many, args=(where.address, contender, share, barrier, answers))
            for _ in range(CLIENTS)
        ]
        for child in children:
            child.start()
        barrier.wait(120)
        with _Bill(where, client, share * CLIENTS) as bill:
            latencies = [latency for _ in children for latency in answers.get(timeout=300)]
        for child in children:
            child.join()
    return {**bill.figures, **_latencies(latencies)}


CASES: dict[str, Run] = {
    "map": run_map,
    "submit-1": run_submits,
    "submit-10": run_submits_of_many,
}


def _one_of_many(address: str, contender: str, tasks: int, barrier: Barrier, answers: Any) -> None:
    with Client(address) as client:
        client.submit(NOTHING, 0, pure=False).result()
        barrier.wait(120)
        answers.put(_submit_all(client, contender, tasks))


def _submit_all(client: Client, contender: str, tasks: int) -> list[float]:
    """Submit tasks one by one without waiting, and return the seconds until each was known to be done."""
    submit = SupremeOrchestrator(client).submit if contender == "orchestrator" else client.submit
    sent: dict[Future, float] = {}
    for number in range(tasks):
        begin = time.perf_counter()
        sent[submit(NOTHING, number, pure=False)] = begin
    latencies = [time.perf_counter() - sent[future] for future in as_completed(sent)]
    assert {future.status for future in sent} == {"finished"}
    return latencies


def _latencies(seconds: Sequence[float]) -> dict[str, float]:
    return {"p50 s": quantile(seconds, 0.50), "p99 s": quantile(seconds, 0.99)}


class _Bill:
    """What a stretch of work took: time, processors, messages."""

    def __init__(self, where: Cluster, client: Client, tasks: int) -> None:
        self._where, self._client, self._tasks = where, client, tasks
        self.figures: dict[str, float] = {}

    def __enter__(self) -> _Bill:
        self._before = self._read()
        self._begin = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        wall = time.perf_counter() - self._begin
        spent = {name: value - self._before[name] for name, value in self._read().items()}
        self.figures = {"tasks/s": self._tasks / wall, **{name: v / self._tasks for name, v in spent.items()}}

    def _read(self) -> dict[str, float]:
        return {
            **self._client.run_on_scheduler(_sends),
            "scheduler us/task": 1e6 * cpu_seconds(self._where.scheduler),
            "worker us/task": 1e6 * cpu_seconds(*self._where.workers),
        }


def _sends(dask_scheduler: Scheduler) -> dict[str, int]:
    """Count what the scheduler has written to its workers."""
    return {"sends/task": sum(comm.batch_count for comm in dask_scheduler.stream_comms.values())}


# ---------------------------------------------------------------------------------------- profile
def _start_profile(dask_scheduler: Any) -> None:
    dask_scheduler.profile_of_benchmark = cProfile.Profile()
    dask_scheduler.profile_of_benchmark.enable()


def _stop_profile(dask_scheduler: Any, path: str) -> None:
    dask_scheduler.profile_of_benchmark.disable()
    dask_scheduler.profile_of_benchmark.dump_stats(path)


def profile(contender: str, case: str, tasks: int, path: Path) -> None:
    """Write where the event loop of a scheduler spends its time: by own time, then by time with callees."""
    raw = str(path.with_suffix(".prof").absolute())
    with cluster(CONTENDERS[contender]) as where, Client(where.address) as client:
        CASES[case](where, contender, tasks)  # what is slow only once is not what we look for
        before = _thread_seconds(where)
        client.run_on_scheduler(_start_profile)
        CASES[case](where, contender, tasks)
        client.run_on_scheduler(_stop_profile, path=raw)
        loop, others = (after - earlier for after, earlier in zip(_thread_seconds(where), before, strict=True))
    with path.open("w") as text:
        text.write(f"{contender}, {case}, {tasks} tasks; processor seconds, while being profiled: ")
        text.write(f"event loop {loop:.2f}, other threads {others:.2f}\n")
        stats = pstats.Stats(raw, stream=text)
        for order in ("tottime", "cumulative"):
            stats.sort_stats(order).print_stats(60)


def _thread_seconds(where: Cluster) -> tuple[float, float]:
    """Return what the thread of the event loop, and all others together, have used."""
    seconds = {thread.id: thread.user_time + thread.system_time for thread in where.scheduler.threads()}
    loop = seconds.pop(where.scheduler.pid)
    return loop, sum(seconds.values())


# ---------------------------------------------------------------------------------------- rounds
def compare(case: str, pairs: int, tasks: int) -> dict[str, Any]:
    """Run rounds of one case; print and return runs, medians and ratios to stock."""
    # A map is one message whoever sends it.
    contenders = [name for name in CONTENDERS if (case, name) != ("map", "orchestrator")]
    runs: dict[str, list[dict[str, float]]] = {contender: [] for contender in contenders}
    for number in range(pairs):
        for contender in contenders[:: 1 if number % 2 == 0 else -1]:
            with cluster(CONTENDERS[contender]) as where:
                runs[contender].append(CASES[case](where, contender, tasks))
            _show(f"{case} {number + 1}/{pairs} {contender}", runs[contender][-1])
    report: dict[str, Any] = {"runs": runs, "medians": {name: medians(figures) for name, figures in runs.items()}}
    report["ratios"] = {name: _ratios(figures, runs["stock"]) for name, figures in runs.items() if name != "stock"}
    for name, figures in report["medians"].items():
        _show(f"{case} median of {pairs}: {name}", figures)
    for name, figures in report["ratios"].items():
        _show(f"{case} median ratio: {name} / stock", figures)
    return report


def _ratios(ours: Sequence[dict[str, float]], stock: Sequence[dict[str, float]]) -> dict[str, float]:
    return {
        name: statistics.median(mine[name] / theirs[name] for mine, theirs in zip(ours, stock, strict=True))
        for name in ours[0]
    }


def _show(title: str, figures: dict[str, float]) -> None:
    print(f"{title:<42}" + "  ".join(f"{name} {value:.3g}" for name, value in figures.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="may be repeated; by default all")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--contender", choices=CONTENDERS, default="supreme", help="whom to profile")
    arguments = parser.parse_args()
    cases = arguments.case or list(CASES)
    if arguments.profile is not None:
        profile(arguments.contender, cases[0], arguments.tasks, arguments.profile)
        return
    report = {case: compare(case, arguments.pairs, arguments.tasks) for case in cases}
    write_json(arguments.json, {"tasks": arguments.tasks, "pairs": arguments.pairs, "cases": report})


if __name__ == "__main__":
    main()
