"""SupremeOrchestrator on real clusters: with the plugin, without it, and without this package in the client."""

import operator

import pytest
from distributed import Client, Future
from distributed.utils_test import gen_cluster

from supreme_dask import BaseSupremeEngine, SupremeCluster, SupremeOrchestrator, SupremePlugin, WorkerGroup, engine
from supreme_dask.errors import DemandError, EngineError, UnknownExtensionError


class Pair(BaseSupremeEngine):
    def run(self, left, right=0):
        return (left, right)

    def estimate_memory_usage(self, left, right=0):
        return f"{left + right} MiB"


@engine(cpu=1, memory=lambda size: 2**20 * size)
def block(size):
    return size


def annotated(scheduler, future):
    return scheduler.tasks[future.key].annotations


@gen_cluster(client=True, nthreads=[("127.0.0.1", 1, {"resources": {"cpu": 1, "memory": 2**30}})] * 2)
async def test_demands_travel_as_dasks_own_annotation(client, scheduler, *_):
    orchestrator = SupremeOrchestrator(client)
    future = orchestrator.submit(Pair(), 1, right=2)
    assert isinstance(future, Future)
    assert await future == (1, 2)
    assert annotated(scheduler, future) == {"resources": {"memory": 3 * 2**20}}
    assert future.key.startswith("Pair-")


@gen_cluster(client=True)
async def test_plain_functions_and_options_of_the_client_are_accepted(client, scheduler, *workers):
    orchestrator = SupremeOrchestrator(client)
    options = {"workers": [workers[1].address], "priority": 3, "retries": 2}
    future = orchestrator.submit(sorted, [1, 2], reverse=True, key="mine", **options)
    assert await future == [2, 1]
    assert future.key == "mine"
    assert annotated(scheduler, future) == options
    assert "mine" in workers[1].data


@gen_cluster(client=True)
async def test_arguments_may_have_any_name(client, *_):
    future = SupremeOrchestrator(client).submit(dict, work=1, function=2, name=3)
    assert await future == {"work": 1, "function": 2, "name": 3}


@gen_cluster(client=True, nthreads=[("127.0.0.1", 2)] * 2)
async def test_calls_that_need_different_amounts_are_mapped_in_order(client, scheduler, *_):
    await client.register_plugin(SupremePlugin())
    orchestrator = SupremeOrchestrator(client)
    futures = orchestrator.map(block, [1, 2, 1, 3, 2])
    assert await client.gather(futures) == [1, 2, 1, 3, 2]
    demands = [annotated(scheduler, future)["resources"]["memory"] // 2**20 for future in futures]
    assert demands == [1, 2, 1, 3, 2]


@gen_cluster(client=True, nthreads=[("127.0.0.1", 2)])
async def test_map_takes_several_iterables_keywords_and_names(client, *_):
    orchestrator = SupremeOrchestrator(client)
    await client.register_plugin(SupremePlugin())
    named = orchestrator.map(Pair(), [1, 2, 3], [4, 5], key=["x", "y"])
    assert await client.gather(named) == [(1, 4), (2, 5)]
    assert [future.key for future in named] == ["x", "y"]
    assert await client.gather(orchestrator.map(Pair(), [1, 2], right=7)) == [(1, 7), (2, 7)]
    assert await client.gather(orchestrator.map(operator.neg, range(3))) == [0, -1, -2]
    assert orchestrator.map(Pair(), []) == []


@gen_cluster(client=True, nthreads=[("127.0.0.1", 2)])
async def test_what_is_asked_for_at_the_call_counts_more_than_the_engine(client, scheduler, *_):
    await client.register_plugin(SupremePlugin())
    future = SupremeOrchestrator(client).submit(block, 1, resources={"Memory": "5 MiB"})
    assert await future == 1
    assert annotated(scheduler, future)["resources"] == {"cpu": 1, "memory": 5 * 2**20}


@gen_cluster(client=True)
async def test_a_demand_that_cannot_be_read_is_refused_before_anything_is_sent(client, *_):
    orchestrator = SupremeOrchestrator(client)
    for amount in (-1, float("nan"), "much", 1e30, None):
        with pytest.raises(DemandError):
            orchestrator.submit(operator.neg, 1, resources={"memory": amount})
        with pytest.raises(DemandError):
            orchestrator.map(operator.neg, [1], resources={"memory": amount})
    assert not client.futures


@gen_cluster(client=True, nthreads=[("127.0.0.1", 2)])
async def test_an_engine_that_raises_loses_nothing_else(client, *_):
    await client.register_plugin(SupremePlugin())
    orchestrator = SupremeOrchestrator(client)
    before = orchestrator.submit(block, 1)
    with pytest.raises(EngineError, match=r"estimate_memory_usage\('a', 1\)"):
        orchestrator.submit(Pair(), "a", 1)
    with pytest.raises(EngineError):
        orchestrator.map(Pair(), [1, "a"], [1, 1])
    assert await client.gather([before, orchestrator.submit(Pair(), 2)]) == [1, (2, 0)]


@gen_cluster(client=True)
async def test_an_engine_that_is_not_installed_is_named(client, *_):
    with pytest.raises(UnknownExtensionError, match="windmill"):
        SupremeOrchestrator(client).submit("windmill", 1)


@gen_cluster(client=True)
async def test_a_client_that_was_given_stays_open(client, scheduler, *_):
    async with SupremeOrchestrator(client) as orchestrator:
        assert orchestrator.client is client
    assert client.status == "running"
    async with SupremeOrchestrator(scheduler.address, asynchronous=True, set_as_default=False) as orchestrator:
        own = orchestrator.client
        assert await orchestrator.submit(operator.neg, 1) == -1
    assert own.status == "closed"


def test_on_real_processes_with_and_without_this_package_in_the_client():
    groups = [WorkerGroup("w", cpu=1, memory="512 MiB")]
    with SupremeCluster(groups, dashboard_address="127.0.0.1:0") as cluster:
        with SupremeOrchestrator(cluster.scheduler_address) as orchestrator:
            assert orchestrator.submit(engine(sum, memory="1 MiB"), [1, 2]).result(30) == 3
            inputs = orchestrator.map(block, range(3))
            assert orchestrator.submit(engine(sum, memory=lambda futures: len(futures)), inputs).result(30) == 3
        with Client(cluster.scheduler_address) as client:
            assert client.submit(sum, [1, 2], resources={"cpu": 1, "memory": "1 MiB"}).result(30) == 3
