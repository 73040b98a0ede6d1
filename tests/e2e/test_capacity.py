"""In real processes, what runs at once on a worker never needs more than the worker has."""

import random
import time

import pytest
from distributed import Client, get_worker

from supreme_dask import SupremeCluster, WorkerGroup

MIB = 1 << 20
GROUPS = [
    WorkerGroup("small", cpu=2, memory="600 MiB", resources={"licence": 1}),
    WorkerGroup("large", cpu=4, memory="900 MiB", resources={"licence": 2}),
]
DEMANDS = [
    {"memory": 50 * MIB},
    {"memory": 250 * MIB},
    {"cpu": 2, "memory": 100 * MIB},
    {"licence": 1, "memory": 20 * MIB},
    {"cpu": 0.5, "memory": 30 * MIB},
]


def hold(demand):
    began = time.monotonic()
    time.sleep(0.03)
    return get_worker().name, began, time.monotonic(), demand


def most(runs, worker, resource):
    """Return the most that ran at once: ends go before beginnings."""
    changes = [
        change
        for name, began, ended, demand in runs
        if name == worker
        for change in ((began, demand.get(resource, 0)), (ended, -demand.get(resource, 0)))
    ]
    running, highest = 0, 0
    for _, change in sorted(changes):
        running += change
        highest = max(highest, running)
    return highest


@pytest.fixture(scope="module")
def runs():
    demands = DEMANDS * 40
    random.Random(1).shuffle(demands)
    with SupremeCluster(GROUPS, dashboard_address=None) as cluster, Client(cluster) as client:
        client.wait_for_workers(len(cluster.worker_spec))
        futures = [client.submit(hold, demand, pure=False, resources=demand) for demand in demands]
        return client.gather(futures)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize("resource", ["memory", "licence"])
def test_what_runs_at_once_never_exceeds_a_worker(runs, group, resource):
    unit = 1 if resource == "memory" else 1000
    assert 0 < most(runs, f"{group.name}-0", resource) * unit <= group.capacity[resource]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_cores_are_shared_and_never_exceeded(runs, group):
    with_default = [(name, began, ended, {"cpu": 1, **demand}) for name, began, ended, demand in runs]
    assert 1 < most(with_default, f"{group.name}-0", "cpu") * 1000 <= group.capacity["cpu"]
