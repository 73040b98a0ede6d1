"""Faults of members and of the network under traffic: no watch event is lost, repeated or out of order."""

import asyncio
import re
import subprocess
from collections import Counter
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from itertools import count, pairwise

import pytest

from supreme_dask.errors import AmbiguousWriteError, StoreError, StoreUnavailableError
from supreme_dask.stores import open_store
from supreme_dask.stores.local_etcd import find_etcd
from supreme_dask.testing import Proxy

LAST = "traffic/last"
PATIENCE = 40.0


@pytest.fixture(scope="module")
def cluster(start_etcd):
    return start_etcd(3, "--experimental-watch-progress-notify-interval=1s")


@pytest.fixture(autouse=True)
def healed(cluster):
    """Leave all members running, whatever a test did to them."""
    yield
    for member in cluster.members:
        member.resume()
        if not member.running():
            member.start()
    cluster.wait()


class Traffic:
    """Puts of different values, one after the other, and a watch over them."""

    def __init__(self, store):
        self.store = store
        self.acknowledged = []
        self.doubtful = set()
        self.errors = Counter()
        self.seen = []
        self.longest_outage = 0.0
        self._stopping = False

    @classmethod
    @asynccontextmanager
    async def on(cls, store):
        traffic = cls(store)
        start = (await store.list("")).revision
        tasks = [asyncio.create_task(traffic._watch(start)), asyncio.create_task(traffic._write())]
        try:
            await traffic.more(20)
            yield traffic
            await traffic.more(20)
            traffic._stopping = True
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def more(self, number):
        """Wait until so many more values are written, and the watch has seen one of them."""
        before = len(self.acknowledged)
        await until(lambda: len(self.acknowledged) >= before + number)
        await until(lambda: self.seen and self.seen[-1][1] >= self.acknowledged[before])

    async def _write(self):
        loop, worked = asyncio.get_running_loop(), None
        for value in count(1):
            last = self._stopping
            try:
                await self.store.put(LAST if last else f"traffic/{value % 20}", b"%d" % value)
            except AmbiguousWriteError as error:
                self.doubtful.add(value)
                self.errors[type(error).__name__] += 1
            except StoreUnavailableError as error:
                self.errors[type(error).__name__] += 1
            else:
                self.acknowledged.append(value)
                self.longest_outage = max(self.longest_outage, loop.time() - (worked or loop.time()))
                worked = loop.time()
                if last:
                    return
            await asyncio.sleep(0.005)

    async def _watch(self, after):
        async with aclosing(self.store.watch("traffic/", after=after)) as watch:
            async for changes in watch:
                self.seen += [(changes.revision, int(event.kv.value)) for event in changes.events]
                if any(event.key == LAST for event in changes.events):
                    return

    def verdict(self):
        """Return what the watch got wrong, by kind."""
        values = [value for _, value in self.seen]
        certain = [value for value in values if value not in self.doubtful]
        return {
            "lost": sorted(set(self.acknowledged) - set(values)),
            "repeated": [value for value, count in Counter(values).items() if count > 1],
            "out of order": [pair for pair in pairwise(self.seen) if pair[0][0] >= pair[1][0]]
            + [pair for pair in pairwise(certain) if pair[0] >= pair[1]],
            "invented": sorted(set(values) - set(self.acknowledged) - self.doubtful),
        }

    def report(self, fault):
        print(
            f"| {fault} | {len(self.acknowledged)} | {len(self.seen)} | "
            + " | ".join(str(len(wrong)) for wrong in self.verdict().values())
            + f" | {self.longest_outage:.2f} | {dict(self.errors)} |"
        )


CLEAN = {"lost": [], "repeated": [], "out of order": [], "invented": []}


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  what is waited for happens in other processes
            await asyncio.sleep(0.01)


@asynccontextmanager
async def watching_a_follower(cluster):
    """Open a store whose watch is on a member that does not lead, with traffic on it."""
    leader = await asyncio.to_thread(cluster.leader)
    hosts = ",".join(member.host for member in cluster.members if member is not leader)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(f"etcd://{hosts},{leader.host}/faults?timeout=3"))
        # It begins with a random member: ask until it is a follower.
        while store.member == leader.host:
            await stack.aclose()
            store = await stack.enter_async_context(open_store(f"etcd://{hosts},{leader.host}/faults?timeout=3"))
        yield store, await stack.enter_async_context(Traffic.on(store))


def choose(cluster, role):
    """Return the member that the watch is on, the leader, or the one that is neither."""
    watched, leader = cluster.watched(), cluster.leader()
    assert watched is not leader
    other = next(member for member in cluster.members if member not in (watched, leader))
    return {"watched": watched, "leader": leader, "other": other}[role]


@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("role", ["watched", "other", "leader"])
def test_a_member_fails_and_comes_back(cluster, role, fault):
    async def story():
        async with watching_a_follower(cluster) as (_, traffic):
            victim = await asyncio.to_thread(choose, cluster, role)
            getattr(victim, fault)()
            await traffic.more(50)
            (victim.start if fault == "kill" else victim.resume)()
            await asyncio.to_thread(cluster.wait)
        return traffic

    traffic = asyncio.run(story())
    traffic.report(f"{fault} {role}")
    assert traffic.verdict() == CLEAN


def test_all_members_are_killed_and_started_again(cluster):
    async def story():
        async with watching_a_follower(cluster) as (_, traffic):
            cluster.stop()
            await until(lambda: traffic.errors)
            await asyncio.to_thread(cluster.start)
        return traffic

    traffic = asyncio.run(story())
    traffic.report("restart of all")
    assert traffic.verdict() == CLEAN


def test_without_a_majority_calls_fail_by_name_and_the_watch_waits(cluster):
    async def story():
        async with watching_a_follower(cluster) as (store, traffic):
            leader = await asyncio.to_thread(choose, cluster, "leader")
            other = await asyncio.to_thread(choose, cluster, "other")
            for member in (leader, other):
                member.pause()
            await until(lambda: traffic.errors)
            with pytest.raises(StoreUnavailableError):
                await store.get("traffic/1")
            for member in (leader, other):
                member.resume()
            await asyncio.to_thread(cluster.wait)
        return traffic

    traffic = asyncio.run(story())
    traffic.report("majority lost")
    assert traffic.verdict() == CLEAN


@pytest.mark.parametrize("kind", ["one member cut", "all members cut", "all connections reset"])
def test_the_network_between_client_and_members_fails(cluster, kind):
    async def story():
        async with AsyncExitStack() as stack:
            proxies = [await stack.enter_async_context(Proxy(member.host)) for member in cluster.members]
            hosts = ",".join(proxy.host for proxy in proxies)
            store = await stack.enter_async_context(open_store(f"etcd://{hosts}/faults?timeout=3"))
            async with Traffic.on(store) as traffic:
                current = next(proxy for proxy in proxies if proxy.host == store.member)
                if kind == "one member cut":
                    current.cut()
                    await traffic.more(50)
                    current.heal()
                elif kind == "all members cut":
                    for proxy in proxies:
                        proxy.cut()
                    with pytest.raises(StoreUnavailableError):
                        await store.get("traffic/1")
                    for proxy in proxies:
                        proxy.heal()
                else:
                    for _ in range(5):
                        for proxy in proxies:
                            proxy.reset()
                        await traffic.more(5)
            return traffic

    traffic = asyncio.run(story())
    traffic.report(kind)
    assert traffic.verdict() == CLEAN


def test_members_that_the_address_does_not_name_are_found(cluster):
    async def story():
        only = cluster.members[0]
        async with open_store(f"etcd://{only.host}/faults?discover=true&timeout=6") as store:
            async with Traffic.on(store) as traffic:
                only.kill()
                await traffic.more(50)
            return traffic

    assert asyncio.run(story()).verdict() == CLEAN


@pytest.mark.slow
def test_many_faults_in_a_row(cluster):
    async def story():
        async with watching_a_follower(cluster) as (_, traffic):
            for number in range(24):
                victim = cluster.members[number % 3]
                gentle = number % 2 or forgets_when_killed()
                (victim.pause if gentle else victim.kill)()
                await traffic.more(30)
                (victim.resume if gentle else victim.start)()
                await asyncio.to_thread(cluster.wait)
        return traffic

    traffic = asyncio.run(story())
    traffic.report("24 in a row")
    assert traffic.verdict() == CLEAN


def forgets_when_killed():
    """Tell whether this etcd may lose what it has acknowledged when it is killed under load, again and again.

    So do 3.5.0 to 3.5.2, as their makers announced in March 2022; one test in a few then misses an event that the
    member it asks does not have.
    """
    told = subprocess.run([find_etcd(), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"etcd Version: 3\.5\.[012]\b", told) is not None


def test_an_idle_watch_outlives_compaction_and_the_loss_of_its_member(cluster):
    """Progress notifications carry it past what does not concern it."""

    async def story():
        start = await store_put(cluster, "idle/a", b"1")
        async with open_store(cluster.url("faults")) as store:
            seen = asyncio.create_task(first_change(store, "idle/", start))
            for number in range(300):
                last = await store.put("elsewhere", b"%d" % number)
            victim = await asyncio.to_thread(cluster.watched)
            # Two notifications, a second apart, come after the last write at the latest.
            await asyncio.sleep(2.5)
            await store.compact(last)
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
            await put_at_least_once(store, "idle/a", b"2")
            changes = await asyncio.wait_for(seen, PATIENCE)
        assert [event.kv.value for event in changes.events] == [b"2"]

    asyncio.run(story())


async def store_put(cluster, key, value):
    async with open_store(cluster.url("faults")) as store:
        return await store.put(key, value)


async def put_at_least_once(store, key, value):
    """Put until it is acknowledged; a member that dies may leave the first one in doubt."""
    while True:
        try:
            return await store.put(key, value)
        except (AmbiguousWriteError, StoreUnavailableError):
            continue


async def first_change(store, prefix, after):
    async with aclosing(store.watch(prefix, after=after)) as watch:
        return await anext(watch)


def test_every_failure_of_the_store_has_a_name(cluster):
    """Whatever happens, callers see errors of ours, and those only."""

    async def story():
        async with open_store(cluster.url("faults", timeout="1")) as store:
            for member in cluster.members:
                member.pause()
            calls = (
                store.get("a"),
                store.list(""),
                store.put("a", b""),
                store.delete("a"),
                store.grant(5),
                store.keep_alive(1),
                store.compact(1),
            )
            return await asyncio.gather(*calls, return_exceptions=True)

    errors = asyncio.run(story())
    assert all(isinstance(error, StoreError) for error in errors), errors
    assert {type(error) for error in errors} == {StoreUnavailableError, AmbiguousWriteError}
