"""Contract of stores: keys, history, transactions and limits."""

from __future__ import annotations

import asyncio

import pytest

from supreme_dask.errors import CompactedError, FutureRevisionError, LimitError
from supreme_dask.stores import (
    Absent,
    Committed,
    Compare,
    CreateRevisionIs,
    Delete,
    DeletePrefix,
    Exists,
    ModRevisionIs,
    Operation,
    Put,
    Refused,
    Store,
    ValueIs,
)
from supreme_dask.stores.limits import KEY_BYTES, TRANSACTION_PARTS, VALUE_BYTES
from supreme_dask.testing.support import StoreTests, collect, with_store


class KeyContract(StoreTests):
    """What reads and plain writes promise."""

    @with_store
    async def test_a_key_holds_what_was_put_last(self, store: Store) -> None:
        await store.put("a", b"1")
        await store.put("a", b"2")
        kv = await store.get("a")
        assert kv is not None
        assert (kv.key, kv.value, kv.version, kv.lease) == ("a", b"2", 2, 0)

    @with_store
    async def test_a_missing_key_is_none(self, store: Store) -> None:
        assert await store.get("nothing") is None

    @with_store
    async def test_a_deleted_key_is_gone_and_begins_anew(self, store: Store) -> None:
        first = await store.put("a", b"1")
        await store.delete("a")
        assert await store.get("a") is None
        second = await store.put("a", b"2")
        kv = await store.get("a")
        assert kv is not None
        assert (kv.create_revision, kv.mod_revision, kv.version) == (second, second, 1)
        assert second > first

    @with_store
    async def test_revisions_tell_creation_from_change(self, store: Store) -> None:
        created = await store.put("a", b"1")
        changed = await store.put("a", b"2")
        kv = await store.get("a")
        assert kv is not None
        assert (kv.create_revision, kv.mod_revision) == (created, changed)

    @with_store
    async def test_empty_values_and_any_bytes_are_kept(self, store: Store) -> None:
        for value in (b"", b"\0\xff", bytes(range(256))):
            await store.put("a", value)
            kv = await store.get("a")
            assert kv is not None
            assert kv.value == value

    @with_store
    async def test_a_list_has_the_keys_of_its_prefix_in_order(self, store: Store) -> None:
        for key in ("b/2", "b/1", "bb", "a", "b/10", "b/ü", "c", "b/😀"):
            await store.put(key, key.encode())
        listing = await store.list("b/")
        assert [kv.key for kv in listing.items] == ["b/1", "b/10", "b/2", "b/ü", "b/😀"]
        assert [kv.value.decode() for kv in listing.items] == [kv.key for kv in listing.items]

    @with_store
    async def test_the_empty_prefix_lists_everything(self, store: Store) -> None:
        for key in ("x", "a/b"):
            await store.put(key, b"")
        assert [kv.key for kv in (await store.list("")).items] == ["a/b", "x"]

    @with_store
    async def test_a_list_longer_than_a_page_is_whole(self, store: Store) -> None:
        keys = [f"long/{number:05}" for number in range(1200)]
        for first in range(0, len(keys), TRANSACTION_PARTS):
            await store.transact((), [Put(key, bytes(2000)) for key in keys[first : first + TRANSACTION_PARTS]])
        assert [kv.key for kv in (await store.list("long/")).items] == keys

    @with_store
    async def test_other_handles_see_what_was_written(self, store: Store) -> None:
        await store.put("a", b"1")
        async with self.open(store.address) as other:
            seen = await other.get("a")
            await other.put("a", b"2")
        mine = await store.get("a")
        assert seen is not None
        assert mine is not None
        assert (seen.value, mine.value) == (b"1", b"2")

    @with_store
    async def test_a_read_at_a_revision_shows_what_was(self, store: Store) -> None:
        first = await store.put("a/1", b"old")
        second = await store.put("a/1", b"new")
        third = await store.delete("a/1")
        await store.put("a/2", b"later")
        values = [await store.get("a/1", at=revision) for revision in (first - 1, first, second, third)]
        assert [kv.value if kv else None for kv in values] == [None, b"old", b"new", None]
        listing = await store.list("a/", at=second)
        assert listing.revision == second
        assert [(kv.key, kv.value, kv.mod_revision) for kv in listing.items] == [("a/1", b"new", second)]

    @with_store
    async def test_there_is_no_revision_before_the_first(self, store: Store) -> None:
        for at in (0, -1):
            with pytest.raises(LimitError):
                await store.get("a", at=at)
            with pytest.raises(LimitError):
                await store.list("", at=at)

    @with_store
    async def test_the_future_cannot_be_read(self, store: Store) -> None:
        revision = await store.put("a", b"1")
        with pytest.raises(FutureRevisionError):
            await store.get("a", at=revision + 1_000_000)
        with pytest.raises(FutureRevisionError):
            await store.list("", at=revision + 1_000_000)

    @with_store
    async def test_compaction_forgets_only_history(self, store: Store) -> None:
        first = await store.put("a", b"1")
        await store.put("gone", b"1")
        await store.delete("gone")
        last = await store.put("a", b"2")
        await store.put("b", b"1")
        await store.compact(last)
        await store.compact(last - 1)
        with pytest.raises(CompactedError) as caught:
            await store.get("a", at=first)
        assert caught.value.asked == first
        with pytest.raises(CompactedError):
            await store.list("", at=first)
        kept = await store.get("a", at=last)
        assert kept is not None
        assert kept.value == b"2"
        assert [kv.key for kv in (await store.list("")).items] == ["a", "b"]
        assert [kv.key for kv in (await store.list("", at=last)).items] == ["a"]

    @with_store
    async def test_the_future_cannot_be_compacted(self, store: Store) -> None:
        revision = await store.put("a", b"1")
        with pytest.raises(FutureRevisionError):
            await store.compact(revision + 1_000_000)


class TransactionContract(StoreTests):
    """What transactions promise, and what they refuse."""

    @with_store
    async def test_a_transaction_changes_everything_at_one_revision(self, store: Store) -> None:
        await store.put("old", b"")
        outcome = await store.transact((), [Put("a", b"1"), Put("b", b"2"), Delete("old")])
        assert isinstance(outcome, Committed)
        listing = await store.list("")
        assert [(kv.key, kv.mod_revision) for kv in listing.items] == [
            ("a", outcome.revision),
            ("b", outcome.revision),
        ]

    @with_store
    async def test_a_prefix_is_deleted_at_one_revision(self, store: Store) -> None:
        before = [await store.put(key, b"") for key in ("p/1", "p/2", "q")][-1]
        await store.transact((), [DeletePrefix("p/"), Put("r", b"")])
        assert [kv.key for kv in (await store.list("")).items] == ["q", "r"]
        seen = await collect(store, "", after=before, until=bool)
        assert sorted(event.key for event in seen[0].events) == ["p/1", "p/2", "r"]

    @with_store
    async def test_every_compare_holds_when_it_should(self, store: Store) -> None:
        created = await store.put("a", b"1")
        changed = await store.put("a", b"2")
        true: list[Compare] = [
            ModRevisionIs("a", changed),
            ModRevisionIs("none", 0),
            CreateRevisionIs("a", created),
            CreateRevisionIs("none", 0),
            ValueIs("a", b"2"),
            Exists("a"),
            Absent("none"),
        ]
        false: list[Compare] = [
            ModRevisionIs("a", created),
            ModRevisionIs("a", 0),
            ModRevisionIs("none", changed),
            CreateRevisionIs("a", changed),
            ValueIs("a", b"1"),
            ValueIs("none", b""),
            Exists("none"),
            Absent("a"),
        ]
        assert all([isinstance(await store.transact([compare], []), Committed) for compare in true])
        assert all([isinstance(await store.transact([compare], []), Refused) for compare in false])

    @with_store
    async def test_one_false_compare_refuses_everything_and_says_what_is(self, store: Store) -> None:
        revision = await store.put("a", b"1")
        outcome = await store.transact([Exists("a"), Exists("none")], [Put("a", b"2"), Put("b", b"2")])
        assert isinstance(outcome, Refused)
        assert {key: (kv.value, kv.mod_revision) for key, kv in outcome.current.items()} == {"a": (b"1", revision)}
        assert [(kv.key, kv.value) for kv in (await store.list("")).items] == [("a", b"1")]

    @with_store
    async def test_without_a_change_the_revision_stays(self, store: Store) -> None:
        revision = await store.put("a", b"1")
        assert await store.delete("none") == revision
        assert (await store.transact([Exists("a")], [])).revision == revision
        assert (await store.transact([Absent("a")], [Put("b", b"")])).revision == revision

    @with_store
    async def test_of_many_who_swap_at_once_one_wins(self, store: Store) -> None:
        revision = await store.put("a", b"0")
        async with self.open(store.address) as other:
            outcomes = await asyncio.gather(
                *(
                    (store, other)[number % 2].transact([ModRevisionIs("a", revision)], [Put("a", b"%d" % number)])
                    for number in range(10)
                )
            )
        winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Committed)]
        kv = await store.get("a")
        assert kv is not None
        assert [kv.value] == [b"%d" % number for number in winners]

    @with_store
    async def test_no_increment_is_lost_between_handles(self, store: Store) -> None:
        await store.put("a", b"0")

        async def increment(handle: Store) -> None:
            kv = await handle.get("a")
            assert kv is not None
            swap = [ModRevisionIs("a", kv.mod_revision)], [Put("a", b"%d" % (int(kv.value) + 1))]
            if isinstance(await handle.transact(*swap), Refused):
                await increment(handle)

        async with self.open(store.address) as other:
            await asyncio.gather(*(increment((store, other)[number % 2]) for number in range(20)))
        kv = await store.get("a")
        assert kv is not None
        assert kv.value == b"20"

    @with_store
    async def test_the_largest_things_are_kept(self, store: Store) -> None:
        key, value = "k" * KEY_BYTES, bytes(VALUE_BYTES)
        await store.put(key, value)
        kv = await store.get(key)
        assert kv is not None
        assert kv.value == value
        await store.transact((), [Put(f"n/{n}", b"") for n in range(TRANSACTION_PARTS)])
        await store.transact((), [Put(f"v/{n}", bytes(VALUE_BYTES - 100)) for n in range(4)])

    @with_store
    async def test_what_is_over_a_limit_is_refused_before_it_is_written(self, store: Store) -> None:
        value = bytes(VALUE_BYTES)
        for key in ("", "k" * (KEY_BYTES + 1), "\ud800"):
            with pytest.raises(LimitError):
                await store.put(key, b"")
            if key:
                with pytest.raises(LimitError):
                    await store.list(key)
        with pytest.raises(LimitError):
            await store.put("a", value + b"1")
        with pytest.raises(LimitError):
            await store.transact((), [Put(f"{n}", value) for n in range(5)])
        with pytest.raises(LimitError):
            await store.transact((), [Put(f"{n}", b"") for n in range(TRANSACTION_PARTS + 1)])
        with pytest.raises(LimitError):
            await store.transact((), [DeletePrefix("")])
        with pytest.raises(LimitError):
            await store.grant(0)
        assert (await store.list("")).items == ()

    @with_store
    async def test_one_transaction_touches_a_key_once(self, store: Store) -> None:
        twices: tuple[list[Operation], ...] = (
            [Put("a", b"1"), Delete("a")],
            [DeletePrefix("a"), Put("ab", b"1")],
        )
        for twice in twices:
            with pytest.raises(LimitError):
                await store.transact((), twice)
