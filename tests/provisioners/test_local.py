"""Workers of this machine outlive whoever started them, and he who comes after finds them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest
from distributed import Scheduler

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.errors import ConfigError
from supreme_dask.provisioners.local import LocalProvisioner
from supreme_dask.provisioners.processes import Process, start
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.stores import open_store
from supreme_dask.stores.registry import Registry

NOBODY = "tcp://127.0.0.1:1"
SMALL = WorkerGroup("small", memory="512 MiB")

LAUNCHES_AND_DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.provisioners.local import LocalProvisioner

provisioner = LocalProvisioner(Path(sys.argv[1]), scheduler="tcp://127.0.0.1:1")
asyncio.run(provisioner.launch(WorkerGroup("small", memory="512 MiB"), 2))
os.kill(os.getpid(), signal.SIGKILL)
"""

DIES_BEFORE_WRITING = """
import os, signal, sys
from pathlib import Path
from supreme_dask.provisioners.processes import start

def die(process):
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

start(["touch", sys.argv[1] + "/begun"], Path(sys.argv[1]) / "log", {}, die)
"""


@contextmanager
def opened(directory):
    """Give a provisioner whose workers are removed in the end."""
    with LocalProvisioner(directory, scheduler=NOBODY) as provisioner:
        yield provisioner
        asyncio.run(provisioner.remove(list(asyncio.run(provisioner.workers()))))


async def until(seen, wanted):
    """Wait until what is seen is as it is wanted."""
    async with asyncio.timeout(60):
        while await seen() != wanted:  # noqa: ASYNC110  it is in another process
            await asyncio.sleep(0.05)


def pid_of(directory, name):
    return json.loads((directory / name / "process.json").read_text())["process"]["pid"]


def test_the_workers_of_one_that_was_killed_are_found_by_the_next(tmp_path):
    killed = subprocess.run([sys.executable, "-c", LAUNCHES_AND_DIES, tmp_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    with opened(tmp_path) as provisioner:
        assert asyncio.run(provisioner.workers()) == {"small-0": "small", "small-1": "small"}
        pids = [pid_of(tmp_path, name) for name in ("small-0", "small-1")]
        assert all(os.getsid(pid) == pid for pid in pids)
        asyncio.run(provisioner.launch(SMALL, 1))
        assert set(asyncio.run(provisioner.workers())) == {"small-0", "small-1", "small-2"}
        asyncio.run(provisioner.remove(["small-0"]))
        assert set(asyncio.run(provisioner.workers())) == {"small-1", "small-2"}
    assert not any(Process.of(pid).alive() for pid in pids if psutil.pid_exists(pid))


def test_a_process_that_nobody_could_write_down_does_nothing(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_WRITING, tmp_path], stdout=subprocess.PIPE, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    psutil.wait_procs([psutil.Process(int(pid)) for pid in killed.stdout.split() if psutil.pid_exists(int(pid))], 20)
    assert not (tmp_path / "begun").exists()


def test_a_process_that_cannot_be_written_down_is_ended(tmp_path):
    def refuse(process):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        start(["touch", str(tmp_path / "begun")], tmp_path / "log", {}, refuse)
    assert not (tmp_path / "begun").exists()


def test_another_process_with_the_same_number_is_not_taken_for_a_worker(tmp_path):
    (tmp_path / "small-4").mkdir()
    ours = Process.of(os.getpid())
    record = {"group": "small", "process": {"pid": ours.pid, "born": ours.born - 60, "boot": ours.boot}}
    (tmp_path / "small-4" / "process.json").write_text(json.dumps(record))
    with LocalProvisioner(tmp_path, scheduler=NOBODY) as provisioner:
        assert asyncio.run(provisioner.workers()) == {}


def test_nobody_else_may_keep_workers_in_the_same_directory(tmp_path):
    with (
        LocalProvisioner(tmp_path, scheduler=NOBODY),
        pytest.raises(ConfigError, match="another controller"),
    ):
        LocalProvisioner(tmp_path, scheduler=NOBODY)
    LocalProvisioner(tmp_path, scheduler=NOBODY).close()


def test_the_last_words_of_a_worker_say_how_it_ended_and_what_it_wrote(tmp_path):
    async def story(provisioner):
        await provisioner.launch(SMALL, 1)
        await until(provisioner.workers, {})
        return await provisioner.last_words("small-0")

    with LocalProvisioner(tmp_path, scheduler="carrier-pigeon://nobody:1") as provisioner:
        words = asyncio.run(story(provisioner))
    assert "ended with exit code 1" in words
    assert "carrier-pigeon" in words
    assert f"all of it is in {tmp_path}/small-0/log" in words


def test_a_worker_finds_its_system_and_says_what_its_group_says_of_it(tmp_path):
    url = f"sqlite://{tmp_path}/store.db"
    group = WorkerGroup("odd", cpu=1.5, memory="512 MiB", resources={"a b=c": 2}, labels={"zone": "a"})

    async def story(provisioner):
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            await scheduler.register_scheduler_plugin(SchedulerRegistration(url, "blue"), idempotent=True)
            await provisioner.launch(group, 1)
            await until(provisioner.arrived, {"odd-0"})
            (worker,) = scheduler.workers.values()
            async with open_store(url) as store:
                _, node = await anext(lists async for lists in Registry(store, "blue").follow() if len(lists) == 2)
            await provisioner.remove(["odd-0"])
            assert not scheduler.workers
            return worker, node

    with LocalProvisioner(tmp_path / "workers", store=url, system="blue") as provisioner:
        worker, node = asyncio.run(asyncio.wait_for(story(provisioner), 60))
    assert (worker.name, worker.nthreads, worker.memory_limit) == ("odd-0", 2, 512 * 2**20)
    assert (worker.resources["a b=c"], worker.resources["cpu"]) == (2, 1.5)
    assert worker.address.startswith("tcp://127.0.0.1:")
    assert node.labels == {"group": "odd", "zone": "a"}
