"""Faults of members and of the network under traffic: no watch event is lost, repeated or out of order."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from supreme_dask.errors import AmbiguousWriteError, LeaseLostError, StoreError, StoreUnavailableError
from supreme_dask.stores import Put, open_store
from supreme_dask.stores.local_etcd import find_etcd
from supreme_dask.testing import Proxy, collect
from tests.stores.traffic import CLEAN, Traffic, until

ROOT = Path(__file__).parents[2]
AGAIN_AND_AGAIN = pytest.mark.parametrize("again", range(int(os.environ.get("SUPREME_FAULT_RUNS", "1"))))


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


@AGAIN_AND_AGAIN
@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("role", ["watched", "other", "leader"])
def test_a_member_fails_and_comes_back(cluster, matrix, role, fault, again):
    async def story():
        async with watching_a_follower(cluster) as (_, traffic):
            victim = await asyncio.to_thread(choose, cluster, role)
            getattr(victim, fault)()
            await traffic.more(50)
            (victim.start if fault == "kill" else victim.resume)()
            await asyncio.to_thread(cluster.wait)
        return traffic

    traffic = asyncio.run(story())
    matrix.add(f"{fault} {'the leader' if role == 'leader' else f'the {role} follower'}", traffic.found())
    assert traffic.verdict() == CLEAN


@AGAIN_AND_AGAIN
def test_all_members_are_killed_and_started_again(cluster, matrix, again):
    async def story():
        async with watching_a_follower(cluster) as (_, traffic):
            cluster.stop()
            await until(lambda: traffic.errors)
            await asyncio.to_thread(cluster.start)
        return traffic

    traffic = asyncio.run(story())
    matrix.add("all killed and started again", traffic.found())
    assert traffic.verdict() == CLEAN


@AGAIN_AND_AGAIN
def test_without_a_majority_calls_fail_by_name_and_the_watch_waits(cluster, matrix, again):
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
    matrix.add("majority hangs", traffic.found())
    assert traffic.verdict() == CLEAN


@AGAIN_AND_AGAIN
@pytest.mark.parametrize("kind", ["one member cut", "all members cut", "all connections reset"])
def test_the_network_between_client_and_members_fails(cluster, matrix, kind, again):
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
    matrix.add(f"proxy: {kind}", traffic.found())
    assert traffic.verdict() == CLEAN


@AGAIN_AND_AGAIN
def test_a_member_is_cut_off_from_the_others_but_not_from_us(matrix, again):
    """In network namespaces: only there can the links between members be cut alone."""
    enter = ["unshare", "--map-root-user", "--net"]
    if shutil.which("ip") is None or subprocess.run([*enter, "ip", "link"], capture_output=True).returncode:
        pytest.skip("needs ip and the right to make network namespaces: apt-get install iproute2, run as root")
    program = [sys.executable, "-m", "tests.stores.partition_program"]
    done = subprocess.run([*enter, *program], capture_output=True, text=True, cwd=ROOT, timeout=180)
    assert done.returncode == 0, done.stderr
    for role, found in json.loads(done.stdout).items():
        matrix.add(f"namespaces: {role} cut from the others", found)
        assert found["verdict"] == CLEAN
        assert found["written"] >= 90


def test_members_that_the_address_does_not_name_are_found(cluster, matrix):
    async def story():
        only = cluster.members[0]
        async with open_store(f"etcd://{only.host}/faults?discover=true&timeout=6") as store:
            async with Traffic.on(store) as traffic:
                only.kill()
                await traffic.more(50)
            return traffic

    traffic = asyncio.run(story())
    matrix.add("kill the only member of the address", traffic.found())
    assert traffic.verdict() == CLEAN


@pytest.mark.slow
def test_many_faults_in_a_row(cluster, matrix):
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
    matrix.add("24 faults in a row", traffic.found())
    assert traffic.verdict() == CLEAN


def forgets_when_killed():
    """Tell whether this etcd may lose what it has acknowledged when it is killed under load, again and again.

    So do 3.5.0 to 3.5.2, as their makers announced in March 2022; one test in a few then misses an event that the
    member it asks does not have.
    """
    told = subprocess.run([find_etcd(), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"etcd Version: 3\.5\.[012]\b", told) is not None


@AGAIN_AND_AGAIN
def test_an_idle_watch_outlives_compaction_and_the_loss_of_its_member(cluster, matrix, again):
    """Progress notifications carry it past what does not concern it."""

    async def story():
        async with watching_a_follower(cluster) as (store, traffic), traffic.at_rest():
            for number in range(300):
                last = await store.put("elsewhere", b"%d" % number)
            victim = await asyncio.to_thread(cluster.watched)
            # Two notifications, a second apart, come after the last write at the latest.
            await asyncio.sleep(2.5)
            await store.compact(last)
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
        return traffic

    traffic = asyncio.run(story())
    matrix.add("compaction under an idle watch, then its member killed", traffic.found())
    assert traffic.verdict() == CLEAN


@AGAIN_AND_AGAIN
def test_a_lease_is_lost_while_the_leader_dies(cluster, matrix, again):
    """Its keys vanish together, and who had it is told by name."""

    async def story():
        async with watching_a_follower(cluster) as (store, traffic):
            lease = await store.grant(2)
            start = await store.transact((), [Put(f"leased/{number}", b"", lease.id) for number in range(5)])
            leader = await asyncio.to_thread(cluster.leader)
            await asyncio.to_thread(leader.kill)
            (vanished,) = await collect(store, "leased/", after=start.revision, until=bool)
            with pytest.raises(LeaseLostError) as renewed:
                await store.keep_alive(lease.id)
            with pytest.raises(LeaseLostError) as written:
                await store.put("leased/late", b"", lease=lease.id)
            await asyncio.to_thread(leader.start)
        return traffic, vanished, (renewed.value, written.value)

    traffic, vanished, refused = asyncio.run(story())
    matrix.add("lease lost while the leader dies", traffic.found(), *refused)
    assert [event.kv for event in vanished.events] == [None] * 5
    assert traffic.verdict() == CLEAN


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
