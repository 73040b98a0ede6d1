"""Follow what is under a prefix, for ever: list, watch, and list again where history was compacted."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from supreme_dask.errors import CompactedError
from supreme_dask.stores.base import Store
from supreme_dask.stores.values import Changes, Event, KeyValue, Listing

log = logging.getLogger(__name__)


async def follow(store: Store, prefix: str) -> AsyncGenerator[Changes]:
    """Deliver what is there as a first change, then every change, until the store is closed.

    After a compaction that was faster than this follower, the difference to what it has delivered comes
    as one change: nothing is missed in the end, only the steps between.
    """
    known: dict[str, KeyValue] = {}
    first = True
    while True:
        listing = await store.list(prefix)
        missed = difference(known, listing)
        if first or missed:
            yield Changes(listing.revision, missed)
        first, known = False, {kv.key: kv for kv in listing.items}
        try:
            async with aclosing(store.watch(prefix, after=listing.revision)) as watch:
                async for changes in watch:
                    _apply(known, changes)
                    yield changes
        except CompactedError as error:
            log.info("List %r again: %s", prefix, error)
        else:
            return


def difference(known: Mapping[str, KeyValue], listing: Listing) -> tuple[Event, ...]:
    """Return the events that lead from what is known to what is listed."""
    there = {kv.key: kv for kv in listing.items}
    gone = tuple(Event(key, None) for key in known if key not in there)
    return gone + tuple(Event(key, kv) for key, kv in there.items() if known.get(key) != kv)


def _apply(known: dict[str, KeyValue], changes: Changes) -> None:
    for event in changes.events:
        if event.kv is None:
            known.pop(event.key, None)
        else:
            known[event.key] = event.kv
