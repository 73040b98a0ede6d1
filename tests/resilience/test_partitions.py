"""Links between real processes are cut and healed while they work: nothing hangs, and all results are right."""

import asyncio

import pytest
from distributed import wait
from distributed.client import FutureCancelledError

from tests.resilience.links import linked, work
from tests.scheduler.clusters import until

SQUARES = [number * number for number in range(20)]
SOON = {"supreme.silence": "2s", "distributed.scheduler.allowed-failures": 0}
"""A silent worker is asked soon, and one failure of a worker that is blamed on a task ends the task."""


def start(cluster, client, seconds=0.2):
    return client.map(work, range(20), directory=str(cluster.directory), seconds=seconds, pure=False)


@linked(SOON)
async def test_tasks_of_a_worker_that_is_cut_off_are_run_elsewhere_and_it_comes_back(cluster):
    a, _ = await cluster.workers("a", "b")
    client = (await cluster.client()).client
    futures = start(cluster, client)
    await until(lambda: cluster.running(a))
    a.link.cut()
    await until(lambda: cluster.names() == {"b"})
    assert await client.gather(futures) == SQUARES
    a.link.heal()
    await until(lambda: cluster.names() == {"a", "b"}, seconds=60)
    assert await client.submit(abs, -1, workers=["a"]) == 1


@linked()
async def test_a_short_cut_costs_nothing(cluster):
    a, _ = await cluster.workers("a", "b")
    client = (await cluster.client()).client
    futures = start(cluster, client, seconds=0.3)
    await until(lambda: cluster.running(a))
    address = cluster.address(a)
    a.link.cut()
    await asyncio.sleep(1.5)
    a.link.heal()
    assert await client.gather(futures) == SQUARES
    assert cluster.address(a) == address
    assert set(cluster.runs().values()) == {1}


@pytest.mark.slow
@linked({"distributed.scheduler.allowed-failures": 1})
async def test_a_connection_to_a_worker_that_breaks_costs_the_worker_and_no_result(cluster):
    a, _ = await cluster.workers("a", "b")
    client = (await cluster.client()).client
    futures = start(cluster, client)
    await until(lambda: cluster.running(a))
    a.link.reset()
    await until(lambda: cluster.names() == {"b"})
    assert await client.gather(futures) == SQUARES
    await a.process.wait()


@linked()
async def test_a_client_that_hears_nothing_for_a_while_gets_all_its_results(cluster):
    await cluster.worker("a")
    ours = await cluster.client()
    futures = start(cluster, ours.client, seconds=0.1)
    ours.link.cut()
    await asyncio.sleep(3)
    ours.link.heal()
    assert await ours.client.gather(futures) == SQUARES
    assert set(cluster.runs().values()) == {1}


@linked()
async def test_a_client_whose_connection_breaks_is_told_so_and_goes_on(cluster):
    """Dask's client gives its futures up, and the scheduler what nobody else wants; results outlive it elsewhere."""
    await cluster.worker("a")
    ours, other = await cluster.client(), await cluster.client()
    futures = start(cluster, ours.client, seconds=0.1)
    kept = other.client.map(abs, range(30))
    ours.link.reset()
    with pytest.raises(FutureCancelledError, match="Client lost the connection to the scheduler"):
        await ours.client.gather(futures)
    assert await other.client.gather(kept) == list(range(30))
    await until(lambda: ours.client.status == "running")
    assert await ours.client.submit(abs, -1) == 1
    await wait(start(cluster, ours.client, seconds=0.01))
