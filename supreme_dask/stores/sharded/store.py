"""The store of one system, in whichever shard that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from supreme_dask.errors import (
    LeaseLostError,
    LimitError,
    MovedError,
    StoreAddressError,
    StoreError,
    StoreUnavailableError,
)
from supreme_dask.stores.base import Store
from supreme_dask.stores.follow import follow
from supreme_dask.stores.layout import SYSTEMS, check_name
from supreme_dask.stores.operations import Compare, DeletePrefix, Operation, Put
from supreme_dask.stores.sharded.homes import Shards
from supreme_dask.stores.sharded.markers import Sign, marker_key
from supreme_dask.stores.sharded.numbers import Numbers
from supreme_dask.stores.unless import unless
from supreme_dask.stores.values import (
    Changes,
    Committed,
    KeyValue,
    Lease,
    Listing,
    Outcome,
    Refused,
    Revision,
)

log = logging.getLogger(__name__)

_AGAIN = 1.0  # s until the marker is watched again after an error


class Home:
    """A shard for as long as the system is there."""

    def __init__(self, sign: Sign, store: Store) -> None:
        self.store = store
        self.fence = sign.fence
        self.numbers = Numbers(sign.marker.base, sign.revision)
        self.left = asyncio.Event()

    def look(self, marker: KeyValue | None) -> bool:
        """Return whether the system is still here, now that its marker was read."""
        if marker is None or marker.mod_revision != self.fence.revision:
            self.left.set()
        return not self.left.is_set()

    async def holds(self) -> bool:
        """Ask the shard whether the system is still here."""
        return self.look(await self.store.get(self.fence.key))

    async def watch_marker(self) -> None:
        """Notice when the system leaves."""
        while not self.left.is_set():
            try:
                async with aclosing(follow(self.store, self.fence.key)) as changes:
                    async for change in changes:
                        found = {event.key: event.kv for event in change.events}
                        if self.fence.key in found and not self.look(found[self.fence.key]):
                            return
            except StoreError as error:
                log.info("The marker %s is not watched for now: %s", self.fence.key, error)
            await asyncio.sleep(_AGAIN)


class ShardedStore(Store):
    """The keys of one system, wherever it is.

    A system that moves takes its keys along, but neither leases with their keys nor its history: whoever
    watches is told by `MovedError`, and lists again; whoever held a lease is told that it was lost.

    What callers ask is checked once, here, and the shard's unchecked methods are called: with the fence, a
    transaction has one compare more than a caller may give.

    Parameters
    ----------
    shards
        The stores.
    system
        Name of the system.
    """

    def __init__(self, shards: Shards, system: str) -> None:
        self._shards = shards
        self._system = check_name(system)
        self._room = f"{SYSTEMS}{system}/"
        self._open = False
        self._home: Home | None = None
        self._going = asyncio.Lock()
        self._noticing: asyncio.Task[None] | None = None
        self._granted: dict[int, Home] = {}

    @classmethod
    def named(cls, url: str, system: str) -> ShardedStore:
        """Return the store of a system at an address of several shards.

        Parameters
        ----------
        url
            ``sharded:`` and the URL of each shard by its name.
        system
            Name of the system.
        """
        shards = Shards.named(url)
        if not system:
            raise StoreAddressError(shards.shown, "it has several shards: say of which system")
        return cls(shards, system)

    @property
    def address(self) -> str:
        """URL of all shards, without passwords."""
        return self._shards.shown

    async def open(self) -> None:
        """Find the system, which is put on its home shard if it is new."""
        self._open = True
        try:
            await self._at_home()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all shards; watches end."""
        self._open, self._home = False, None
        if self._noticing is not None:
            self._noticing.cancel()
            await asyncio.gather(self._noticing, return_exceptions=True)
        await self._shards.close()

    async def survey(self, prefix: str) -> tuple[KeyValue, ...]:
        """Return what all systems have under a prefix, each from the shard that it is in."""
        found: list[KeyValue] = []
        for shard in self._shards.names:
            rooms = tuple(f"{SYSTEMS}{sign.system}/" for sign in await self._shards.signs(shard) if sign.present)
            listing = await (await self._shards.store(shard)).list(prefix)
            found.extend(kv for kv in listing.items if kv.key.startswith(rooms))
        return tuple(sorted(found, key=lambda kv: kv.key.encode()))

    async def compact(self, revision: Revision) -> None:
        """Forget the history before a revision, of the whole shard."""
        home = await self._at_home()
        with home.numbers.told(revision):
            await home.store.compact(revision - home.numbers.base)

    # ------------------------------------------------------------------------------------- reading
    async def _get(self, key: str, at: Revision | None) -> KeyValue | None:
        self._check_ours(key)
        while True:
            home = await self._at_home()
            with home.numbers.told(at or 0):
                kv = await home.store._get(key, home.numbers.inner(at))
            # The move deletes all that was here: only what is not there may have gone with it.
            if kv is not None or at is not None or await home.holds():
                return kv and home.numbers.key_value(kv)

    async def _list(self, prefix: str, at: Revision | None) -> Listing:
        self._check_ours(prefix)
        while True:
            home = await self._at_home()
            with home.numbers.told(at or 0):
                listing = await home.store._list(prefix, home.numbers.inner(at))
            if listing.items or at is not None or await home.holds():
                items = tuple(map(home.numbers.key_value, listing.items))
                return Listing(listing.revision + home.numbers.base, items)

    async def _watch(self, prefix: str, after: Revision) -> AsyncGenerator[Changes]:
        self._check_ours(prefix)
        home = await self._at_home()
        inner = home.numbers.inner(after) or 0
        left = asyncio.ensure_future(home.left.wait())
        try:
            with home.numbers.told(after):
                async with aclosing(home.store.watch(prefix, after=inner)) as watch:
                    while (changes := await unless(left, anext(watch, None))) is not None:
                        deletes = all(event.kv is None for event in changes.events)
                        if deletes and not await home.holds():
                            break
                        yield home.numbers.changes(changes)
        finally:
            left.cancel()
        if home.left.is_set():
            raise MovedError(self._system, after)

    # ------------------------------------------------------------------------------------- writing
    async def _commit(self, compares: tuple[Compare, ...], operations: tuple[Operation, ...]) -> Outcome:
        self._check_ours(*(compare.key for compare in compares), *map(_touched, operations))
        while True:
            home = await self._at_home()
            for operation in operations:
                if isinstance(operation, Put) and operation.lease:
                    self._check_lease(operation.lease, home)
            ours = map(home.numbers.compare, compares)
            outcome = await home.store._commit((home.fence, *ours), operations)
            base = home.numbers.base
            if isinstance(outcome, Committed):
                return Committed(outcome.revision + base)
            current = dict(outcome.current)
            if home.look(current.pop(home.fence.key, None)):
                current = {key: home.numbers.key_value(kv) for key, kv in current.items()}
                return Refused(outcome.revision + base, current)

    # -------------------------------------------------------------------------------------- leases
    async def _grant(self, ttl: int) -> Lease:
        home = await self._at_home()
        lease = await home.store.grant(ttl)
        self._granted[lease.id] = home
        return lease

    async def keep_alive(self, lease: int) -> Lease:
        """Renew a lease once; it is lost when the system has moved."""
        home = await self._at_home()
        self._check_lease(lease, home)
        renewed = await home.store.keep_alive(lease)
        if not await home.holds():
            raise LeaseLostError(lease)
        return renewed

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys."""
        home = self._granted.pop(lease, None) or await self._at_home()
        await home.store.revoke(lease)

    def _check_lease(self, lease: int, home: Home) -> None:
        # Another shard may have given the same number to somebody else.
        if self._granted.get(lease, home) is not home:
            raise LeaseLostError(lease)

    # ------------------------------------------------------------------------------------- the home
    async def _at_home(self) -> Home:
        async with self._going:
            if not self._open:
                raise StoreUnavailableError(self.address, "it is not open")
            if self._home is None or self._home.left.is_set():
                sign = await self._shards.home(self._system)
                self._home = Home(sign, await self._shards.store(sign.shard))
                log.debug("System %s is in shard %s", self._system, sign.shard)
                if self._noticing is not None:
                    self._noticing.cancel()
                self._noticing = asyncio.create_task(self._home.watch_marker())
            return self._home

    def _check_ours(self, *keys: str) -> None:
        for key in keys:
            if not key.startswith(self._room):
                raise LimitError(
                    f"key {key[:60]!r}",
                    f"what begins with {self._room!r}",
                    f"Keys of one system are in one shard; {marker_key(self._system)!r} says where.",
                )


def _touched(operation: Operation) -> str:
    return operation.prefix if isinstance(operation, DeletePrefix) else operation.key
