"""`SupremeCluster` takes the words of Dask's own clusters: scaled by number, or adapting, with a policy or not."""

import asyncio
import time

import pytest
from distributed import Client

from supreme_dask import SupremeCluster, WorkerGroup
from supreme_dask.errors import DemandError

ONE = {"resources": {"cpu": 1, "memory": "1 MiB"}, "pure": False}
POLICY = {"backlog": {"kind": "demand"}, "rest": {"kind": "idle", "after-seconds": 0.5}}
SMALL = WorkerGroup("small", cpu=1, memory="256 MiB", count=0, maximum=3, startup=0.5)
LARGE = WorkerGroup("large", cpu=2, memory="512 MiB", count=0)


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def slowly(number):
    time.sleep(0.2)
    return number


def joined(cluster):
    return {str(worker.name) for worker in cluster.scheduler.workers.values()}


def test_it_is_scaled_by_number_and_a_policy_decides_no_more():
    with SupremeCluster([SMALL], policy=POLICY, dashboard_address=None) as cluster, Client(cluster) as client:
        assert client.gather(client.map(slowly, range(6), **ONE)) == list(range(6))
        cluster.scale(2)
        until(lambda: len(joined(cluster)) == len(cluster.worker_spec) == 2)
        assert client.gather(client.map(slowly, range(6), **ONE)) == list(range(6))
        cluster.scale(cores=1)
        until(lambda: len(joined(cluster)) == len(cluster.worker_spec) == 1)
        time.sleep(1)  # the policy would have launched for these, and removed all after
        assert client.gather(client.map(slowly, range(6), **ONE)) == list(range(6))
        assert len(joined(cluster)) == 1


def test_of_several_groups_one_is_named():
    with SupremeCluster([SMALL, LARGE], dashboard_address=None) as cluster:
        with pytest.raises(ValueError, match=r"several groups: write scale\(n, group=...\) with one of small, large"):
            cluster.scale(2)
        with pytest.raises(ValueError, match="there is no group 'huge'"):
            cluster.scale(2, group="huge")
        with pytest.raises(ValueError, match="here are small, large: give SupremeCluster a policy"):
            cluster.adapt()
        cluster.scale(1, group="small")
        cluster.scale(memory="600 MiB", group="large")
        until(lambda: joined(cluster) == {"small-0", "large-0", "large-1"})
        cluster.scale(0, group="small")
        cluster.scale(1, group="large")
        until(lambda: len(joined(cluster)) == 1)
        assert joined(cluster) < {"large-0", "large-1"}
        cluster.scale(2, group="large")
        until(lambda: len(joined(cluster)) == 2)
        assert "large-2" in joined(cluster)


@pytest.mark.parametrize("policy", [None, POLICY])
def test_it_adapts_between_minimum_and_maximum(policy):
    with SupremeCluster([SMALL], policy=policy, dashboard_address=None) as cluster, Client(cluster) as client:
        cluster.adapt(minimum=1, maximum=2, startup=0.5, policy=POLICY)
        assert client.gather(client.map(slowly, range(20), **ONE)) == list(range(20))
        assert 1 <= len(joined(cluster)) <= 2
        until(lambda: len(joined(cluster)) == 1)


def test_its_workers_are_told_by_number_as_for_a_local_cluster():
    with SupremeCluster(n_workers=2, threads_per_worker=1, memory_limit="256 MiB", dashboard_address=None) as cluster:
        assert cluster.groups == [WorkerGroup("worker", cpu=1, memory="256 MiB", count=2)]
        until(lambda: len(joined(cluster)) == 2)
        assert {worker.nthreads for worker in cluster.scheduler.workers.values()} == {1}


def test_scaling_may_be_awaited():
    async def story():
        async with SupremeCluster([SMALL], asynchronous=True, dashboard_address=None) as cluster:
            await cluster.scale(1)
            while len(cluster.scheduler.workers) < 1:  # noqa: ASYNC110  a cluster tells of no change
                await asyncio.sleep(0.05)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("error", "sentence", "words"),
    [
        (TypeError, "no parameter 'processes': each worker is a process", {"processes": False}),
        (TypeError, "no parameter 'n_worker' (did you mean 'n_workers'?)", {"n_worker": 2}),
        (TypeError, "no parameter 'scheduler_port': write port=", {"scheduler_port": 8786}),
        (TypeError, "no parameter 'colour'", {"colour": "red"}),
        (TypeError, "n_workers is for a cluster without groups", {"groups": [SMALL], "n_workers": 2}),
        (DemandError, "n_workers", {"n_workers": "two"}),
        (DemandError, "memory", {"memory_limit": "much"}),
        (DemandError, "cpu", {"threads_per_worker": 0}),
        (DemandError, "two groups have this name", {"groups": [SMALL, SMALL]}),
    ],
)
def test_other_words_are_refused_with_what_to_write(error, sentence, words):
    with pytest.raises(error) as raised:
        SupremeCluster(**words)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
