"""Systems move between shards whole, whatever happens to the mover, and nobody writes where they were."""

import asyncio
import json
import random
import uuid
from contextlib import aclosing, asynccontextmanager, suppress

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.cli.store import store as command
from supreme_dask.core.sharding import ranked
from supreme_dask.errors import (
    CompactedError,
    LeadershipLostError,
    LeaseLostError,
    LimitError,
    MovedError,
    MoveError,
    StoreAddressError,
    StoreFormatError,
    StoreUnavailableError,
)
from supreme_dask.stores import Committed, ModRevisionIs, Put, open_store
from supreme_dask.stores.follow import follow
from supreme_dask.stores.leader import Election
from supreme_dask.stores.registry import Node, Registration, Registry, systems
from supreme_dask.stores.sharded import ShardedStore, Shards
from supreme_dask.stores.sharded.moving import astray, move

ROOM = "systems/blue/"
names = st.text("abcdefgh-0123", min_size=1, max_size=12)


@given(systems=st.sets(names, max_size=30), shards=st.sets(names, min_size=1, max_size=6), new=names)
def test_a_new_shard_takes_its_share_and_moves_nothing_between_others(systems, shards, new):
    for system in systems:
        before, after = ranked(system, shards), ranked(system, shards | {new})
        assert tuple(shard for shard in after if shard != new or new in shards) == before


def test_shares_are_even_and_placement_never_changes():
    homes = [ranked(f"system-{number}", ["east", "north", "west"])[0] for number in range(3000)]
    assert all(900 < homes.count(shard) < 1100 for shard in ("east", "north", "west"))
    assert [ranked(name, ["east", "west"])[0] for name in ("blue", "amber")] == ["east", "west"]


@pytest.fixture(scope="module")
def one_member(start_etcd):
    return start_etcd()


@pytest.fixture
def files(tmp_path):
    return {name: f"sqlite://{tmp_path}/{name}.db?synchronous=normal" for name in ("east", "west")}


@pytest.fixture(params=["sqlite", "etcd"])
def urls(request, files):
    if request.param == "sqlite":
        return files
    cluster = request.getfixturevalue("one_member")
    return {name: cluster.url(f"{uuid.uuid4()}") for name in ("east", "west")}


def address(urls):
    return "sharded:" + ";".join(f"{name}={url}" for name, url in urls.items())


@asynccontextmanager
async def shards_of(urls):
    shards = Shards(urls)
    try:
        yield shards
    finally:
        await shards.close()


async def contents(url):
    """Return what a shard holds of the system."""
    async with open_store(url) as store:
        return {kv.key: kv.value for kv in (await store.list(ROOM)).items}


# -------------------------------------------------------------------------------------------- moving
class KilledError(Exception):
    """The mover's process is gone."""


class Mortal(Shards):
    """Shards whose mover dies when it has asked for a shard so many times."""

    def __init__(self, urls, life):
        super().__init__(urls)
        self.life = life

    async def store(self, shard):
        self.life -= 1
        if self.life < 0:
            raise KilledError
        return await super().store(shard)


def test_a_mover_that_dies_at_any_step_is_replaced_by_another(files):
    async def story():
        wanted = {f"{ROOM}{number:03}": bytes([number % 256]) * 9000 for number in range(130)}
        async with open_store(address(files), "blue") as store:
            for key, value in wanted.items():
                await store.put(key, value)
        deaths, place = 0, "east"
        for life in range(100):
            to = "west" if place == "east" else "east"
            mortal = Mortal(files, life)
            try:
                await move(mortal, "blue", to)
            except KilledError:
                deaths += 1
            finally:
                await mortal.close()
            async with shards_of(files) as shards:
                await move(shards, "blue", to)
            assert await contents(files[to]) == wanted
            assert await contents(files[place]) == {}
            async with open_store(address(files), "blue") as store:
                assert {kv.key: kv.value for kv in (await store.list(ROOM)).items} == wanted
            place = to
            if mortal.life >= 0:
                return deaths
        return pytest.fail("the move has no end")

    assert asyncio.run(story()) > 10


def test_a_move_can_be_given_up(files):
    async def story():
        async with open_store(address(files), "blue") as store:
            await store.put(ROOM + "a", b"1")
        mortal = Mortal(files, 8)
        with pytest.raises(KilledError):
            await move(mortal, "blue", "west")
        await mortal.close()
        async with shards_of(files) as shards:
            assert (await shards.locate("blue")).marker.state == "leaving"
            assert not await move(shards, "blue", "east")
        async with open_store(address(files), "blue") as store:
            assert (await store.get(ROOM + "a")).value == b"1"
            await store.put(ROOM + "a", b"2")
        assert await contents(files["east"]) == {ROOM + "a": b"2"}

    asyncio.run(story())


def test_while_it_moves_a_system_is_not_there_and_the_error_says_what_to_do(files):
    async def story():
        async with ShardedStore(Shards(files, patience=0.2), "blue") as store:
            await store.put(ROOM + "a", b"1")
            mortal = Mortal(files, 8)
            with pytest.raises(KilledError):
                await move(mortal, "blue", "west")
            await mortal.close()
            with pytest.raises(StoreUnavailableError, match="dask supreme store move blue --to west"):
                await store.put(ROOM + "a", b"2")

    asyncio.run(story())


async def increment(store, times):
    """Compare and swap until it has counted that often."""
    for _ in range(times):
        counted = False
        while not counted:
            kv = await store.get(ROOM + "count")
            number, revision = (int(kv.value), kv.mod_revision) if kv else (0, 0)
            put = Put(ROOM + "count", b"%d" % (number + 1))
            counted = isinstance(await store.transact([ModRevisionIs(ROOM + "count", revision)], [put]), Committed)


async def counts(store, enough):
    """Return revisions and counts as a follower sees them."""
    seen = []
    async with aclosing(follow(store, ROOM)) as changes:
        while not seen or seen[-1][1] < enough:
            change = await anext(changes)
            seen += [(change.revision, int(event.kv.value)) for event in change.events if event.kv]
    return seen


async def wander(urls, done):
    """Move the system to and fro, dying now and then; return how often it moved."""
    moves, chance = 0, random.Random(7)
    while not done.is_set():
        mortal = Mortal(urls, chance.randrange(40))
        with suppress(KilledError, MoveError):
            moves += await move(mortal, "blue", chance.choice(["east", "west"]), running=True)
        await mortal.close()
    async with shards_of(urls) as shards:
        return moves + await move(shards, "blue", "east", running=True)  # the last one may have died


def test_increments_made_while_the_system_moves_to_and_fro_all_count(urls):
    """Writers learn of each move by being refused, and a follower follows."""

    async def story():
        done = asyncio.Event()
        async with (
            asyncio.timeout(120),
            open_store(address(urls), "blue") as one,
            open_store(address(urls), "blue") as other,
            open_store(address(urls), "blue") as third,
            asyncio.TaskGroup() as group,
        ):
            watching = group.create_task(counts(third, 120))
            wandering = group.create_task(wander(urls, done))
            await asyncio.gather(increment(one, 60), increment(other, 60))
            seen = await watching
            done.set()
            return await wandering, int((await one.get(ROOM + "count")).value), seen

    moves, count, seen = asyncio.run(story())
    assert moves >= 3
    assert count == 120
    assert seen == sorted(set(seen)), "revisions and counts ascend over all moves, each once"


def test_a_watch_ends_with_the_move_and_is_not_told_that_the_keys_were_deleted(files):
    async def story(store, shards):
        begin = await store.put(ROOM + "a", b"1")
        watch = store.watch(ROOM, after=begin)
        empty = store.watch(ROOM + "nothing/", after=begin)
        waiting = asyncio.gather(anext(watch), anext(empty), return_exceptions=True)
        await asyncio.sleep(0)
        await move(shards, "blue", "west")
        ends = await waiting
        assert [type(end) for end in ends] == [MovedError, MovedError], ends
        with pytest.raises(CompactedError):
            await anext(store.watch(ROOM, after=begin))
        listing = await store.list(ROOM)
        assert listing.revision > begin

    async def told():
        async with asyncio.timeout(30), open_store(address(files), "blue") as store, shards_of(files) as shards:
            await story(store, shards)

    asyncio.run(told())


def test_of_two_movers_one_wins_and_the_other_is_told(files):
    async def attempt(to):
        async with shards_of(files) as shards:
            try:
                return await move(shards, "blue", to)
            except MoveError as error:
                return str(error)

    async def story():
        async with open_store(address(files), "blue") as store:
            for number in range(20):
                await store.put(f"{ROOM}{number}", b"")
        ends = []
        for to in ("west", "east") * 5:
            ends += await asyncio.gather(attempt(to), attempt(to))
            async with shards_of(files) as shards:
                await move(shards, "blue", to)
            assert len(await contents(files[to])) == 20
        return ends

    ends = asyncio.run(story())
    assert all(end in (True, False) or "somebody else" in end for end in ends), ends
    assert ends.count(True) >= 5


# ------------------------------------------------------------------------------ leases and leaders
def test_a_system_that_runs_is_not_moved_by_mistake(files):
    async def story():
        async with open_store(address(files), "blue") as store, shards_of(files) as shards:
            lease = await store.grant(60)
            await store.put(ROOM + "session", b"", lease=lease.id)
            with pytest.raises(MoveError, match="it runs"):
                await move(shards, "blue", "west")
            await store.put(ROOM + "session", b"again", lease=lease.id)
            assert await move(shards, "blue", "west", running=True)
            assert await store.get(ROOM + "session") is None
            with pytest.raises(LeaseLostError):
                await store.keep_alive(lease.id)
            with pytest.raises(LeaseLostError):
                await store.put(ROOM + "session", b"", lease=lease.id)

    asyncio.run(story())


def test_who_is_registered_registers_at_the_new_place(files):
    async def story():
        registration = Registration(address(files), "blue", Node("worker", "w1", "tcp://127.0.0.1:1"), ttl=2)
        registration.start()
        async with (
            asyncio.timeout(30),
            open_store(address(files), "blue") as store,
            shards_of(files) as shards,
            aclosing(Registry(store, "blue").follow()) as lists,
        ):
            async for nodes in lists:
                if nodes:
                    break
            await move(shards, "blue", "west", running=True)
            async for nodes in lists:
                if nodes and await contents(files["west"]):
                    break
        await registration.stop()

    asyncio.run(story())


def test_a_leader_of_before_the_move_writes_nothing_and_epochs_go_on(files):
    async def story():
        async with open_store(address(files), "blue") as store, shards_of(files) as shards:
            first = await Election(store, ROOM + "election").campaign(b"first")
            await move(shards, "blue", "west", running=True)
            with pytest.raises(LeadershipLostError):
                await first.put(ROOM + "plan", b"late")
            second = await Election(store, ROOM + "election").campaign(b"second")
            assert second.epoch == first.epoch + 1
            await second.put(ROOM + "plan", b"good")
            await second.resign()
            await first.resign()

    asyncio.run(story())


# -------------------------------------------------------------------------------------- addresses
def test_adding_a_shard_moves_its_share_by_a_command(files, tmp_path):
    many = [f"system-{number}" for number in range(12)]

    async def fill():
        for system in many:
            async with open_store(address(files), system) as store:
                await store.put(f"systems/{system}/nodes/scheduler/s", b"{}")

    async def look(urls):
        async with open_store(address(urls), many[0]) as store, shards_of(urls) as shards:
            return await systems(store), await astray(shards)

    asyncio.run(fill())
    larger = {**files, "north": f"sqlite://{tmp_path}/north.db"}
    share = {system for system in many if ranked(system, larger)[0] == "north"}
    assert asyncio.run(look(larger))[0] == sorted(many), "found before they have moved"

    planned = CliRunner().invoke(command, ["rebalance", "--dry-run", "--store", address(larger)])
    assert f"{len(share)} to move" in planned.output
    done = CliRunner().invoke(command, ["rebalance", "--store", address(larger)])
    assert f"{len(share)} moved" in done.output, done.output
    assert {line.split(":")[0] for line in done.output.splitlines() if "->" in line} == share
    assert asyncio.run(look(larger)) == (sorted(many), ())
    again = CliRunner().invoke(command, ["rebalance", "--store", address(larger)])
    assert "0 moved" in again.output


def test_an_address_of_before_a_shard_was_added_makes_nothing_new(files, tmp_path):
    larger = {**files, "north": f"sqlite://{tmp_path}/north.db"}

    async def story():
        async with open_store(address(files), "old") as store:
            await store.put("systems/old/a", b"")
        with pytest.raises(StoreAddressError, match="dask supreme store rebalance"):
            async with open_store(address(larger), "new"):
                pass
        async with shards_of(larger) as shards:
            await shards.enroll()
            await move(shards, "old", "north")
        with pytest.raises(StoreAddressError, match="dask supreme store rebalance"):
            async with open_store(address(files), "new"):
                pass
        with pytest.raises(StoreAddressError, match="names no shard 'north'"):
            async with open_store(address(files), "old"):
                pass
        with pytest.raises(StoreAddressError, match="leaves out north"):
            async with shards_of(files) as shards:
                await shards.enroll()

    asyncio.run(story())


def test_shards_that_were_confused_are_noticed(files):
    async def story():
        async with open_store(address(files), "blue"):
            pass
        crossed = {"east": files["west"], "west": files["east"]}
        with pytest.raises(StoreFormatError, match="this is shard 'west', and the address calls it 'east'"):
            async with open_store(address(crossed), "blue"):
                pass

    asyncio.run(story())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sharded:", "does not name a shard"),
        ("sharded:east", "does not name a shard"),
        ("sharded:a b=memory://", "does not name a shard"),
        ("sharded:east=memory://a;east=memory://b", "a name is there twice"),
        ("sharded:east=nowhere", "not a URL"),
    ],
)
def test_an_address_that_names_no_shards_says_why(url, says):
    with pytest.raises(StoreAddressError, match=says):
        open_store(url, "blue")


def test_of_several_shards_one_must_say_which_system(files):
    with pytest.raises(StoreAddressError, match="say of which system"):
        open_store(address(files))


def test_passwords_of_shards_are_not_shown():
    store = open_store("sharded:east=etcd://me:secret@127.0.0.1:1/x;west=etcd://127.0.0.1:2", "blue")
    assert store.address == "sharded:east=etcd://me@127.0.0.1:1/x;west=etcd://127.0.0.1:2"


def test_keys_of_other_systems_are_refused(files):
    async def story():
        async with open_store(address(files), "blue") as store:
            for key in ("systems/green/a", "homes/blue", "systems/blue"):
                with pytest.raises(LimitError, match="begins with 'systems/blue/'"):
                    await store.put(key, json.dumps({}).encode())
            with pytest.raises(LimitError):
                await store.transact([], [Put(ROOM + "a", b""), Put("systems/green/a", b"")])

    asyncio.run(story())
