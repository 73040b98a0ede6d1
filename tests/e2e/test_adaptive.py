"""`cluster.adapt(Adaptive=SupremeAdaptive)` on real worker processes."""

import asyncio
import logging
import os
import time

import pytest
from distributed import Client, LocalCluster
from distributed.utils_test import captured_logger

from supreme_dask import SupremeAdaptive
from supreme_dask.core.plans import Plan, Target

PRELOAD = "supreme_dask.preload"
ONE = {"resources": {"cpu": 1, "memory": "1 MiB"}, "pure": False}
SOON = {"demand": {"kind": "demand", "within-seconds": 1}, "idle": {"kind": "idle", "after-seconds": 0.5}}


@pytest.fixture
def cluster(tmp_path):
    options = {
        "threads_per_worker": 1,
        "memory_limit": "1GiB",
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.ERROR,
        "local_directory": str(tmp_path),
        "preload": PRELOAD,
    }
    with LocalCluster(n_workers=1, scheduler_kwargs={"preload": PRELOAD}, **options) as cluster:
        yield cluster


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def note(folder, number, seconds):
    """Leave a trace of each run."""
    with open(folder / str(number), "a") as file:  # noqa: PTH123  appends in one call
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return number


def test_workers_come_for_work_and_go_drained(cluster, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    with Client(cluster) as client:
        cluster.adapt(Adaptive=SupremeAdaptive, minimum=1, maximum=3, startup=1, policy=SOON)
        futures = client.map(note, [runs] * 30, range(30), seconds=0.5, **ONE)
        until(lambda: len(cluster.scheduler.workers) == 3)
        kept = [client.scatter(bytes([n]) * 1000, hash=False) for n in range(12)]
        assert client.gather(futures) == list(range(30))
        until(lambda: len(cluster.scheduler.workers) == 1)
        assert client.gather(futures) == list(range(30))
        assert client.gather(kept) == [bytes([n]) * 1000 for n in range(12)]
        assert len(cluster.worker_spec) == 1
    assert all(len(path.read_text().split()) == 1 for path in runs.iterdir())


def test_nothing_is_launched_for_what_no_worker_could_run(cluster):
    with Client(cluster) as client:
        cluster.adapt(Adaptive=SupremeAdaptive, minimum=1, maximum=3, startup=1, policy=SOON)
        future = client.submit(abs, -1, resources={"GPU": 1})
        engine = cluster.scheduler.plugins["supreme"].scaling
        until(lambda: engine.plan.unmet)
        decisions = engine.plan.generation
        time.sleep(1)
        assert engine.plan.generation == decisions
        assert len(cluster.worker_spec) == 1
        future.cancel()


def test_workers_that_end_by_themselves_are_replaced(tmp_path):
    options = {
        "n_workers": 0,
        "threads_per_worker": 1,
        "processes": False,
        "lifetime": "1s",
        "dashboard_address": "127.0.0.1:0",
        "local_directory": str(tmp_path),
        "preload": PRELOAD,
    }
    with LocalCluster(scheduler_kwargs={"preload": PRELOAD}, **options) as cluster:
        cluster.adapt(Adaptive=SupremeAdaptive, minimum=2, maximum=2, startup=0.1, policy=SOON)
        seen, most = set(), 0
        while len(seen) < 6:
            there = {worker.address for worker in cluster.workers.values() if worker.status.name == "running"}
            seen |= there
            most = max(most, len(there))
            time.sleep(0.02)
        assert most <= 2


def test_a_scheduler_without_the_plugin_is_scaled_by_dask(tmp_path):
    options = {"dashboard_address": "127.0.0.1:0", "local_directory": str(tmp_path)}
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **options) as cluster,
        Client(cluster) as client,
        captured_logger("distributed.core") as log,
    ):
        adaptive = cluster.adapt(Adaptive=SupremeAdaptive, minimum=1, maximum=2)
        until(lambda: adaptive._plain)
        assert client.gather(client.map(abs, range(10))) == list(range(10))
    assert "supreme_scale" not in log.getvalue()


class Full:
    """A cluster without a machine left, and a scheduler that wants one worker at first."""

    def __init__(self):
        self.scheduler_comm = self
        self.new_spec = {"options": {"nthreads": 1, "memory_limit": "1GiB"}}
        self.worker_spec, self.workers = {}, {}
        self.told = []

    async def versions(self):
        return {"plugins": {"supreme-dask": "1"}}

    async def supreme_scale(self, *, blocked, **_):
        self.told.append(blocked)
        return Plan(1, (Target("adaptive", len(self.told) == 1, (), "work waits"),)).to_wire()

    def scale(self, _):
        raise RuntimeError("no machine left")


def test_a_launch_that_failed_is_told_once():
    async def story():
        cluster = Full()
        adaptive = SupremeAdaptive(cluster, interval="0s", minimum=0, maximum=3)
        for _ in range(3):
            await adaptive.adapt()
        return cluster.told

    assert asyncio.run(story()) == ["", "no machine left", ""]
