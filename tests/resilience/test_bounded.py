"""Random faults on real processes and a real etcd: never more workers than the maximum, in the end the right ones."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest
from distributed import Client, Scheduler

from supreme_dask.provisioners.local import LocalProvisioner
from supreme_dask.provisioners.processes import Process
from supreme_dask.scheduler.exchange import Exchange
from supreme_dask.scheduler.plugin import SupremePlugin
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents

EVENTS = int(os.environ.get("SUPREME_BOUNDED_EVENTS", "8"))
SEED = int(os.environ.get("SUPREME_BOUNDED_SEED", "0"))
MAXIMUM = 3
SECONDS = 0.3
GROUPS = {"small": {"cpu": 1, "memory": "256 MiB", "minimum": 1, "maximum": MAXIMUM, "startup": 2}}
POLICY = {"work": {"kind": "demand", "within-seconds": 1}, "rest": {"kind": "idle", "after-seconds": 1}}
PATIENCE = 180.0  # s, for what needs a lease to end, a backoff to pass and a worker to start


def alive(directory):
    """Return the processes of the workers that were started from a directory and have not ended."""
    found = {}
    for path in directory.glob("*/process.json"):
        try:
            process = Process(**json.loads(path.read_text())["process"])
        except (OSError, ValueError):
            continue  # it is being written, or removed
        if process.alive():
            found[path.parent.name] = process
    return found


class Watch(threading.Thread):
    """Counts processes all the time: those of directories in use, and those of all."""

    def __init__(self, meddler):
        super().__init__(daemon=True)
        self.meddler, self.most, self.longest, self.ended = meddler, 0, 0.0, threading.Event()

    def run(self):
        since = None
        while not self.ended.wait(0.05):
            directories = {one: len(alive(one)) for one in list(self.meddler.directories)}
            in_use = {one.directory for one in list(self.meddler.controllers.values())}
            self.most = max(self.most, sum(count for one, count in directories.items() if one in in_use))
            since = (since or time.monotonic()) if sum(directories.values()) > MAXIMUM else None
            self.longest = max(self.longest, time.monotonic() - since if since else 0.0)


class Controller:
    """``dask supreme controller``, as a process."""

    def __init__(self, url, name, directory):
        self.directory = directory
        options = ["--store", url, "--system", "blue", "--directory", str(directory), "--name", name]
        with directory.with_suffix(".log").open("ab") as log:
            command = [sys.executable, "-m", "dask", "supreme", "controller", *options]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Meddler:
    """Does at random what persons and machines do to a system."""

    def __init__(self, etcd, url, address, place):
        self.etcd, self.url, self.address, self.place = etcd, url, address, place
        self.chance = random.Random(SEED)
        self.controllers, self.directories, self.by_hand, self.done = {}, [], [], []
        self.begin("a")
        self.begin("b")

    def begin(self, name, directory=None):
        if directory is None:
            directory = self.place / f"workers-{len(self.directories)}"
            self.directories.append(directory)
        self.controllers[name] = Controller(self.url, name, directory)

    def meddle(self):
        event = self.chance.choice(
            [
                self.restart,
                self.lose,
                self.pause,
                self.crash,
                self.crash,
                self.hand,
                self.unhand,
                self.member,
                self.outage,
            ]
        )
        self.done.append(event.__name__)
        event()

    def restart(self):
        name = self.chance.choice("ab")
        self.controllers[name].kill()
        self.begin(name, self.controllers[name].directory)

    def lose(self):
        name = self.chance.choice("ab")
        self.controllers[name].kill()
        self.begin(name)

    def pause(self):
        process = self.controllers[self.chance.choice("ab")].process
        process.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0, 5))
        process.send_signal(signal.SIGCONT)

    def crash(self):
        processes = [process for directory in self.directories for process in alive(directory).values()]
        if processes:
            self.chance.choice(processes).kill()

    def hand(self):
        if len(self.by_hand) < 2:
            name = f"small-mine-{len(self.done)}"
            options = [
                "--name",
                name,
                "--nthreads",
                "1",
                "--memory-limit",
                "256MiB",
                "--host",
                "127.0.0.1",
                "--no-dashboard",
            ]
            options += ["--dashboard-address", "127.0.0.1:0", "--local-directory", str(self.place / name)]
            command = [sys.executable, "-m", "dask", "worker", self.address, *options]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.by_hand.append(process)

    def unhand(self):
        if self.by_hand:
            end(self.by_hand.pop(self.chance.randrange(len(self.by_hand))))

    def member(self):
        member = self.chance.choice(self.etcd.members)
        member.kill()
        time.sleep(self.chance.uniform(0, 2))
        member.start()

    def outage(self):
        for member in self.etcd.members:
            member.kill()
        self.crash()
        time.sleep(self.chance.uniform(0, 5))
        self.etcd.start()

    def end(self):
        for controller in self.controllers.values():
            controller.kill()
        for process in self.by_hand:
            end(process)


def end(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def work(number):
    time.sleep(SECONDS)
    return number


@pytest.mark.slow
@pytest.mark.timeout(600 + 20 * EVENTS)
def test_random_faults_never_bring_more_workers_than_the_maximum(start_etcd, tmp_path):
    etcd = start_etcd(3)
    url = etcd.url(str(uuid.uuid4()), timeout="2")

    async def story():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            async with open_store(url) as store:
                await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
                await Documents(store, "blue").publish("policy/default", POLICY, author="ann")
            for plugin in (SupremePlugin(), SchedulerRegistration(url, "blue"), Exchange(url, "blue")):
                await scheduler.register_scheduler_plugin(plugin, idempotent=True)
            meddler = Meddler(etcd, url, scheduler.address, tmp_path)
            watch = Watch(meddler)
            watch.start()
            try:
                async with Client(scheduler.address, asynchronous=True) as client:
                    futures = []
                    for _ in range(EVENTS):
                        many = meddler.chance.randint(0, 12)
                        futures += client.map(work, range(many), pure=False, retries=100)
                        await asyncio.to_thread(meddler.meddle)
                        await asyncio.sleep(meddler.chance.uniform(0, 4))
                    for process in meddler.by_hand:
                        await asyncio.to_thread(end, process)
                    meddler.by_hand.clear()
                    patience = PATIENCE + SECONDS * len(futures)  # what has waited while no worker was there
                    assert len(await asyncio.wait_for(client.gather(futures), patience)) == len(futures)
                    async with asyncio.timeout(PATIENCE):
                        while sum(len(alive(one)) for one in meddler.directories) != 1:  # noqa: ASYNC110  a poll
                            await asyncio.sleep(0.2)
                    assert len(scheduler.workers) == 1
            finally:
                watch.ended.set()
                watch.join()
                meddler.end()
                print(json.dumps({"events": meddler.done, "most": watch.most, "above for": watch.longest}))
            assert watch.most <= MAXIMUM, meddler.done
            # Those of lost directories end unseen by any controller, when they have left the scheduler.
            assert watch.longest < 15.0, meddler.done
            return meddler.directories

    directories = asyncio.run(story())
    for directory in directories:
        with LocalProvisioner(directory, store=url) as provisioner:
            asyncio.run(provisioner.remove(list(asyncio.run(provisioner.workers()))))
    assert not any(alive(directory) for directory in directories)
