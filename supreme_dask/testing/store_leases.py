"""Contract of stores: leases and watches."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from supreme_dask.errors import CompactedError, LeaseLostError, StoreError
from supreme_dask.stores import Event, Put, Store
from supreme_dask.stores.limits import TRANSACTION_PARTS
from supreme_dask.testing.support import StoreTests, collect, count_events, with_store


class LeaseContract(StoreTests):
    """What leases promise."""

    @with_store
    async def test_the_keys_of_a_lease_that_ends_vanish_together(self, store: Store) -> None:
        lease = await store.grant(1)
        await store.put("a", b"", lease=lease.id)
        after = await store.put("b", b"", lease=lease.id)
        seen = await collect(store, "", after=after, until=bool)
        assert sorted(seen[0].events, key=lambda event: event.key) == [Event("a", None), Event("b", None)]
        assert (await store.list("")).items == ()
        with pytest.raises(LeaseLostError):
            await store.keep_alive(lease.id)

    @with_store
    async def test_a_lease_that_is_kept_alive_outlives_its_time(self, store: Store) -> None:
        lease = await store.grant(2)
        await store.put("a", b"", lease=lease.id)
        loop = asyncio.get_running_loop()
        end = loop.time() + 1.2 * lease.ttl
        while loop.time() < end:
            assert (await store.keep_alive(lease.id)).ttl == lease.ttl
            await asyncio.sleep(lease.ttl / 10)
        assert await store.get("a") is not None
        await store.revoke(lease.id)

    @with_store
    async def test_a_revoked_lease_takes_its_keys_along(self, store: Store) -> None:
        lease = await store.grant(60)
        await store.put("a", b"", lease=lease.id)
        await store.put("b", b"")
        await store.revoke(lease.id)
        await store.revoke(lease.id)
        assert [kv.key for kv in (await store.list("")).items] == ["b"]
        with pytest.raises(LeaseLostError) as caught:
            await store.keep_alive(lease.id)
        assert caught.value.lease == lease.id

    @with_store
    async def test_nothing_is_put_under_a_lease_that_ended(self, store: Store) -> None:
        lease = await store.grant(60)
        await store.revoke(lease.id)
        with pytest.raises(LeaseLostError):
            await store.transact((), [Put("a", b""), Put("b", b"", lease.id)])
        assert (await store.list("")).items == ()

    @with_store
    async def test_a_put_without_lease_lets_go_of_the_earlier_one(self, store: Store) -> None:
        lease = await store.grant(60)
        await store.put("a", b"", lease=lease.id)
        kv = await store.get("a")
        assert kv is not None
        assert kv.lease == lease.id
        await store.put("a", b"stays")
        await store.revoke(lease.id)
        assert await store.get("a") is not None


class WatchContract(StoreTests):
    """What watches promise."""

    @with_store
    async def test_a_watch_tells_the_past_and_then_the_present(self, store: Store) -> None:
        start = (await store.list("")).revision
        revisions = [await store.put("w/a", b"1"), await store.put("w/a", b"2"), await store.delete("w/a")]

        async def write_more() -> None:
            revisions.append(await store.put("w/b", b"3"))

        writing = asyncio.create_task(write_more())
        seen = await collect(store, "w/", after=start, until=lambda seen: len(seen) == 4)
        await writing
        assert [changes.revision for changes in seen] == revisions
        events = [changes.events[0] for changes in seen]
        assert [(event.key, event.kv.value if event.kv else None) for event in events] == [
            ("w/a", b"1"),
            ("w/a", b"2"),
            ("w/a", None),
            ("w/b", b"3"),
        ]

    @with_store
    async def test_a_watch_sees_its_prefix_only(self, store: Store) -> None:
        start = (await store.list("")).revision
        await store.put("v", b"")
        await store.put("w/1", b"")
        await store.transact((), [Put("w/2", b""), Put("x", b"")])
        seen = await collect(store, "w/", after=start, until=lambda seen: len(seen) == 2)
        assert [[event.key for event in changes.events] for changes in seen] == [["w/1"], ["w/2"]]

    @with_store
    async def test_a_transaction_arrives_whole(self, store: Store) -> None:
        start = (await store.list("")).revision
        keys = {f"w/{number}" for number in range(TRANSACTION_PARTS)}
        await store.transact((), [Put(key, bytes(5000)) for key in keys])
        (changes,) = await collect(store, "w/", after=start, until=bool)
        assert {event.key for event in changes.events} == keys

    @with_store
    async def test_a_watch_resumes_where_another_stopped(self, store: Store) -> None:
        start = (await store.list("")).revision
        revisions = [await store.put("w", b"%d" % number) for number in range(10)]
        first = await collect(store, "w", after=start, until=lambda seen: len(seen) == 4)
        rest = await collect(store, "w", after=first[-1].revision, until=lambda seen: len(seen) == 6)
        assert [changes.revision for changes in first + rest] == revisions

    @with_store
    async def test_every_watch_of_every_handle_sees_everything_once_in_order(self, store: Store) -> None:
        start = (await store.list("")).revision
        total = 200
        async with self.open(store.address) as other:
            watches = [
                asyncio.create_task(
                    collect(handle, "w/", after=start, until=lambda seen: count_events(seen) == total)
                )
                for handle in (store, other, store)
            ]

            async def write(handle: Store, name: str) -> None:
                for number in range(total // 2):
                    await handle.put(f"w/{name}", b"%d" % number)

            await asyncio.gather(write(store, "a"), write(other, "b"))
            seen = await asyncio.gather(*watches)
        assert seen[0] == seen[1] == seen[2]
        assert all(earlier.revision < later.revision for earlier, later in pairwise(seen[0]))

    @with_store
    async def test_a_watch_whose_past_was_compacted_says_so(self, store: Store) -> None:
        start = await store.put("w", b"0")
        for number in range(5):
            last = await store.put("w", b"%d" % number)
        await store.compact(last)
        with pytest.raises(CompactedError) as caught:
            await collect(store, "w", after=start, until=bool)
        assert (caught.value.asked, caught.value.compacted) == (start, last)
        await store.put("w", b"new")
        assert len(await collect(store, "w", after=last, until=bool)) == 1

    @with_store
    async def test_an_idle_watch_outlives_compaction_of_what_it_has_passed(self, store: Store) -> None:
        start = await store.put("w", b"0")
        watching = asyncio.create_task(collect(store, "w", after=start, until=lambda seen: len(seen) == 2))
        await store.put("w", b"1")
        for number in range(20):
            last = await store.put("elsewhere", b"%d" % number)
            await asyncio.sleep(0.01)
        await store.compact(last)
        await store.put("w", b"2")
        assert len(await watching) == 2

    @with_store
    async def test_closing_ends_calls_with_errors_of_ours(self, store: Store) -> None:
        handle = self.open(store.address)
        await handle.open()
        calls = [asyncio.ensure_future(handle.put(f"{number}", b"")) for number in range(20)]
        await asyncio.sleep(0)
        await handle.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, int | StoreError) for outcome in outcomes), outcomes
        await handle.open()
        assert await handle.get("none") is None
        await handle.close()

    @with_store
    async def test_closing_ends_a_watch(self, store: Store) -> None:
        handle = self.open(store.address)
        await handle.open()
        start = (await handle.list("")).revision

        async def follow() -> int:
            return len([changes async for changes in handle.watch("w", after=start)])

        watching = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await handle.close()
        assert await watching == 0
