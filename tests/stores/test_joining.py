import asyncio
from collections import deque
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.errors import AmbiguousWriteError, LeaseLostError
from supreme_dask.stores import open_store
from supreme_dask.stores.etcd.joining import JoinedPuts, take
from supreme_dask.stores.limits import TRANSACTION_BYTES, TRANSACTION_PARTS, VALUE_BYTES, operation_size
from supreme_dask.stores.operations import Put

MANY = 64


class Gone:
    """A caller that no longer waits."""

    @staticmethod
    def done():
        return True


class Here:
    @staticmethod
    def done():
        return False


puts = st.builds(Put, st.sampled_from("abcdefghij"), st.sampled_from([b"", b"x", bytes(VALUE_BYTES)]))


@given(waiting=st.lists(st.tuples(puts, st.sampled_from([Gone, Here])), max_size=40))
def test_what_waits_goes_in_order_each_key_once_and_nobody_is_left_out(waiting):
    rest, sent = deque(waiting), []
    while rest:
        joined = take(rest)
        keys = [put.key for put, _ in joined]
        assert len(set(keys)) == len(keys)
        assert sum(operation_size(put) for put, _ in joined) <= TRANSACTION_BYTES
        sent += joined
    assert sent == [one for one in waiting if one[1] is Here]


def test_a_transaction_takes_no_more_parts_than_every_store_does():
    rest = deque((Put(str(number), b""), Here) for number in range(2 * TRANSACTION_PARTS + 1))
    assert [len(take(rest)) for _ in range(4)] == [TRANSACTION_PARTS, TRANSACTION_PARTS, 1, 0]


def joined_with(write, story):
    """Run a story on puts that `write` applies."""
    return asyncio.run(story(JoinedPuts(write)))


def test_a_put_alone_never_waits_and_those_behind_it_go_together():
    sizes = []

    async def write(together):
        sizes.append(len(together))
        await asyncio.sleep(0)
        return 7

    async def story(joined):
        assert await joined.put(Put("alone", b"")) == 7
        return await asyncio.gather(*(joined.put(Put(str(number), b"")) for number in range(MANY)))

    assert joined_with(write, story) == [7] * MANY
    assert sum(sizes) == 1 + MANY
    assert sizes[0] == 1
    assert len(sizes) < MANY / 4


def test_a_cancelled_caller_takes_nobody_along():
    applied = []

    async def write(together):
        await asyncio.sleep(0.01)
        applied.extend(put.key for put in together)
        return len(applied)

    async def story(joined):
        callers = [asyncio.create_task(joined.put(Put(str(number), b""))) for number in range(MANY)]
        await asyncio.sleep(0)
        for caller in callers[::2]:
            caller.cancel()
        return await asyncio.gather(*callers, return_exceptions=True)

    ends = joined_with(write, story)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends[::2])
    assert all(isinstance(end, int) for end in ends[1::2])
    assert set(applied) >= {str(number) for number in range(1, MANY, 2)}
    assert len(applied) == len(set(applied))


def test_a_write_in_doubt_is_in_doubt_for_all_and_not_sent_again():
    seen = []

    async def write(together):
        seen.extend(put.key for put in together)
        await asyncio.sleep(0)
        if len(together) > 1:
            raise AmbiguousWriteError("here", "cut")
        return 1

    async def story(joined):
        return await asyncio.gather(
            *(joined.put(Put(str(number), b"")) for number in range(MANY)), return_exceptions=True
        )

    ends = joined_with(write, story)
    assert sorted(seen) == sorted(map(str, range(MANY)))
    assert sum(isinstance(end, AmbiguousWriteError) for end in ends) > MANY / 2


@pytest.fixture(scope="module")
def cluster(start_etcd):
    return start_etcd()


def test_a_lease_that_ended_fails_its_own_put_alone(cluster):
    async def story():
        async with open_store(cluster.url("dead")) as store:
            lease = await store.grant(60)
            await store.revoke(lease.id)
            return await asyncio.gather(
                *(store.put(str(number), b"", lease=lease.id * (number == 40)) for number in range(MANY)),
                return_exceptions=True,
            ), await store.list("")

    ends, listing = asyncio.run(story())
    assert [number for number, end in enumerate(ends) if not isinstance(end, int)] == [40]
    assert isinstance(ends[40], LeaseLostError)
    assert len(listing.items) == MANY - 1


def test_a_watch_sees_every_joined_put_once_at_the_revision_its_caller_was_told(cluster):
    async def story():
        async with open_store(cluster.url("seen")) as store:
            begin = (await store.list("")).revision
            told = await asyncio.gather(*(store.put(f"k{number}", b"") for number in range(200)))
            seen = {}
            async with asyncio.timeout(30), aclosing(store.watch("", after=begin)) as watch:
                async for changes in watch:
                    for event in changes.events:
                        assert event.key not in seen
                        seen[event.key] = changes.revision
                    if len(seen) == 200:
                        break
            return told, seen

    told, seen = asyncio.run(story())
    assert seen == {f"k{number}": revision for number, revision in enumerate(told)}
    assert len(set(told)) < 100
