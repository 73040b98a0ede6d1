"""Workers that are killed for their memory, because they have no wall: real processes, real nannies."""

import os
import signal
import time

import dask
import pytest
from distributed import Client

from supreme_dask import SupremeCluster, WorkerGroup

MiB = 2**20


@pytest.fixture
def client():
    groups = [
        WorkerGroup("small", cpu=2, memory="448 MiB", count=2),
        WorkerGroup("large", cpu=2, memory="896 MiB", count=1),
    ]
    with (
        dask.config.set({"supreme.memory.wall": None}),
        SupremeCluster(groups, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def hold(mebibytes, seconds=0.3):
    """Take memory in steps, as work does: a nanny looks every tenth of a second."""
    held = []
    for _ in range(mebibytes // 16):
        held.append(bytearray(b"x") * (16 * MiB))
        time.sleep(0.02)
    time.sleep(seconds)
    return mebibytes


def calm(number):
    time.sleep(0.1)
    return number


def restarts(client):
    return [event for _, event in client.get_events("worker-restart-memory")]


def test_a_task_that_took_too_much_is_tried_with_more_and_its_neighbours_are_not_blamed(client):
    small = {"memory": 60 * MiB}
    neighbours = client.map(hold, [32] * 12, resources=small, pure=False, key=[f"neighbour-{n}" for n in range(12)])
    liars = client.map(hold, [560, 560], resources=small, pure=False, key=["liar-1", "liar-2"])  # the large holds one
    assert client.gather(liars) == [560, 560]
    assert client.gather(neighbours) == [32] * 12
    assert restarts(client), "nobody was killed: this shows nothing"
    suspicious = client.run_on_scheduler(
        lambda dask_scheduler: [ts.suspicious for ts in dask_scheduler.tasks.values()]
    )
    assert max(suspicious) <= 0


def test_a_task_that_no_worker_can_hold_fails_by_name_and_all_else_completes(client):
    others = client.map(calm, range(40))
    giant = client.submit(hold, 4000, key="giant-1")
    with pytest.raises(MemoryError, match=r"giant-1 needs more memory than any worker has.*the largest worker has"):
        giant.result(120)
    assert client.gather(others) == list(range(40))
    assert 1 <= len(restarts(client)) <= 4


def test_a_worker_that_is_killed_otherwise_counts_as_dask_counts_it(client):
    future = client.submit(hold, 16, 30, key="calm-1", resources={"memory": 40 * MiB})
    while not (running := [address for address, keys in client.processing().items() if keys]):
        time.sleep(0.02)
    os.kill(client.run(os.getpid)[running[0]], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.tasks["calm-1"].suspicious) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not restarts(client)
    future.cancel()
