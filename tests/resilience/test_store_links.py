"""The link to the store is cut while tasks run: they go on as if nothing was, and the store is told later."""

import asyncio
import logging
import statistics
import time

import pytest

from supreme_dask.stores import open_store
from supreme_dask.stores.history import read
from supreme_dask.stores.registry import Registry
from supreme_dask.testing import Proxy
from tests.resilience.links import running, work
from tests.scheduler.clusters import until

PROBES = 60


async def probe(client, directory, first):
    """Return the median seconds of a task, from submit to result, one after the other."""
    seconds = []
    for number in range(first, first + PROBES):
        begin = time.perf_counter()
        assert await client.submit(work, number, directory=str(directory), seconds=0.02) == number * number
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


@pytest.mark.slow
def test_a_store_that_is_cut_off_is_missed_by_no_task(start_etcd, tmp_path, caplog):
    etcd = start_etcd()

    def said(words):
        return [
            record for record in caplog.records if words in record.getMessage() and record.levelno >= logging.INFO
        ]

    async def story():
        async with Proxy(etcd.members[0].host) as link:
            url = f"etcd://{link.host}/cut?timeout=2"
            async with running(tmp_path, {"supreme.store": url}) as cluster:
                await cluster.worker("a")
                client = (await cluster.client()).client
                await until(lambda: said("registered as"))
                before = await probe(client, tmp_path, first=0)
                link.cut()
                await cluster.worker("b")  # to be recorded
                during = await probe(client, tmp_path, first=PROBES)
                await until(lambda: said("Not registered for now") and said("History waits"), seconds=60)
                link.heal()
                await until(lambda: said("again"), seconds=60)
                await told(etcd.members[0].host)
        print(f"median of a task: {1000 * before:.0f} ms before the cut, {1000 * during:.0f} ms in it")
        assert during < 5 * before
        assert len(said("Not registered for now")) == len(said("History waits")) == 1
        assert set(cluster.runs().values()) == {1}

    with caplog.at_level(logging.INFO):
        asyncio.run(story())


async def told(host):
    """Wait until the store knows that both workers have joined, and that they and the scheduler are there."""
    async with open_store(f"etcd://{host}/cut") as store:
        for _ in range(300):
            known = {entry["worker"] for entry in await read(store, "default") if entry["what"] == "join"}
            if len(known) == 2 and len(await Registry(store, "default").nodes()) == 3:
                return
            await asyncio.sleep(0.2)
    pytest.fail("the store was not told")
