"""The same with workers that are processes of their own."""

import os
import random
import signal
import time

import dask
import pytest
from distributed import Client

from supreme_dask import SupremeCluster, WorkerGroup
from tests.scheduler.counting import peaks, run

MiB = 2**20
GROUPS = [
    WorkerGroup("small", cpu=1, memory="512 MiB", resources={"MEM": 1}),
    WorkerGroup("middle", cpu=2, memory="768 MiB", resources={"MEM": 2}),
    WorkerGroup("large", cpu=2, memory="1 GiB", resources={"MEM": 4}),
]


@pytest.fixture(scope="module")
def client():
    with SupremeCluster(GROUPS, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


def test_no_process_runs_more_at_once_than_it_has(client):
    chance = random.Random(2)
    futures = []
    for number in range(300):
        demand = {"MEM": chance.choice([0.25, 0.5, 1, 2, 3]), "cpu": chance.choice([0.5, 1, 2]), "memory": 10 * MiB}
        futures.append(client.submit(run, number, 0.01, demand, resources=demand, pure=False))
    highest = peaks(client.gather(futures))
    for address, info in client.scheduler_info(n_workers=-1)["workers"].items():
        for name in ("MEM", "cpu", "memory"):
            assert highest.get((address, name), 0) <= info["resources"][name]


def test_tasks_of_a_killed_process_are_done_again_within_what_there_is(client):
    demand = {"MEM": 1, "memory": 10 * MiB}
    futures = client.map(run, range(60), seconds=0.05, amounts=demand, resources=demand, pure=False)
    victim = futures[0].result().worker
    pids = client.run(os.getpid)
    os.kill(pids[victim], signal.SIGKILL)
    runs = client.gather(futures)
    assert [each.number for each in runs] == list(range(60))
    assert all(highest <= 4 for (_, name), highest in peaks(runs).items() if name == "MEM")
    deadline = time.monotonic() + 30
    while len(client.scheduler_info(n_workers=-1)["workers"]) < 3:
        assert time.monotonic() < deadline, "the nanny did not bring the worker back"
        time.sleep(0.05)


def test_a_worker_that_is_down_when_stock_dask_looks_comes_back_all_the_same():
    """Stock Dask looks once, after this time, and then closes its nanny."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "50 ms"}),
        SupremeCluster(GROUPS[:1], dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        before = client.run(os.getpid)
        os.kill(next(iter(before.values())), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while not (after := client.run(os.getpid, on_error="ignore")) or after == before:
            assert time.monotonic() < deadline, "the nanny did not bring the worker back"
            time.sleep(0.05)


def test_memory_of_tasks_is_measured_in_their_processes(client):
    client.submit(bytearray, 50 * MiB, key="hold-0").result()

    def learned(dask_scheduler):
        profile = dask_scheduler.plugins["supreme"].admission.kinds["hold"].profile
        return profile.memory()

    assert client.run_on_scheduler(learned) > 45 * MiB


def test_without_a_dashboard_its_port_is_left_alone(client):
    services = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.http_server.port)
    assert services != 8787


def test_nothing_listens_beyond_this_machine_unless_asked(client):
    def addresses(dask_scheduler):
        sockets = [*dask_scheduler.http_server._sockets.values()]
        assert sockets
        return {each.getsockname()[0] for each in sockets} | {dask_scheduler.ip}

    assert client.run_on_scheduler(addresses) <= {"127.0.0.1", "::1"}
