"""What the contracts of stores are written with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from supreme_dask.stores import Changes, Store, open_store

_PATIENCE = 60.0


class StoreTests:
    """What all parts of the contract derive from."""

    def open(self, address: str) -> Store:
        """Return the store of an address; override it where that takes more than the address."""
        return open_store(address)


def with_store(test: Callable[[Any, Store], Awaitable[None]]) -> Callable[[Any, str], None]:
    """Make an ordinary test of a coroutine that takes an open store; `address` names it."""

    def run(self: StoreTests, address: str) -> None:
        async def story() -> None:
            async with asyncio.timeout(_PATIENCE), self.open(address) as store:
                await test(self, store)

        asyncio.run(story())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


async def collect(store: Store, prefix: str, *, after: int, until: Callable[[list[Changes]], bool]) -> list[Changes]:
    """Watch a prefix until enough was seen.

    Parameters
    ----------
    store
        Open.
    prefix
        Prefix of the keys.
    after
        Revision after which the changes begin.
    until
        Tells of the changes so far whether they are enough.
    """
    seen: list[Changes] = []
    async with aclosing(store.watch(prefix, after=after)) as watch:
        async for changes in watch:
            seen.append(changes)
            if until(seen):
                return seen
    pytest.fail("the watch ended by itself")


def count_events(seen: list[Changes]) -> int:
    """Return how many keys changed in all."""
    return sum(len(changes.events) for changes in seen)
