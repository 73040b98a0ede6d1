"""Real workers that are frozen, and others that only seem to be."""

import asyncio
import ctypes
import os
import signal
import time

import pytest

from tests.resilience.links import linked, work
from tests.scheduler.clusters import plugin, until

SOON = {"supreme.silence": "2s", "distributed.scheduler.allowed-failures": 0}
SQUARES = [number * number for number in range(20)]


def hold_everything(number, directory, seconds):
    """Hold Python's lock, so that nothing else runs in this process: no heartbeat, no answer."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return work(number, directory, 0)


async def freeze_the_worker(cluster, worker, client):
    os.kill((await client.run(os.getpid))[cluster.address(worker)], signal.SIGSTOP)


async def freeze_the_host(cluster, worker, client):
    worker.signal(signal.SIGSTOP)


async def cut_the_link(cluster, worker, client):
    worker.link.cut()


def start(cluster, client, function=work, seconds=0.2, **options):
    return client.map(function, range(20), directory=str(cluster.directory), seconds=seconds, pure=False, **options)


@linked(SOON)
async def test_a_worker_that_is_stopped_is_replaced_by_its_nanny(cluster):
    a, _ = await cluster.workers("a", "b")
    client = (await cluster.client()).client
    pids = await client.run(os.getpid)
    futures = start(cluster, client)
    await until(lambda: cluster.running(a))
    os.kill(pids[cluster.address(a)], signal.SIGSTOP)
    await until(lambda: cluster.names() == {"b"})
    assert await client.gather(futures) == SQUARES
    await until(lambda: cluster.names() == {"a", "b"}, seconds=60)


@pytest.mark.slow
@linked(SOON)
async def test_a_host_that_is_frozen_is_given_up_and_makes_no_trouble_when_it_is_back(cluster):
    a, _ = await cluster.workers("a", "b")
    client = (await cluster.client()).client
    futures = start(cluster, client)
    await until(lambda: cluster.running(a))
    a.signal(signal.SIGSTOP)
    await until(lambda: cluster.names() == {"b"})
    a.signal(signal.SIGCONT)
    assert await client.gather(futures) == SQUARES
    await a.process.wait()  # Dask lets worker and nanny end; whoever started them may start them again


@linked(SOON)
async def test_tasks_that_silence_their_workers_are_left_alone(cluster):
    """One worker has a nanny that can tell, and one has not."""
    a, b = await cluster.worker("a"), await cluster.worker("b", "--no-nanny")
    client = (await cluster.client()).client
    before = [cluster.address(a), cluster.address(b)]
    arguments = {"directory": str(cluster.directory), "seconds": 7}
    futures = [client.submit(hold_everything, n, **arguments, workers=[name]) for n, name in enumerate("ab")]
    await until(lambda: plugin(cluster.scheduler)._silence._asked.keys() == set(before))
    assert await client.gather(futures) == [0, 1]
    assert [cluster.address(a), cluster.address(b)] == before
    assert cluster.runs() == {0: 1, 1: 1}


@linked(SOON)
async def test_a_worker_without_a_nanny_that_has_nothing_to_do_and_is_frozen_is_given_up(cluster):
    a = await cluster.worker("a", "--no-nanny")
    a.signal(signal.SIGSTOP)
    await until(lambda: not cluster.names())
    a.signal(signal.SIGCONT)
    await a.process.wait()


@pytest.mark.slow
@linked({**SOON, "supreme.silence": None})
async def test_who_wants_to_wait_for_silent_workers_does(cluster):
    a = await cluster.worker("a", "--no-nanny")
    a.signal(signal.SIGSTOP)
    await asyncio.sleep(4)
    a.signal(signal.SIGCONT)
    client = (await cluster.client()).client
    assert await client.submit(abs, -1) == 1
    assert plugin(cluster.scheduler).active


@pytest.mark.slow
@linked()
async def test_as_it_is_set_a_lost_worker_is_noticed_within_30_seconds(cluster):
    client = (await cluster.client()).client
    for loss in (freeze_the_worker, freeze_the_host, cut_the_link):
        name = loss.__name__
        one = await cluster.worker(name)
        await loss(cluster, one, client)
        begin = time.monotonic()
        await until(lambda name=name: name not in cluster.names(), seconds=30)
        print(f"{name}: noticed after {time.monotonic() - begin:.1f} s")
        one.signal(signal.SIGKILL)
