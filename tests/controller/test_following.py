"""Plans come through a real store to a controller in a process of its own, which may be killed at any moment."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from supreme_dask.controller.controller import Controller
from supreme_dask.controller.following import Following
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Target
from supreme_dask.provisioners.local import LocalProvisioner
from supreme_dask.stores import Put, open_store
from supreme_dask.stores.layout import epoch_key, plan_key
from supreme_dask.stores.plans import Plans
from supreme_dask.stores.registry import Registry
from tests.controller.provisioners import OnPaper

NOBODY = "tcp://127.0.0.1:1"
PROGRAM = Path(__file__).with_name("following_program.py")
SMALL = WorkerGroup("small")


@pytest.fixture(params=["memory", "sqlite", "etcd"])
def address(request, tmp_path):
    if request.param == "memory":
        return f"memory://{uuid.uuid4()}"
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/store.db"
    return request.getfixturevalue("start_etcd")(1).url(str(uuid.uuid4()))


def plan(generation, small, *, epoch=1, removable=()):
    return Plan(generation, (Target("small", small, (), "a test wants it"),), epoch=epoch, removable=removable)


async def publish(store, wanted):
    await store.put(epoch_key("blue"), b"%d" % wanted.epoch)
    await Plans(store, "blue").publish(wanted)


async def progress_of(store, wanted):
    """Wait until the reports are as wanted, and return that of the controller."""
    async with aclosing(Plans(store, "blue").follow_progress()) as reports:
        async for report in reports:
            if wanted(report):
                return report.get("local")
    return None


def workers(*names):
    return lambda report: "local" in report and set(report["local"].workers) == set(names)


@asynccontextmanager
async def following(url, provisioner):
    controller = Controller(provisioner, [SMALL], name="local")
    task = asyncio.create_task(Following(url, "blue", controller, ttl=2).run())
    try:
        yield controller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run(story):
    asyncio.run(asyncio.wait_for(story, 100))


def test_a_plan_is_carried_out_and_what_was_reached_is_reported(address):
    async def story():
        async with open_store(address) as store:
            async with following(address, OnPaper()):
                await progress_of(store, workers())
                await publish(store, plan(1, 2))
                await progress_of(store, workers("small-0", "small-1"))
                nodes = Registry(store, "blue").follow()
                (node,) = await anext(found async for found in nodes if found)
                assert (node.kind, node.facts["name"]) == ("controller", "local")
                await publish(store, plan(2, 2, removable=("small-0",)))
                await progress_of(store, workers("small-1", "small-2"))
            assert await progress_of(store, lambda report: not report) is None
            assert await Registry(store, "blue").nodes() == ()

    run(story())


def test_a_plan_that_cannot_be_read_leaves_the_last_one_in_force(address):
    async def story():
        provisioner = OnPaper()
        async with open_store(address) as store, following(address, provisioner):
            await publish(store, plan(1, 1))
            await progress_of(store, workers("small-0"))
            await store.transact((), (Put(plan_key("blue"), b'{"schema": 1, "workers": "many"}'),))
            provisioner.joined = {"small-0", "small-1"}
            provisioner.existing.clear()
            await progress_of(store, workers("small-1"))
            await publish(store, plan(2, 2))
            await progress_of(store, workers("small-1", "small-2"))

    run(story())


def test_of_two_controllers_the_second_waits_until_the_first_has_ended(address, caplog):
    async def story():
        first, second = OnPaper(), OnPaper()
        async with open_store(address) as store:
            await publish(store, plan(1, 2))
            async with following(address, first):
                await until(lambda: len(first.existing) == 2)
                waiting = asyncio.create_task(Following(address, "blue", Controller(second, [SMALL], name="b")).run())
                await until(lambda: "System blue has a controller, local on " in caplog.text)
                await publish(store, plan(2, 3))
                await until(lambda: len(first.existing) == 3)
                assert not second.existing
            await until(lambda: len(second.existing) == 3)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    run(story())


def test_one_that_waits_does_not_report_in_the_name_of_the_one_that_leads(address, caplog):
    async def story():
        first, second = OnPaper(), OnPaper()
        async with open_store(address) as store:
            await publish(store, plan(1, 2))
            async with following(address, first):
                await progress_of(store, workers("small-0", "small-1"))
                waiting = asyncio.create_task(
                    Following(address, "blue", Controller(second, [SMALL], name="local")).run()
                )
                await until(lambda: "System blue has a controller, local on " in caplog.text)
                await publish(store, plan(2, 3))
                report = await progress_of(store, workers("small-0", "small-1", "small-2"))
                assert report.term == 1
            await until(lambda: len(second.existing) == 3)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    run(story())


def test_without_the_store_crashed_workers_are_still_replaced(start_etcd):
    cluster = start_etcd(1)

    async def story():
        provisioner = OnPaper()
        url = cluster.url(str(uuid.uuid4()))
        async with open_store(url) as store:
            await publish(store, plan(1, 1))
        async with following(url, provisioner):
            await until(lambda: set(provisioner.existing) == {"small-0"})
            cluster.members[0].kill()
            provisioner.joined = {"small-0"}
            provisioner.existing = {}
            await until(lambda: set(provisioner.existing) == {"small-1"})

    run(story())


def test_a_controller_that_cannot_ask_whether_there_is_another_waits_for_the_store(start_etcd, caplog):
    cluster = start_etcd(1)

    async def story():
        provisioner = OnPaper()
        url = cluster.url(str(uuid.uuid4()), timeout="1")
        async with open_store(url) as store:
            await publish(store, plan(1, 1))
        cluster.members[0].kill()
        async with following(url, provisioner):
            await until(lambda: "No worker is launched without the store: " in caplog.text)
            assert not provisioner.existing
            cluster.members[0].start()
            await until(lambda: set(provisioner.existing) == {"small-0"})

    run(story())


def test_a_controller_that_is_killed_goes_on_where_it_was(tmp_path):
    url, directory = f"sqlite://{tmp_path}/store.db", tmp_path / "workers"

    async def story():
        async with open_store(url) as store:
            await publish(store, plan(1, 3))
            first = start(url, directory)
            await progress_of(store, workers("small-0", "small-1", "small-2"))
            await publish(store, plan(2, 4))
            first.kill()
            first.wait()
            os.kill(pid_of(directory, "small-1"), signal.SIGKILL)
            await progress_of(store, lambda report: not report)
            second = start(url, directory)
            try:
                report = await progress_of(
                    store, lambda report: "local" in report and len(report["local"].workers) == 4
                )
                assert {"small-0", "small-2"} < set(report.workers)
                assert "small-1" not in report.workers
            finally:
                second.terminate()
                second.wait()

    try:
        run(story())
    finally:
        with LocalProvisioner(directory, scheduler=NOBODY) as provisioner:
            asyncio.run(provisioner.remove(list(asyncio.run(provisioner.workers()))))


def test_a_controller_that_was_paused_launches_nothing_once_another_was_elected(tmp_path):
    url = f"sqlite://{tmp_path}/store.db"
    paused, other = tmp_path / "paused", tmp_path / "other"

    async def story():
        async with open_store(url) as store:
            await publish(store, plan(1, 1))
            first = start(url, paused)
            second = None
            try:
                await progress_of(store, workers("small-0"))
                first.send_signal(signal.SIGSTOP)
                second = start(url, other)
                await until(lambda: (other / "small-0").exists())
                os.kill(pid_of(paused, "small-0"), signal.SIGKILL)
                await publish(store, plan(2, 1))
                first.send_signal(signal.SIGCONT)
                await until(lambda: not (paused / "small-0" / "process.json").exists())
                await publish(store, plan(3, 2))
                await until(lambda: (other / "small-1").exists())
                assert not (paused / "small-1").exists()
            finally:
                for controller in filter(None, (first, second)):
                    controller.kill()
                    controller.wait()

    try:
        run(story())
    finally:
        for directory in (paused, other):
            with LocalProvisioner(directory, scheduler=NOBODY) as provisioner:
                asyncio.run(provisioner.remove(list(asyncio.run(provisioner.workers()))))


def start(url, directory):
    return subprocess.Popen([sys.executable, PROGRAM, url, "blue", directory, NOBODY])


async def until(condition):
    while not condition():  # noqa: ASYNC110  the controller tells of changes, not of conditions
        await asyncio.sleep(0.01)


def pid_of(directory, name):
    return json.loads((directory / name / "process.json").read_text())["process"]["pid"]
