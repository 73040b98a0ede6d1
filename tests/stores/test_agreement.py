"""Whatever is done to them, the embedded store and the one for tests answer alike."""

import asyncio
import tempfile
from contextlib import aclosing

from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.errors import CompactedError, StoreError
from supreme_dask.stores import (
    Absent,
    CreateRevisionIs,
    Delete,
    DeletePrefix,
    Exists,
    ModRevisionIs,
    Put,
    ValueIs,
    open_store,
)

keys = st.sampled_from(["a", "a/1", "a/2", "b"])
values = st.sampled_from([b"", b"1", b"2"])
revisions = st.integers(0, 12)
compares = st.one_of(
    st.builds(ModRevisionIs, keys, revisions),
    st.builds(CreateRevisionIs, keys, revisions),
    st.builds(ValueIs, keys, values),
    st.builds(Exists, keys),
    st.builds(Absent, keys),
)
operations = st.one_of(
    st.builds(Put, keys, values),
    st.builds(Delete, keys),
    st.builds(DeletePrefix, st.sampled_from(["a", "a/"])),
)
steps = st.one_of(
    st.tuples(st.just("transact"), st.lists(compares, max_size=2), st.lists(operations, max_size=3)),
    st.tuples(st.just("transact"), st.just([]), st.lists(operations, min_size=1, max_size=2)),
    st.tuples(st.just("get"), keys, st.none() | revisions),
    st.tuples(st.just("list"), st.sampled_from(["", "a/"]), st.none() | revisions),
    st.tuples(st.just("compact"), revisions),
)


@settings(max_examples=60, deadline=None)
@given(story=st.lists(steps, max_size=15))
def test_memory_and_sqlite_answer_alike(story):
    with tempfile.TemporaryDirectory() as directory:
        embedded = asyncio.run(answers(f"sqlite://{directory}/store.db?synchronous=normal", story))
    assert embedded == asyncio.run(answers("memory://", story))


async def answers(address, story):
    """Return what a store says to each step, and what a watch tells of it all."""
    async with open_store(address) as store:
        told = [await answer(store, *step) for step in story]
        return told, await answer(store, "list", "", None), await history(store)


async def answer(store, name, *arguments):
    try:
        match name, *arguments:
            case "get" | "list", what, at:
                return await getattr(store, name)(what, at=at)
            case _:
                return await getattr(store, name)(*arguments)
    except StoreError as error:
        return str(error)


async def history(store):
    """Return all that can still be watched; an end mark tells when that is."""
    try:
        await store.get("a", at=1)
        after = 1
    except CompactedError as error:
        after = error.compacted
    end, seen = await store.put("end", b""), []
    async with aclosing(store.watch("", after=after)) as watch:
        async for changes in watch:
            seen.append((changes.revision, sorted(changes.events, key=lambda event: event.key)))
            if changes.revision == end:
                break
    return seen
