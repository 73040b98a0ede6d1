"""Real schedulers and workers find each other through a store."""

import asyncio
import os
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from distributed import Client, Scheduler, Worker

import supreme_dask
from supreme_dask.cli import main
from supreme_dask.errors import NoSchedulerError
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.stores import open_store
from supreme_dask.stores.registry import Registry, find_scheduler
from supreme_dask.worker.registration import WorkerRegistration


@pytest.fixture
def url(tmp_path):
    return f"sqlite://{tmp_path}/store.db"


@pytest.fixture
def start(url, tmp_path):
    """Start a command of dask; it is ended with the test."""
    started = []
    environment = {**os.environ, "DASK_SUPREME__STORE": url, "DASK_SUPREME__SYSTEM": "blue"}

    def run(*arguments):
        command = [sys.executable, "-m", "dask", *arguments]
        process = subprocess.Popen(command, env=environment, cwd=tmp_path)
        started.append(process)
        return process

    yield run
    for process in started:
        process.terminate()
    for process in started:
        process.wait(20)


def test_a_scheduler_and_its_worker_register_and_leave(url, until):
    async def story():
        async with open_store(url) as store:
            registry = Registry(store, "blue")
            async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
                plugin = SchedulerRegistration(url, "blue", labels={"zone": "a"}, ttl=2)
                await scheduler.register_scheduler_plugin(plugin, idempotent=True)
                found = await find_scheduler(store, "blue", wait=30)
                assert (found.address, found.epoch, found.labels) == (scheduler.address, 1, {"zone": "a"})
                async with Worker(scheduler.address, nthreads=2, dashboard_address="127.0.0.1:0") as worker:
                    await worker.plugin_add(WorkerRegistration(url, "blue", labels={"group": "small"}, ttl=2))

                    async def both():
                        return [node.kind for node in await registry.nodes()] == ["scheduler", "worker"]

                    await until(both)
                    entry = (await registry.nodes())[1]
                    assert (entry.address, entry.labels["group"]) == (worker.address, "small")
                    assert entry.facts["threads"] == 2
                assert [node.kind for node in await registry.nodes()] == ["scheduler"]
            assert await registry.nodes() == ()

    asyncio.run(story())


def test_work_goes_on_while_the_store_is_down():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"etcd://127.0.0.1:{nobody.getsockname()[1]}/?timeout=1"

        async def story():
            async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
                await scheduler.register_scheduler_plugin(SchedulerRegistration(url, "blue", ttl=2), idempotent=True)
                async with (
                    Worker(scheduler.address, nthreads=1, dashboard_address="127.0.0.1:0") as worker,
                    Client(scheduler.address, asynchronous=True) as client,
                ):
                    await worker.plugin_add(WorkerRegistration(url, "blue", ttl=2))
                    end = time.monotonic() + 3
                    while time.monotonic() < end:
                        assert await asyncio.wait_for(client.submit(sum, [1, 2], pure=False), 20) == 3

        asyncio.run(story())


def test_processes_find_each_other_by_the_name_of_the_system(url, start):
    start(
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--dashboard-address",
        "127.0.0.1:0",
        "--preload",
        "supreme_dask.preload",
    )
    start(
        *(
            "supreme",
            "worker",
            "--nthreads",
            "1",
            "--no-nanny",
            "--dashboard-address",
            "127.0.0.1:0",
            "--wait",
            "60",
        ),
        *("--local-directory", "w", "--host", "127.0.0.1"),
    )
    with supreme_dask.connect(url, system="blue", wait=60) as client:
        assert client.submit(sum, [1, 2]).result(timeout=60) == 3
    with supreme_dask.SupremeOrchestrator(url, system="blue") as orchestrator:
        assert orchestrator.submit(sum, [1, 2]).result(timeout=60) == 3
    shown = CliRunner().invoke(main, ["nodes", "--store", url, "--system", "blue"])
    assert shown.exit_code == 0, shown.output
    assert "scheduler" in shown.output
    assert "worker" in shown.output


def test_connecting_to_a_system_that_is_not_there_says_so(url):
    with pytest.raises(NoSchedulerError, match="no system has one"):
        supreme_dask.connect(url, system="green", wait=0.1)


def test_nothing_registered_is_said(url):
    shown = CliRunner().invoke(main, ["nodes", "--store", url])
    assert "Nothing is registered in system default." in shown.output
