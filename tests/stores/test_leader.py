"""Elections over every store, and the fence against leaders that were paused."""

import asyncio
import os
import random
import signal
import sys
import uuid
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from supreme_dask.core.leases import LeaseTiming
from supreme_dask.errors import ConfigError, LeadershipLostError
from supreme_dask.stores import Put, open_store
from supreme_dask.stores.leader import Election, Leader
from supreme_dask.testing import collect

PROGRAM = Path(__file__).with_name("leading_program.py")
TTL = 2
FENCING_RUNS = int(os.environ.get("SUPREME_FENCING_RUNS", "2"))
AT_ONCE = 5  # runs, each of which mostly waits for a lease to end


@pytest.fixture(scope="module")
def one_member(start_etcd):
    return start_etcd(1)


@pytest.fixture(params=["sqlite", "etcd"])
def shared_address(request, tmp_path):
    """Return an address that several processes can open, another one each time."""
    if request.param == "sqlite":
        return lambda: f"sqlite://{tmp_path}/{uuid.uuid4()}.db"
    member = request.getfixturevalue("one_member")
    return lambda: member.url(str(uuid.uuid4()))


@pytest.fixture(params=["memory", "sqlite", "etcd"])
def address(request, tmp_path):
    if request.param == "memory":
        return f"memory://{uuid.uuid4()}"
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/store.db"
    return request.getfixturevalue("one_member").url(str(uuid.uuid4()))


def on(address, story):
    async def run():
        async with asyncio.timeout(60), open_store(address) as store:
            await story(store)

    asyncio.run(run())


def test_the_elected_leads_and_others_wait(address):
    async def story(store):
        election = Election(store, "e", ttl=5)
        first = await election.campaign(b"first")
        waiting = asyncio.create_task(election.campaign(b"second"))
        assert await election.leader() == Leader(b"first", 1)
        await first.put("journal", b"1")
        assert not waiting.done()
        await first.resign()
        second = await waiting
        assert (first.holds(), second.holds()) == (False, True)
        assert (first.epoch, second.epoch) == (1, 2)
        await second.resign()

    on(address, story)


def test_of_many_candidates_each_leads_once_in_epochs_that_grow(address):
    epochs = []

    async def serve(store, name):
        async with await Election(store, "e", ttl=5).campaign(name) as leadership:
            epochs.append(leadership.epoch)
            await leadership.put("journal", name)

    async def story(store):
        await asyncio.gather(*(serve(store, b"%d" % number) for number in range(6)))

    on(address, story)
    assert epochs == [1, 2, 3, 4, 5, 6]


def test_a_resigned_leader_writes_no_more(address):
    async def story(store):
        leadership = await Election(store, "e", ttl=5).campaign(b"")
        await leadership.resign()
        with pytest.raises(LeadershipLostError) as caught:
            await leadership.put("journal", b"")
        assert caught.value.epoch == 1
        assert await store.get("journal") is None

    on(address, story)


def test_a_deposed_leader_is_refused_by_the_store_and_stops(address):
    async def story(store):
        leadership = await Election(store, "e", ttl=60).campaign(b"")
        await store.delete(leadership.fence.key)  # as if its lease had ended
        with pytest.raises(LeadershipLostError):
            await leadership.put("journal", b"")
        assert not leadership.holds()
        await asyncio.wait_for(leadership.lost(), 10)
        await leadership.resign()
        assert await store.get("journal") is None

    on(address, story)


def test_a_refused_compare_is_not_a_lost_leadership(address):
    async def story(store):
        async with await Election(store, "e", ttl=5).campaign(b"") as leadership:
            kv = await store.get(leadership.fence.key)
            outcome = await leadership.transact([type(leadership.fence)("none", 7)], [Put("journal", b"")])
            assert outcome.current == {kv.key: kv}
            assert leadership.holds()

    on(address, story)


def test_observers_see_every_leader(address):
    async def story(store):
        election = Election(store, "e", ttl=5)
        async with aclosing(election.observe()) as leaders:
            assert await anext(leaders) is None
            first = await election.campaign(b"a")
            assert await anext(leaders) == Leader(b"a", 1)
            await first.resign()
            assert await anext(leaders) is None
            second = await election.campaign(b"b c")
            assert await anext(leaders) == Leader(b"b c", 2)
            await second.resign()

    on(address, story)


def test_a_leader_whose_lease_was_ended_learns_of_it(address):
    async def story(store):
        leadership = await Election(store, "e", ttl=2).campaign(b"")
        kv = await store.get(leadership.fence.key)
        await store.revoke(kv.lease)
        await asyncio.wait_for(leadership.lost(), 10)
        assert not leadership.holds()

    on(address, story)


def test_a_kept_leadership_outlives_its_time_to_live(address):
    async def story(store):
        async with await Election(store, "e", ttl=2).campaign(b"") as leadership:
            await asyncio.sleep(2.4)
            assert leadership.holds()
            await leadership.put("journal", b"")

    on(address, story)


def test_a_leader_stops_before_its_lease_can_have_ended():
    timing = LeaseTiming(ttl=15, renew=3, retry=6)
    assert timing.stop_at(renewed=100) == 115
    with pytest.raises(ConfigError, match=r"3 \+ 2 \* 6\.1"):
        LeaseTiming(ttl=15, renew=3, retry=6.1)


@pytest.mark.timeout(120 + 10 * FENCING_RUNS)
def test_a_paused_leader_that_wakes_after_its_lease_is_refused(shared_address):
    """By the store's own order, no write of an epoch comes after one of the next."""

    async def story():
        free = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(run(seed, free) for seed in range(FENCING_RUNS)))

    async def run(seed, free):
        choice = random.Random(seed)
        mode = choice.choice(["checked", "fenced"])
        async with free:
            epochs = await paused_and_replaced(shared_address(), mode, choice)
        assert epochs == sorted(epochs), f"two leaders at once in run {seed}, {mode}"
        return set(epochs)

    assert asyncio.run(story()) == [{1, 2}] * FENCING_RUNS


def test_without_a_fence_the_paused_leader_does_harm(shared_address):
    """The control: the check above can fail."""
    epochs = asyncio.run(paused_and_replaced(shared_address(), "blind", random.Random(1)))
    assert epochs != sorted(epochs)


async def paused_and_replaced(address, mode, choice):
    """Run until the process was paused in time: on a busy machine it may lose its lease by itself."""
    for attempt in range(20):
        with suppress(ProcessLookupError):
            return await _pause_and_replace(address, f"run-{attempt}", mode, choice)
    pytest.fail("the machine is too busy for any process to keep its lease")


async def _pause_and_replace(address, name, mode, choice):
    """Pause a leading process, lead and write in its place, let it go on; return the epochs written."""
    async with asyncio.timeout(60), open_store(address) as store:
        start = (await store.list("")).revision
        election = Election(store, name, ttl=TTL)
        program = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, address, name, str(TTL), mode, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert await program.stdout.readline() == b"leads 1\n"
            await collect(store, f"{name}-journal", after=start, until=bool)
            await _pause(program, store, choice)
            async with await election.campaign(b"successor") as leadership:
                revision = await leadership.put(f"{name}-journal", b"%d" % leadership.epoch)
                program.send_signal(signal.SIGCONT)
                if mode == "blind":
                    await collect(store, f"{name}-journal", after=revision, until=bool)
                else:
                    assert await program.stdout.readline() == b"refused\n"
                revision = await leadership.put(f"{name}-journal", b"%d" % leadership.epoch)
        finally:
            with suppress(ProcessLookupError):
                program.kill()
            await program.wait()
        return await _written(store, f"{name}-journal", start, revision)


async def _pause(program, store, choice):
    """Pause a process at a random moment, but not while it holds up all writers of a SQLite file."""
    while True:
        await asyncio.sleep(choice.uniform(0, 0.2))
        program.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(0.5):
                await store.put("probe", b"")
        except TimeoutError:
            program.send_signal(signal.SIGCONT)
        else:
            return


async def _written(store, key, after, until):
    seen = await collect(store, key, after=after, until=lambda seen: seen[-1].revision >= until)
    return [int(event.kv.value) for changes in seen for event in changes.events]
