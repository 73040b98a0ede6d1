"""A system on Kubernetes: scheduler, store and client beside it, the controller a command, each worker a pod."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager

import dask
import pytest
from distributed import Client, Scheduler

from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.local_etcd import LocalEtcd, Place
from supreme_dask.stores.plans import Plans
from tests.kubernetes import admin
from tests.scheduler.clusters import until

ADDRESS = "10.244.0.1"  # of the machine of the lab, for its pods
PATIENCE = 60.0
MOST = 4
GROUPS = {"small": {"cpu": 1, "memory": "400 MiB", "maximum": MOST, "startup": 5}}
POLICY = {"demand": {"kind": "demand", "within-seconds": 1}, "idle": {"kind": "idle", "after-seconds": 1}}


class System:
    """What a test acts on."""

    def __init__(self, name, url, scheduler, client):
        self.name, self.url, self.scheduler, self.client = name, url, scheduler, client
        self.environment = {
            **os.environ,
            "DASK_SUPREME__KUBERNETES__IMAGE": "supreme-dask:dev",
            "DASK_SUPREME__STORE": url,
            "DASK_SUPREME__SYSTEM": name,
        }

    @contextmanager
    def controller(self):
        """Run the command; it ends as it is told to end."""
        command = [sys.executable, "-m", "dask", "supreme", "controller", "--provisioner", "kubernetes"]
        process = subprocess.Popen(command, env=self.environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    async def reported(self, wanted):
        """Return the first report of a controller that is as it is wanted."""
        async with (
            asyncio.timeout(PATIENCE),
            open_store(self.url) as store,
            aclosing(Plans(store, self.name).follow_progress()) as reports,
        ):
            async for report in reports:
                if "kubernetes" in report and wanted(report["kubernetes"]):
                    return report["kubernetes"]
        raise AssertionError("the store tells no more")

    def times_computed(self, future):
        """Return how often a task has come from a worker into memory."""
        return sum(
            (line[1], line[2]) == ("processing", "memory")
            for line in self.scheduler.story(future.key)
            if len(line) > 2
        )

    def workers(self):
        return {str(worker.name) for worker in self.scheduler.workers.values()}

    def pods(self):
        """Return the names of pods that have not ended."""
        pods = admin.pods(self.name)
        return {pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in ("Pending", "Running")}


@asynccontextmanager
async def running(directory, groups):
    name = f"system-{uuid.uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        etcd = stack.enter_context(LocalEtcd(directory, places=[Place(ADDRESS, ADDRESS)], durable=False))
        url = etcd.url("dask")
        store = await stack.enter_async_context(open_store(url))
        documents = Documents(store, name)
        await documents.publish("groups/default", groups, author="a test")
        await documents.publish("policy/default", POLICY, author="a test")
        stack.enter_context(dask.config.set({"supreme.store": url, "supreme.system": name}))
        scheduler = await stack.enter_async_context(
            Scheduler(host=ADDRESS, port=0, dashboard_address="127.0.0.1:0", preload="supreme_dask.preload")
        )
        client = await stack.enter_async_context(Client(scheduler.address, asynchronous=True))
        try:
            yield System(name, url, scheduler, client)
        finally:
            for pod in admin.pods(name):
                admin.ask("DELETE", f"{admin.CORE}/pods/{pod['metadata']['name']}?gracePeriodSeconds=1")


def on_kubernetes(groups=GROUPS, patience=3 * PATIENCE):
    """Make an ordinary test of a coroutine that takes a system and ends within so many seconds."""

    def decorate(test):
        @pytest.mark.timeout(patience + PATIENCE)
        def run(tmp_path):
            async def story():
                async with asyncio.timeout(patience), running(tmp_path, groups) as system:
                    await test(system)

            asyncio.run(story())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


def work(number, directory=None, seconds=0.5):
    import time

    time.sleep(seconds)
    return number


@on_kubernetes()
async def test_pods_come_for_work_and_go_without_it(system):
    with system.controller():
        done = system.client.map(work, range(20), resources={"cpu": 1, "memory": "200 MiB"}, pure=False)
        assert await system.client.gather(done) == list(range(20))
        assert 1 <= len(system.pods()) <= MOST
        assert system.workers() <= system.pods()
        del done
        await until(lambda: not system.pods() and not system.workers(), PATIENCE)


@on_kubernetes()
async def test_a_killed_controller_leaves_its_pods_and_the_next_one_finds_them(system):
    with system.controller() as process:
        begun = system.client.map(work, range(MOST), resources={"cpu": 1}, pure=False, seconds=600)
        await until(lambda: len(system.workers()) == MOST, PATIENCE)
        before = await system.reported(lambda report: len(report.workers) == MOST)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with system.controller():
        after = await system.reported(lambda report: report.life != before.life)
        assert after.workers == before.workers
        assert system.workers() == system.pods() == set(before.workers)
        del begun


@on_kubernetes()
async def test_what_an_evicted_worker_holds_is_kept_and_its_task_is_waited_for(system):
    with system.controller():
        busy = system.client.map(work, range(MOST), resources={"cpu": 1}, pure=False, seconds=8)
        await until(lambda: len(system.workers()) == MOST, PATIENCE)
        held = system.client.map(work, range(20), resources={"cpu": 1}, pure=False, seconds=0.05)
        await system.client.gather([*busy, *held])
        last = system.client.map(work, range(MOST), resources={"cpu": 1}, pure=False, seconds=5)
        await until(lambda: all(worker.processing for worker in system.scheduler.workers.values()))
        victim = min(system.workers())
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": victim, "namespace": "default"},
        }
        admin.ask("POST", f"{admin.CORE}/pods/{victim}/eviction", eviction)
        await until(lambda: victim not in system.workers(), PATIENCE)
        assert await system.client.gather(last) == list(range(MOST))
        assert await system.client.gather(held) == list(range(20))
        # Each came from a worker into memory once.
        assert {system.times_computed(future) for future in [*busy, *held, *last]} == {1}


BROKEN = {"spec": {"containers": [{"name": "worker", "image": "absent:1"}]}}


@on_kubernetes({"broken": {"cpu": 1, "memory": "400 MiB", "maximum": 2, "pod": BROKEN}})
async def test_why_a_group_does_not_grow_is_told_to_the_scheduler(system):
    with system.controller():
        waiting = system.client.submit(work, 1, resources={"cpu": 1})
        report = await system.reported(lambda report: report.blocked)
        assert "does not start: ErrImagePull" in report.blocked["broken"]
        assert len(report.workers) == 1
        del waiting
