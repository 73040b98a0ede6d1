"""Calls of several clients on three members, under faults, have one order that explains them all."""

import asyncio
import random
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from itertools import count
from math import inf

import pytest

from supreme_dask.errors import AmbiguousWriteError, StoreUnavailableError
from supreme_dask.stores import Committed, ModRevisionIs, Put, open_store
from supreme_dask.stores.address import parse
from supreme_dask.stores.etcd.messages import RANGE, messages
from supreme_dask.stores.etcd.store import EtcdStore
from supreme_dask.stores.limits import VALUE_BYTES
from supreme_dask.testing import Proxy
from supreme_dask.testing.linearizability import Operation, Read, Swap, Write, linearizable

CLIENTS = 6
KEYS = 4
OPERATIONS_PER_ROUND = 160  # then come fresh keys, which keeps their histories short


@pytest.fixture(scope="module")
def cluster(start_etcd):
    return start_etcd(3)


class History:
    """What clients did and saw, by key."""

    def __init__(self):
        self.by_key = defaultdict(list)
        self.ambiguous = 0
        self._values = count(1)

    def __len__(self):
        return sum(map(len, self.by_key.values()))

    def violations(self):
        return [key for key, operations in self.by_key.items() if not linearizable(operations)]

    async def read(self, store, key):
        called = time.monotonic()
        kv = await store.get(key)
        self._add(key, Read(kv.value if kv else None), called)
        return kv

    async def write(self, store, key):
        value, called = b"%d" % next(self._values), time.monotonic()
        try:
            await store.put(key, value)
        except AmbiguousWriteError:
            self._add(key, Write(value), called, ambiguous=True)
        else:
            self._add(key, Write(value), called)

    async def swap(self, store, key):
        kv = await self.read(store, key)
        old, new, called = kv.value if kv else None, b"%d" % next(self._values), time.monotonic()
        try:
            outcome = await store.transact([ModRevisionIs(key, kv.mod_revision if kv else 0)], [Put(key, new)])
        except AmbiguousWriteError:
            self._add(key, Swap(old, new), called, ambiguous=True)
            return
        if isinstance(outcome, Committed):
            self._add(key, Swap(old, new), called)
        else:
            current = outcome.current.get(key)
            self._add(key, Read(current.value if current else None), called)

    def _add(self, key, action, called, *, ambiguous=False):
        self.ambiguous += ambiguous
        self.by_key[key].append(Operation(action, called, inf if ambiguous else time.monotonic()))


async def work(address, history, total, choice):
    async with open_store(address) as store:
        while len(history) < total:
            key = f"{len(history) // OPERATIONS_PER_ROUND}/{choice.randrange(KEYS)}"
            action = choice.choice([history.read, history.read, history.write, history.swap])
            try:
                await action(store, key)
            except StoreUnavailableError:
                continue  # it was not applied: if it was after all, a read of its value gives it away


async def trouble(cluster, choice, history, total):
    """Kill or pause one member after the other, until there is enough history."""
    while len(history) < total:
        member, fault = choice.choice(cluster.members), choice.choice(["kill", "pause"])
        getattr(member, fault)()
        await progress(history, total)
        (member.start if fault == "kill" else member.resume)()
        await asyncio.to_thread(cluster.wait)
        await progress(history, total)


async def progress(history, total):
    goal = min(len(history) + 300, total)
    while len(history) < goal:  # noqa: ASYNC110  many tasks add to it
        await asyncio.sleep(0.01)


def run(cluster, total, seed):
    history, choice = History(), random.Random(seed)

    async def story():
        # Long enough for an election, so that clients rarely give up.
        address = cluster.url(f"linear-{seed}", timeout="6")
        workers = (work(address, history, total, random.Random(seed + n)) for n in range(CLIENTS))
        await asyncio.gather(trouble(cluster, choice, history, total), *workers)

    asyncio.run(story())
    print(f"{len(history)} operations, {history.ambiguous} ambiguous, {len(history.by_key)} keys")
    return history


def test_calls_under_faults_are_linearizable(cluster):
    assert run(cluster, 2_000, seed=1).violations() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_calls_under_many_faults_are_linearizable(cluster):
    assert run(cluster, 20_000, seed=2).violations() == []


# ------------------------------------------------------------------- controls: the check finds mistakes
class CarelessStore(EtcdStore):
    """Reads what the member has, without asking whether that is the newest."""

    async def _get(self, key, at):
        request = messages.RangeRequest(key=self._full(key), revision=at or 0, serializable=True)
        answer = await self._call(RANGE, request)
        return self._key_value(answer.kvs[0]) if answer.kvs else None


def test_control_reads_of_one_member_alone_are_caught(cluster):
    history = History()
    leader = cluster.leader()
    behind = next(member for member in cluster.members if member is not leader)
    others = [member for member in cluster.members if member is not behind]

    async def story():
        hosts = ",".join(member.host for member in others)
        async with (
            open_store(f"etcd://{hosts}/control") as store,
            CarelessStore(parse(f"etcd://{behind.host}/control")) as careless,
        ):
            await history.write(store, "a")
            behind.pause()
            # More than the connections between members can hold, so that it has to catch up first.
            await asyncio.gather(*(store.put("filler", bytes(VALUE_BYTES)) for _ in range(100)))
            await history.write(store, "a")
            for member in others:
                member.pause()
            behind.resume()
            await serializable_read(history, careless)

    try:
        asyncio.run(story())
    finally:
        for member in cluster.members:
            member.resume()
        cluster.wait()
    assert history.violations() == ["a"]


async def serializable_read(history, careless):
    """Read as soon as the member answers; while it knows no leader, it does not."""
    async with asyncio.timeout(30):
        while True:
            try:
                await history.read(careless, "a")
            except StoreUnavailableError:
                continue
            return


def test_control_a_swap_that_is_blindly_repeated_is_caught(cluster):
    """The first one was applied, its answer was lost; the second says that nothing was written."""
    history = History()

    async def story():
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(Proxy(cluster.members[0].host))
            store = await stack.enter_async_context(open_store(f"etcd://{proxy.host}/blind?timeout=1"))
            direct = await stack.enter_async_context(open_store(cluster.url("blind")))
            await history.write(store, "a")
            kv = await history.read(store, "a")
            swap = [ModRevisionIs("a", kv.mod_revision)], [Put("a", b"mine")]
            proxy.cut(answers_only=True)
            with pytest.raises(AmbiguousWriteError):
                await store.transact(*swap)
            proxy.heal()
            assert not isinstance(await direct.transact(*swap), Committed)  # "so it was not applied"
            await history.read(direct, "a")

    asyncio.run(story())
    assert history.violations() == ["a"]
