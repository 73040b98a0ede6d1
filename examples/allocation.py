"""What each worker has set aside for tasks, and what it really holds: watched, summed up, drawn.

Not an example itself: the examples and the benchmarks share it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from dask.utils import key_split
from distributed import Client, Nanny, Scheduler, SpecCluster

from supreme_dask import WorkerGroup
from supreme_dask.core.axes import MEMORY_AXIS, THREADS_AXIS

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Held:
    """What one worker has for tasks, and what of it is taken: bytes of memory, and threads."""

    capacity: int = 0
    reserved: int = 0
    stored: int = 0
    threads: int = 0
    busy: int = 0

    @property
    def free(self) -> int:
        """Bytes that a task could still get."""
        return max(self.capacity - self.reserved - self.stored, 0)

    @property
    def share(self) -> float:
        """Part that is taken of whatever is scarcest here: memory or threads."""
        return max(1 - self.free / self.capacity, self.busy / self.threads)


@dataclass(frozen=True, slots=True)
class Sample:
    """All workers at one time.

    Attributes
    ----------
    held : mapping of str to Held
        By name of the worker; empty under stock Dask, which keeps no such account.
    resident : mapping of str to int
        What the operating system says that its process takes.
    waiting, wanted : int
        Number of waiting tasks, and the bytes that they need together.
    """

    time: float
    held: Mapping[str, Held]
    resident: Mapping[str, int]
    waiting: int
    wanted: int

    @property
    def is_contended(self) -> bool:
        """Whether enough waits to take all memory, or all threads, that are left."""
        free = sum(held.free for held in self.held.values())
        idle = sum(held.threads - held.busy for held in self.held.values())
        return self.waiting > 0 and (self.wanted >= free or self.waiting >= idle)


@dataclass
class Watch:
    """Samples a local cluster from a thread, for as long as its ``with`` block lasts."""

    client: Client
    cluster: SpecCluster
    interval: float = 0.1
    samples: list[Sample] = field(default_factory=list)
    lost: int = 0
    pauses: int = 0

    def __enter__(self) -> Watch:
        self._since = time.time()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        # Those of a worker are also in a topic of its own, without its address.
        told = [pair for topic in self.client.get_events().values() for pair in topic]
        events = [event for at, event in told if at > self._since and isinstance(event, dict)]
        self.lost = sum(event.get("action") == "remove-worker" and "worker" in event for event in events)
        self.pauses = sum(event.get("status") == "paused" for event in events)

    def _run(self) -> None:
        while not self._stop.wait(self.interval):
            held, waiting, wanted = self.client.run_on_scheduler(read_ledger)
            self.samples.append(Sample(time.time(), held, dict(_resident(self.cluster)), waiting, wanted))

    def peak(self, name: str) -> int:
        """Return the most bytes that a worker's process was seen to take."""
        return max((sample.resident.get(name, 0) for sample in self.samples), default=0)


class StockCluster(SpecCluster):
    """The same worker processes as of a `SupremeCluster`, under stock Dask."""

    def __init__(self, groups: Sequence[WorkerGroup], silence_logs: int, **resources: float) -> None:
        host = {"host": "127.0.0.1"}
        workers = {
            f"{group.name}-{number}": {
                "cls": Nanny,
                "options": {
                    **host,
                    "nthreads": group.threads,
                    "memory_limit": group.capacity["memory"],
                    "resources": resources,
                    "silence_logs": silence_logs,
                },
            }
            for group in groups
            for number in range(group.count)
        }
        scheduler = {**host, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        super().__init__(
            workers=workers, scheduler={"cls": Scheduler, "options": scheduler}, silence_logs=silence_logs
        )


def read_ledger(dask_scheduler: Scheduler) -> tuple[dict[str, Held], int, int]:
    """Return what each worker holds, by name; how many tasks wait, and what they need. Runs in the scheduler."""
    plugin: Any = dask_scheduler.plugins.get("supreme")
    if plugin is None:
        return {}, 0, 0
    held = {
        str(dask_scheduler.workers[address].name): Held(
            capacity=row.capacity[MEMORY_AXIS],
            reserved=sum(dict(task.need).get(MEMORY_AXIS, 0) for task in row.tasks.values()),
            stored=row.burden,
            threads=row.threads,
            busy=row.threads - row.free[THREADS_AXIS],
        )
        for address, row in plugin.admission.ledger.rows.items()
    }
    # A task of unknown memory wants a whole worker.
    whole = max((each.capacity for each in held.values()), default=0)
    waiting = list(plugin.admission.queues.in_order())
    wanted = sum(shape.count * dict(shape.need).get(MEMORY_AXIS, whole) for shape in waiting)
    return held, sum(shape.count for shape in waiting), wanted


def allocated(samples: Sequence[Sample]) -> float:
    """Return how full the workers were while enough work waited to fill them.

    Mean over the workers, and over the samples in which the waiting tasks could take all memory or all threads
    that were left, of the share taken of whichever of the two was scarcest on that worker.
    """
    shares = [held.share for sample in samples if sample.is_contended for held in sample.held.values()]
    return sum(shares) / len(shares) if shares else float("nan")


def bound(held: Iterable[tuple[int, float]], threads: int, memory: int) -> float:
    """Return the seconds below which no schedule of these tasks can be, however they are packed.

    The largest of: seconds ÷ threads, bytes × seconds ÷ memory, and the longest task.

    Parameters
    ----------
    held
        Bytes and seconds of each task.
    threads, memory
        Of all workers together.
    """
    held = list(held)
    if not held:
        return float("nan")
    seconds = sum(seconds for _, seconds in held)
    byte_seconds = sum(amount * seconds for amount, seconds in held)
    return max(seconds / threads, byte_seconds / memory, max(seconds for _, seconds in held))


def runs(stream: Iterable[Mapping[str, Any]], peaks: Mapping[str, int]) -> Iterator[tuple[int, float]]:
    """Yield bytes and seconds of each task in a task stream of Dask, given what tasks of its name take."""
    for record in stream:
        for step in record["startstops"]:
            if step["action"] == "compute":
                yield peaks.get(key_split(record["key"]), 0), step["stop"] - step["start"]


def read_peaks(dask_scheduler: Scheduler) -> dict[str, int]:
    """Return the bytes that are set aside for a task, by its name: what was measured. Runs in the scheduler."""
    plugin: Any = dask_scheduler.plugins.get("supreme")
    if plugin is None:
        return {}
    return {name: plugin.admission.kinds[name].profile.memory() or 0 for name in dask_scheduler.task_prefixes}


def draw(samples: Sequence[Sample], limits: Mapping[str, int], title: str, path: Path) -> None:
    """Draw one panel per worker: reserved and stored memory over time, and what its process really takes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(len(limits), 1, figsize=(9, 1 + 2 * len(limits)), sharex=True, squeeze=False)
    times = [sample.time - samples[0].time for sample in samples]
    for panel, (name, limit) in zip(panels[:, 0], limits.items(), strict=True):
        held = [sample.held.get(name, Held()) for sample in samples]
        stored, reserved = [each.stored / MIB for each in held], [each.reserved / MIB for each in held]
        if any(sample.held for sample in samples):
            panel.stackplot(
                times, stored, reserved, step="post", labels=["stored", "reserved"], colors=["#9aa5b1", "#7cb5ec"]
            )
            panel.step(times, [each.capacity / MIB for each in held], "k--", lw=1, where="post", label="capacity")
        panel.plot(
            times, [sample.resident.get(name, 0) / MIB for sample in samples], "#d1495b", lw=1, label="process"
        )
        panel.axhline(limit / MIB, color="#d1495b", ls=":", lw=1, label="limit")
        panel.set(ylabel=f"{name}\nMiB", xlim=(0, max(times)), ylim=(0, 1.15 * limit / MIB))
    panels[-1, 0].set_xlabel("seconds")
    panels[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _resident(cluster: SpecCluster) -> Iterator[tuple[str, int]]:
    for name, nanny in cluster.workers.items():
        try:
            yield str(name), psutil.Process(nanny.pid).memory_info().rss
        except (psutil.NoSuchProcess, TypeError, ValueError):
            continue  # it is being restarted
