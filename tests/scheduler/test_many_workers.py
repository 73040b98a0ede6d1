"""More than 100 real workers on one scheduler, of which 20 are killed while 10,000 requests are under way."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from distributed import Client, as_completed

from supreme_dask import SupremeOrchestrator
from tests.benchmarks.clusters import cluster, cpu_seconds

ROOT = Path(__file__).parents[2]
WORKERS, KILLS, TASKS = 120, 20, 10_000


def square(number):
    time.sleep(0.01)
    return number * number


@contextmanager
def light_workers(address, count):
    program = [sys.executable, "-m", "tests.scheduler.light_workers", address, str(count)]
    process = subprocess.Popen(program, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def memory(pids):
    """Return the bytes of several processes, what they share counted once."""
    return sum(psutil.Process(pid).memory_full_info().pss for pid in pids)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_results_are_right_though_20_of_120_workers_are_killed():
    chance = random.Random(1)
    begin = time.perf_counter()
    with (
        cluster("supreme", workers=0) as found,
        light_workers(found.address, WORKERS),
        Client(found.address) as client,
    ):
        client.wait_for_workers(WORKERS, timeout=300)
        joined = time.perf_counter()
        pids = [int(info["name"]) for info in client.scheduler_info(n_workers=-1)["workers"].values()]
        assert len(set(pids)) == WORKERS
        workers = memory(pids) / WORKERS
        victims = iter(chance.sample(pids, KILLS))
        before = cpu_seconds(found.scheduler)
        orchestrator = SupremeOrchestrator(client)
        futures = [orchestrator.submit(square, number, pure=False) for number in range(TASKS)]
        submitted = time.perf_counter()
        for done, _ in enumerate(as_completed(futures), start=1):
            if done % (TASKS // (KILLS + 5)) == 0 and (victim := next(victims, None)):
                os.kill(victim, signal.SIGKILL)
        ended = time.perf_counter()
        assert next(victims, None) is None
        used = cpu_seconds(found.scheduler) - before
        assert client.gather(futures) == [number * number for number in range(TASKS)]
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == WORKERS - KILLS
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.plugins["supreme"].active)
        rss = found.scheduler.memory_info().rss
    print(
        f"{WORKERS} joined in {joined - begin:.1f} s, {workers / 2**20:.0f} MiB each; {TASKS} submitted in "
        f"{submitted - joined:.1f} s, done {ended - joined:.1f} s after the first: {TASKS / (ended - joined):.0f}/s; "
        f"scheduler {1e6 * used / TASKS:.0f} µs of cpu per task, {rss / 2**20:.0f} MiB"
    )
