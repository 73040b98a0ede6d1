"""``dask supreme controller`` makes workers on this machine, as the scheduler of a system plans."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from contextlib import aclosing, contextmanager

import pytest
import yaml
from click.testing import CliRunner
from distributed import Scheduler

import supreme_dask
from supreme_dask.cli import main
from supreme_dask.core.plans import Plan, Target
from supreme_dask.provisioners.local import LocalProvisioner
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.layout import pack, plan_key
from supreme_dask.stores.plans import Plans

GROUPS = {"small": {"cpu": 1, "memory": "512 MiB"}}


@pytest.fixture
def url(tmp_path):
    return f"sqlite://{tmp_path}/store.db"


@pytest.fixture
def command(url, tmp_path):
    """Start the command; what it leaves running is removed after the test."""
    directory = tmp_path / "workers"

    @contextmanager
    def run(*options):
        arguments = ["--store", url, "--system", "blue", "--directory", str(directory), *options]
        process = subprocess.Popen([sys.executable, "-m", "dask", "supreme", "controller", *arguments])
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    yield run
    with LocalProvisioner(directory, store=url) as provisioner:
        asyncio.run(provisioner.remove(list(asyncio.run(provisioner.workers()))))


async def publish(store, generation, small, removable=(), scheduler=""):
    targets = (Target("small", small, (), "a test wants it"),)
    plan = Plan(generation, targets, removable=removable, scheduler=scheduler)
    await store.put(plan_key("blue"), pack(plan.to_wire()))


async def reported(store, wanted):
    async with aclosing(Plans(store, "blue").follow_progress()) as reports:
        async for report in reports:
            if wanted(report.get("local")):
                return report.get("local")
    return None


def test_planned_workers_join_leave_by_name_and_outlive_the_command(command, url):
    async def story(process):
        async with (
            Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler,
            open_store(url) as store,
        ):
            await scheduler.register_scheduler_plugin(SchedulerRegistration(url, "blue"), idempotent=True)
            await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
            await publish(store, 1, 2)
            await joined(scheduler, {"small-0", "small-1"})
            await publish(store, 2, 1, removable=("small-0",))
            await joined(scheduler, {"small-1"})
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert {str(worker.name) for worker in scheduler.workers.values()} == {"small-1"}

    with command() as process:
        asyncio.run(asyncio.wait_for(story(process), 100))


async def joined(scheduler, names):
    while {str(worker.name) for worker in scheduler.workers.values()} != names:  # noqa: ASYNC110  no event tells it
        await asyncio.sleep(0.05)


def test_a_worker_that_dies_while_the_store_is_down_is_replaced_and_joins(start_etcd, tmp_path):
    cluster = start_etcd(1)
    url, directory = cluster.url(str(uuid.uuid4()), timeout="1"), tmp_path / "workers"

    async def story():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            async with open_store(url) as store:
                await scheduler.register_scheduler_plugin(SchedulerRegistration(url, "blue"), idempotent=True)
                await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
                await publish(store, 1, 1, scheduler=scheduler.address)
                await joined(scheduler, {"small-0"})
            cluster.members[0].kill()
            os.kill(
                json.loads((directory / "small-0" / "process.json").read_text())["process"]["pid"], signal.SIGKILL
            )
            await joined(scheduler, {"small-1"})

    arguments = ["--store", url, "--system", "blue", "--directory", str(directory)]
    process = subprocess.Popen([sys.executable, "-m", "dask", "supreme", "controller", *arguments])
    try:
        asyncio.run(asyncio.wait_for(story(), 100))
    finally:
        process.terminate()
        process.wait(30)
        with LocalProvisioner(directory, store=url) as provisioner:
            asyncio.run(provisioner.remove(list(asyncio.run(provisioner.workers()))))


def test_a_task_that_waits_brings_a_worker_through_the_store(command, url):
    environment = {**os.environ, "DASK_SUPREME__STORE": url, "DASK_SUPREME__SYSTEM": "blue"}
    options = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    scheduler = [sys.executable, "-m", "dask", "scheduler", *options, "--preload", "supreme_dask.preload"]

    async def set_up():
        async with open_store(url) as store:
            await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")

    asyncio.run(set_up())
    with subprocess.Popen(scheduler, env=environment) as process, command():
        try:
            with supreme_dask.connect(url, system="blue", wait=60) as client:
                assert client.submit(sum, [1, 2]).result(timeout=100) == 3
        finally:
            process.terminate()


def test_groups_of_a_file_count_before_those_that_are_published(command, url, tmp_path):
    (tmp_path / "groups.yaml").write_text(yaml.safe_dump({"other": {"memory": "1 GiB"}}))

    async def story():
        async with open_store(url) as store:
            await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
            await publish(store, 1, 1)
            progress = await reported(store, lambda one: one is not None and one.blocked)
            assert "has only other" in progress.blocked["small"]

    with command("--groups", str(tmp_path / "groups.yaml")):
        asyncio.run(asyncio.wait_for(story(), 60))


def test_groups_that_cannot_be_used_are_refused_with_their_path(url, tmp_path):
    (tmp_path / "groups.yaml").write_text("small: {cpu: none}")
    options = ["--store", url, "--directory", str(tmp_path / "workers"), "--groups", str(tmp_path / "groups.yaml")]
    result = CliRunner().invoke(main, ["controller", *options])
    assert result.exit_code == 1
    assert "$.small.cpu" in result.output
