"""Ordinary work of futures: keys, loops, chains, clients inside tasks, data that lies somewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from distributed import Client, Queue, as_completed, get_client, rejoin, secede, wait, worker_client
from ordinary_registry import workload

MB = 1_000_000


def pause(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return number


# ------------------------------------------------------------------------------------------- keys
@workload(full={"tasks": 80, "seconds": 0.2}, quick={"tasks": 24, "seconds": 0.02})
def own_keys(client: Client, tasks: int, seconds: float) -> int:
    """Tasks whose keys a user has numbered: run_1, run_2, …"""
    return sum(client.gather([client.submit(pause, n, seconds, key=f"run_{n}") for n in range(tasks)]))


@workload(full={"tasks": 1000, "seconds": 0.02}, quick={"tasks": 200, "seconds": 0.002})
def many_own_keys(client: Client, tasks: int, seconds: float) -> int:
    """A thousand short tasks, each with a key of its own."""
    return sum(client.gather([client.submit(pause, n, seconds, key=f"part_{n}.csv") for n in range(tasks)]))


@workload(full={"tasks": 400, "seconds": 0.05}, quick={"tasks": 60, "seconds": 0.005})
def tuple_keys(client: Client, tasks: int, seconds: float) -> int:
    """Tasks whose keys are tuples, as those of blocks are."""
    keys = [("block", n // 20, n % 20) for n in range(tasks)]
    return sum(client.gather([client.submit(pause, n, seconds, key=key) for n, key in enumerate(keys)]))


@workload(full={"types": 100, "tasks": 4, "seconds": 0.05}, quick={"types": 30, "tasks": 2, "seconds": 0.01})
def many_types(client: Client, types: int, tasks: int, seconds: float) -> int:
    """A hundred functions, a few tasks of each."""
    works = [_of_a_type(number) for number in range(types)]
    return sum(client.gather([client.submit(work, n, seconds) for work in works for n in range(tasks)]))


def _of_a_type(number: int) -> Callable[[int, float], int]:
    def work(n: int, seconds: float) -> int:
        time.sleep(seconds)
        return n * number

    work.__name__ = f"step{number}x"
    return work


# ------------------------------------------------------------------------------------------ loops
@workload(full={"tasks": 16, "seconds": 1.0}, quick={"tasks": 16, "seconds": 0.05})
def few_long(client: Client, tasks: int, seconds: float) -> int:
    """Sixteen tasks of a second, of one function: two rounds of eight threads."""
    return sum(client.gather(client.map(pause, range(tasks), seconds=seconds)))


@workload(full={"tasks": 240, "seconds": 0.05, "maps": 2}, quick={"tasks": 80, "seconds": 0.005, "maps": 2})
def many_short(client: Client, tasks: int, seconds: float, maps: int) -> int:
    """Two maps of 240 tasks of 50 ms."""
    return sum(sum(client.gather(client.map(pause, range(m, m + tasks), seconds=seconds))) for m in range(maps))


@workload(full={"tasks": 10_000}, quick={"tasks": 1000})
def tiny_tasks(client: Client, tasks: int) -> int:
    """Ten thousand tasks that do nothing."""
    return sum(client.gather(client.map(abs, range(tasks))))


@workload(full={"tasks": 1000, "seconds": 0.02}, quick={"tasks": 100, "seconds": 0.002})
def submit_loop(client: Client, tasks: int, seconds: float) -> int:
    """A loop of submit, then gather."""
    return sum(client.gather([client.submit(pause, n, seconds) for n in range(tasks)]))


@workload(full={"tasks": 100, "seconds": 0.02}, quick={"tasks": 15, "seconds": 0.002})
def submit_and_wait(client: Client, tasks: int, seconds: float) -> int:
    """A loop that waits for each task before the next one."""
    return sum(client.submit(pause, n, seconds).result() for n in range(tasks))


@workload(full={"tasks": 200, "seconds": 0.08}, quick={"tasks": 40, "seconds": 0.005})
def as_completed_loop(client: Client, tasks: int, seconds: float) -> int:
    """A search: each task that is done has another one submitted."""
    total, following = 0, iter(range(16, tasks))
    running = as_completed(client.map(pause, range(16), seconds=seconds), with_results=True)
    for _, result in running:
        total += result
        if (number := next(following, None)) is not None:
            running.add(client.submit(pause, number, seconds))
    return total


@workload(full={"tasks": 3000, "seconds": 0.006}, quick={"tasks": 200, "seconds": 0.001})
def own_priorities(client: Client, tasks: int, seconds: float) -> int:
    """Tasks each with a priority of its own."""
    return sum(client.gather([client.submit(pause, n, seconds, priority=-n) for n in range(tasks)]))


@workload(full={"tasks": 240, "seconds": 0.08}, quick={"tasks": 40, "seconds": 0.005})
def batched_map(client: Client, tasks: int, seconds: float) -> int:
    """A map that is sent in batches."""
    return sum(client.gather(client.map(pause, range(tasks), seconds=seconds, batch_size=20)))


@workload(full={"tasks": 200, "seconds": 0.1, "long": 4.0}, quick={"tasks": 30, "seconds": 0.01, "long": 0.3})
def quick_beside_long(client: Client, tasks: int, seconds: float, long: float) -> int:
    """Quick tasks of a known function beside one long one of a function that nobody knows."""
    first = sum(client.gather(client.map(pause, range(-8, 0), seconds=seconds)))
    service = client.submit(_long, long)
    return first + sum(client.gather(client.map(pause, range(tasks), seconds=seconds))) + service.result()


def _long(seconds: float) -> int:
    time.sleep(seconds)
    return 1


# ---------------------------------------------------------------------------------- chains, trees
@workload(full={"chains": 16, "length": 24, "seconds": 0.05}, quick={"chains": 8, "length": 6, "seconds": 0.005})
def chains(client: Client, chains: int, length: int, seconds: float) -> int:
    """Chains in which each task takes the one before."""
    ends = client.map(pause, range(chains), seconds=seconds)
    for _ in range(length):
        ends = [client.submit(_next, end, seconds) for end in ends]
    return sum(client.gather(ends))


def _next(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return number + 1


@workload(full={"leaves": 256, "seconds": 0.04}, quick={"leaves": 32, "seconds": 0.004})
def tree(client: Client, leaves: int, seconds: float) -> int:
    """A sum as a tree of pairs."""
    level = client.map(pause, range(leaves), seconds=seconds)
    while len(level) > 1:
        level = [client.submit(_add, *pair, seconds) for pair in zip(level[::2], level[1::2], strict=True)]
    return int(level[0].result())


def _add(one: int, other: int, seconds: float) -> int:
    time.sleep(seconds)
    return one + other


# ------------------------------------------------------------------------------ clients inside tasks
@workload(full={"parents": 3, "children": 16, "rounds": 3}, quick={"parents": 3, "children": 4, "rounds": 1})
def nested_waiting(client: Client, parents: int, children: int, rounds: int) -> int:
    """Tasks that submit others and wait for them in their thread; threads are left for the others."""
    total = 0
    for number in range(rounds):
        total += sum(client.gather(client.map(_parent, range(number, number + parents), children=children)))
    return total


def _parent(number: int, children: int) -> int:
    inner = get_client()
    return sum(inner.gather([inner.submit(_child, number, n) for n in range(children)]))


def _child(number: int, n: int) -> int:
    time.sleep(0.1)
    return number + n


@workload(full={"parents": 24, "children": 8}, quick={"parents": 12, "children": 3})
def nested_seceding(client: Client, parents: int, children: int) -> int:
    """More tasks than threads that submit others, secede and wait."""
    return sum(client.gather(client.map(_seceding, range(parents), children=children)))


def _seceding(number: int, children: int) -> int:
    inner = get_client()
    futures = [inner.submit(_child, number, n) for n in range(children)]
    secede()
    total = sum(inner.gather(futures))
    rejoin()
    return int(total)


@workload(full={"parents": 24, "children": 8}, quick={"parents": 12, "children": 3})
def nested_worker_client(client: Client, parents: int, children: int) -> int:
    """The same with worker_client, which secedes by itself."""
    return sum(client.gather(client.map(_with_worker_client, range(parents), children=children)))


def _with_worker_client(number: int, children: int) -> int:
    with worker_client() as inner:
        return int(sum(inner.gather([inner.submit(_child, number, n) for n in range(children)])))


# --------------------------------------------------------------------------------- data somewhere
@workload(full={"tasks": 200, "megabytes": 60, "seconds": 0.08}, quick={"tasks": 20, "megabytes": 8, "seconds": 0.01})
def scattered_to_all(client: Client, tasks: int, megabytes: int, seconds: float) -> float:
    """One large thing that is scattered to all workers, and read by many tasks."""
    table = client.scatter(np.arange(megabytes * MB // 8, dtype=float), broadcast=True)
    return float(sum(client.gather([client.submit(_look, table, n, seconds) for n in range(tasks)])))


def _look(table: np.ndarray, n: int, seconds: float) -> float:
    time.sleep(seconds)
    return float(table[n])


@workload(full={"pieces": 60, "megabytes": 4, "reads": 6}, quick={"pieces": 12, "megabytes": 1, "reads": 2})
def scattered_pieces(client: Client, pieces: int, megabytes: int, reads: int) -> float:
    """Many pieces that are scattered, and each read by some tasks."""
    blocks = client.scatter([np.full(megabytes * MB // 8, float(n)) for n in range(pieces)], hash=False)
    return float(sum(client.gather([client.submit(_look, b, n, 0.05) for b in blocks for n in range(reads)])))


@workload(full={"pieces": 16, "megabytes": 24, "reads": 250}, quick={"pieces": 6, "megabytes": 4, "reads": 10})
def data_on_one_worker(client: Client, pieces: int, megabytes: int, reads: int) -> float:
    """Data that lies on one worker, read by many short tasks."""
    home = [min(client.scheduler_info(n_workers=-1)["workers"])]
    length = megabytes * MB // 8
    blocks = [client.submit(np.full, length, float(n), workers=home, pure=False) for n in range(pieces)]
    wait(blocks)
    return float(sum(client.gather([client.submit(_look, b, n, 0.001) for b in blocks for n in range(reads)])))


@workload(full={"pairs": 40, "megabytes": 16, "seconds": 0.12}, quick={"pairs": 10, "megabytes": 4, "seconds": 0.01})
def pairs_40(client: Client, pairs: int, megabytes: int, seconds: float) -> float:
    """Forty pairs of blocks of two sources, a quick and a slow one, joined and added up."""
    return _pairs(client, pairs, megabytes, seconds)


@workload(
    full={"pairs": 250, "megabytes": 16, "seconds": 0.03}, quick={"pairs": 30, "megabytes": 4, "seconds": 0.002}
)
def pairs_250(client: Client, pairs: int, megabytes: int, seconds: float) -> float:
    """Two hundred and fifty pairs of blocks of two sources, joined and added up."""
    return _pairs(client, pairs, megabytes, seconds)


def _pairs(client: Client, pairs: int, megabytes: int, seconds: float) -> float:
    import dask

    quick, slow = dask.delayed(_quick_source, pure=False), dask.delayed(_slow_source, pure=False)
    product, total = dask.delayed(_product, pure=False), dask.delayed(sum, pure=False)
    joined = [product(quick(n, megabytes, seconds), slow(n, megabytes, 3 * seconds)) for n in range(pairs)]
    return float(client.compute(total(joined), optimize_graph=False).result())


def _quick_source(n: int, megabytes: int, seconds: float) -> np.ndarray:
    time.sleep(seconds)
    return np.full(megabytes * MB // 8, float(n))


def _slow_source(n: int, megabytes: int, seconds: float) -> np.ndarray:
    time.sleep(seconds)
    return np.full(megabytes * MB // 8, 2.0)


def _product(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum())


# ---------------------------------------------------------------------------- what tasks share
class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int) -> int:
        self.count += number
        return self.count


@workload(full={"calls": 400, "seconds": 0.05}, quick={"calls": 40, "seconds": 0.002})
def actor(client: Client, calls: int, seconds: float) -> int:
    """An actor that tasks call."""
    counter = client.submit(Counter, actor=True, pure=False).result()
    client.gather([client.submit(_call, counter, n, seconds, pure=False) for n in range(calls)])
    return int(counter.add(0).result())


def _call(counter: Any, number: int, seconds: float) -> None:
    time.sleep(seconds)
    counter.add(number).result()


@workload(full={"items": 30, "seconds": 0.07}, quick={"items": 5, "seconds": 0.005})
def queue_between_tasks(client: Client, items: int, seconds: float) -> int:
    """A task that makes and one that takes, with a queue between them, twice."""
    makers = [client.submit(_make, f"line-{n}", items, seconds, pure=False) for n in range(2)]
    takers = [client.submit(_take, f"line-{n}", items, pure=False) for n in range(2)]
    client.gather(makers)
    return sum(client.gather(takers))


def _make(name: str, items: int, seconds: float) -> None:
    queue = Queue(name)
    for item in range(items):
        time.sleep(seconds)
        queue.put(item)


def _take(name: str, items: int) -> int:
    queue = Queue(name)
    return sum(queue.get(timeout=60) for _ in range(items))
