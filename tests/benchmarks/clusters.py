"""Clusters of real processes on the loopback address, and what they cost."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PRELOADS: dict[str, tuple[str, ...]] = {"stock": (), "supreme": ("--preload", "supreme_dask.preload")}
"""What a scheduler and its workers are started with, by the name of the contender."""

_PATIENCE = 60.0  # seconds until a process that does not come up is given up


@dataclass(frozen=True)
class Cluster:
    """A running scheduler and its workers.

    Attributes
    ----------
    address
        Of the scheduler.
    scheduler, workers
        The processes; `cpu_seconds` tells what they used.
    """

    address: str
    scheduler: psutil.Process
    workers: tuple[psutil.Process, ...]


@contextmanager
def cluster(contender: str, *, workers: int = 2, threads: int = 2, memory: str = "2GiB") -> Iterator[Cluster]:
    """Run a cluster of one contender of `PRELOADS`, each part in a process of its own, without dashboard."""
    preload = PRELOADS[contender]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contact = directory / "scheduler.json"
        scheduler = _start(stack, "scheduler", "--port", "0", "--scheduler-file", str(contact), *preload)
        address = _address(contact, scheduler)
        options = ("--nthreads", str(threads), "--memory-limit", memory, "--local-directory", str(directory))
        started = [
            _start(stack, "worker", address, "--no-nanny", "--name", f"w{number}", *options, *preload)
            for number in range(workers)
        ]
        yield Cluster(address, scheduler, tuple(started))


def cpu_seconds(*processes: psutil.Process) -> float:
    """Return the processor seconds that processes have used so far, in user and kernel."""
    times = [process.cpu_times() for process in processes]
    return sum(time_.user + time_.system for time_ in times)


def quantile(samples: Sequence[float], q: float) -> float:
    """Return the smallest sample that a fraction ``q`` of them does not exceed."""
    return sorted(samples)[max(0, -int(-q * len(samples) // 1) - 1)]


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of every figure over runs that all have the same figures."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def write_json(path: Path | None, report: Mapping[str, Any]) -> None:
    """Write a report, with the machine it was measured on; nothing if no path was given."""
    if path is not None:
        machine = {"cpus": psutil.cpu_count(), "memory": psutil.virtual_memory().total, "python": sys.version}
        path.write_text(json.dumps({"machine": machine, **report}, indent=1) + "\n")


def _start(stack: ExitStack, kind: str, *arguments: str) -> psutil.Process:
    command = [sys.executable, "-m", "dask", kind, "--host", "127.0.0.1", "--no-dashboard", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(_stop, process)
    return psutil.Process(process.pid)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _address(contact: Path, scheduler: psutil.Process) -> str:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and scheduler.status() != psutil.STATUS_ZOMBIE:
        try:
            return str(json.loads(contact.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.05)
    raise RuntimeError("the scheduler did not come up")
