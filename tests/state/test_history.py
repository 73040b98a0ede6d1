"""The log of decisions, over every store."""

import asyncio
import logging

import pytest

from supreme_dask.errors import LimitError, StoreAddressError, StoreUnavailableError
from supreme_dask.stores import open_store
from supreme_dask.stores.history import Bounds, History, read
from supreme_dask.stores.local_etcd import LocalEtcd


def entry(number, size=0):
    return {"time": number, "what": "scale", "reason": "x" * size}


def test_what_was_recorded_is_read_after_everything_has_stopped(address, on):
    async def story(store):
        for begin in (0, 50):
            history = History(address, "blue", every=0.02)
            history.start()
            for number in range(begin, begin + 50):
                history.record(entry(number))
                await asyncio.sleep(0.001)
            await history.stop(seconds=30)
        assert [one["time"] for one in await read(store, "blue")] == list(range(100))
        assert len((await store.list("systems/blue/decisions/")).items) == 1
        assert await read(store, "green") == ()

    on(address, story)


def test_a_history_is_bounded(address, on):
    async def story(store):
        history = History(address, "blue", every=0.01, bounds=Bounds(batches=3))
        history.start()
        for number in range(60):
            history.record(entry(number, size=4000))
        await history.stop(seconds=30)
        kept = [one["time"] for one in await read(store, "blue")]
        assert kept == list(range(60 - len(kept), 60))
        assert len((await store.list("systems/blue/decisions/")).items) == 3

    on(address, story)


def test_two_writers_lose_nothing(address, on):
    async def story(store):
        histories = [History(address, "blue", every=0.01) for _ in range(2)]
        for history in histories:
            history.start()
        for number in range(40):
            histories[number % 2].record(entry(number))
            await asyncio.sleep(0.005)
        for history in histories:
            await history.stop(seconds=30)
        assert sorted(one["time"] for one in await read(store, "blue")) == list(range(40))

    on(address, story)


def test_a_store_that_is_down_costs_the_oldest_entries_and_a_line(tmp_path, until, caplog):
    caplog.set_level(logging.INFO, "supreme_dask.stores.history")

    async def story():
        with LocalEtcd(tmp_path, arguments=["--unsafe-no-fsync"]) as cluster:
            (member,) = cluster.members
            url = cluster.url(timeout="1")
            history = History(url, "blue", every=0.02, bounds=Bounds(waiting=10))
            history.start()
            history.record(entry(0))

            async def written():
                return history.waiting == 0

            await until(written)
            member.kill()
            for number in range(1, 31):
                history.record(entry(number))
            assert history.waiting == 10

            async def said():
                return "waits for the store" in caplog.text

            await until(said)
            member.start()
            await until(written, 60)
            await history.stop()
            async with open_store(url) as store:
                found = await read(store, "blue")
        assert {one["what"]: one["count"] for one in found if one["what"] == "dropped"} == {"dropped": 20}
        assert [one["time"] for one in found if one["what"] == "scale"] == [0, *range(21, 31)]

    asyncio.run(story())
    assert caplog.text.count("waits for the store") == 1


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(StoreAddressError):
        History("nowhere", "blue")
    history = History("memory://", "blue")
    for bad in ({"what": object()}, {"what": float("nan")}, {"what": "x" * 9000}):
        with pytest.raises(LimitError):
            history.record(bad)
    assert history.waiting == 0


def test_reading_without_the_store_says_so():
    async def story():
        async with open_store("etcd://127.0.0.1:1/?timeout=1") as store:
            await read(store, "blue")

    with pytest.raises(StoreUnavailableError):
        asyncio.run(story())
