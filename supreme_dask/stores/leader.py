"""One leader at a time, whose late writes do no harm.

The leader's key lives under its lease; every write of a leader is a transaction that compares the key's
create revision, the *fence*. A leader that was paused beyond its lease finds its fence gone. The epoch
counts leaders and outlives them: workers refuse commands of a lower one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from supreme_dask.errors import (
    AmbiguousWriteError,
    CompactedError,
    LeadershipLostError,
    StoreError,
    StoreUnavailableError,
)
from supreme_dask.stores.base import Store
from supreme_dask.stores.follow import follow
from supreme_dask.stores.leases import KeptLease
from supreme_dask.stores.operations import (
    Absent,
    Compare,
    CreateRevisionIs,
    Delete,
    ModRevisionIs,
    Operation,
    Put,
    holds,
)
from supreme_dask.stores.values import Committed, KeyValue, Outcome, Refused, Revision

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads: what it said of itself, and its epoch."""

    value: bytes
    epoch: int


class Election:
    """An election under a prefix of a store.

    Parameters
    ----------
    name
        Prefix of its keys; the same for all who take part.
    ttl
        Seconds after which a leader that has died is replaced, at least.

    Examples
    --------
    >>> async def lead(store):
    ...     election = Election(store, "systems/blue")
    ...     async with await election.campaign(b"tcp://10.0.0.1:8786") as leadership:
    ...         await leadership.transact((), [Put("systems/blue/plan", b"...")])
    """

    def __init__(self, store: Store, name: str, *, ttl: int = 15) -> None:
        self.name = name
        self._store = store
        self._ttl = ttl
        self._leader_key = f"{name}/leader"
        self._epoch_key = f"{name}/epoch"

    async def campaign(self, value: bytes) -> Leadership:
        """Wait until elected; `value` is what others see of the leader."""
        while True:
            listing = await self._store.list(f"{self.name}/")
            found = {kv.key: kv for kv in listing.items}
            if self._leader_key in found:
                await self._vacancy(listing.revision)
                continue
            leadership = await self._try(value, found.get(self._epoch_key))
            if leadership is not None:
                log.info("Lead %s in epoch %d", self.name, leadership.epoch)
                return leadership

    async def leader(self) -> Leader | None:
        """Return who leads now, if anybody does."""
        kv = await self._store.get(self._leader_key)
        return _leader(kv) if kv else None

    async def depose(self, leader: Leader) -> None:
        """Make the place of a leader vacant that certainly leads no more; nothing if it is vacant already."""
        kv = await self._store.get(self._leader_key)
        if kv is not None and _leader(kv) == leader:
            fence = CreateRevisionIs(self._leader_key, kv.create_revision)
            await self._store.transact((fence,), (Delete(self._leader_key),))

    async def observe(self) -> AsyncGenerator[Leader | None]:
        """Deliver who leads, now and after each change; None for nobody."""
        async with aclosing(follow(self._store, self._leader_key)) as changes:
            known = False
            async for change in changes:
                found = {event.key: event.kv for event in change.events}
                if not known or self._leader_key in found:
                    kv = found.get(self._leader_key)
                    yield _leader(kv) if kv else None
                known = True

    async def _vacancy(self, after: Revision) -> None:
        """Wait until the leader's key is deleted, or may have been."""
        try:
            async with aclosing(self._store.watch(self._leader_key, after=after)) as watch:
                async for changes in watch:
                    if any(event.key == self._leader_key and event.kv is None for event in changes.events):
                        return
        except CompactedError:
            return
        raise StoreUnavailableError(self._store.address, "it was closed during the campaign")

    async def _try(self, value: bytes, counter: KeyValue | None) -> Leadership | None:
        """Take the vacant leadership, unless another is faster."""
        epoch = int(counter.value) + 1 if counter else 1
        lease = await KeptLease.grant(self._store, self._ttl)
        compares = (
            Absent(self._leader_key),
            ModRevisionIs(self._epoch_key, counter.mod_revision if counter else 0),
        )
        operations = (
            Put(self._leader_key, b"%d %b" % (epoch, value), lease.id),
            Put(self._epoch_key, b"%d" % epoch),
        )
        try:
            revision = await self._settled(compares, operations, lease)
        except BaseException:
            await lease.end()
            raise
        if not revision:
            await lease.end()
            return None
        fence = CreateRevisionIs(self._leader_key, revision)
        return Leadership(self._store, self.name, epoch, fence, lease)

    async def _settled(
        self, compares: Sequence[Compare], operations: Sequence[Operation], lease: KeptLease
    ) -> Revision:
        """Return the revision at which the transaction made us leader, 0 if it did not."""
        try:
            outcome = await self._store.transact(compares, operations)
        except AmbiguousWriteError:
            # Our lease tells whether the key is ours. If it is not there, ending the lease sees to it
            # that a write which is still on its way comes to nothing.
            kv = await self._store.get(self._leader_key)
            return kv.create_revision if kv and kv.lease == lease.id else 0
        return outcome.revision if isinstance(outcome, Committed) else 0


class Leadership:
    """What the leader holds, until it resigns or loses it.

    Attributes
    ----------
    epoch : int
        Greater than that of every leader before.
    fence : CreateRevisionIs
        Holds as long as we lead; for transactions made elsewhere.
    """

    def __init__(self, store: Store, election: str, epoch: int, fence: CreateRevisionIs, lease: KeptLease) -> None:
        self.epoch = epoch
        self.fence = fence
        self._store = store
        self._election = election
        self._lease = lease
        self._deposed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.resign()

    def holds(self) -> bool:
        """Return whether we certainly lead; once False, it stays so."""
        if not self._lease.holds():
            self._deposed.set()
        return not self._deposed.is_set()

    async def lost(self) -> None:
        """Wait until we no longer lead, for whatever reason."""
        waits = [asyncio.ensure_future(wait) for wait in (self._lease.lost(), self._deposed.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def transact(self, compares: Sequence[Compare], operations: Sequence[Operation]) -> Outcome:
        """Apply operations as `Store.transact` does, but only while we lead.

        Raises
        ------
        LeadershipLostError
            If we no longer lead. Nothing was written.
        """
        if not self.holds():
            raise LeadershipLostError(self._election, self.epoch, "its lease was not renewed in time")
        outcome = await self._store.transact((self.fence, *compares), operations)
        if isinstance(outcome, Refused) and not holds(self.fence, outcome.current.get(self.fence.key)):
            self._deposed.set()
            raise LeadershipLostError(self._election, self.epoch, "another leader was elected, or none")
        return outcome

    async def put(self, key: str, value: bytes) -> Revision:
        """Set a key, while we lead."""
        return (await self.transact((), (Put(key, value),))).revision

    async def resign(self) -> None:
        """Stop leading at once, so that others need not wait for the lease to run out."""
        self._deposed.set()
        try:
            await self._store.transact((self.fence,), (Delete(self.fence.key),))
        except StoreError as error:
            log.info("The lease will end leadership of %s: %s", self._election, error)
        await self._lease.end()


def _leader(kv: KeyValue) -> Leader:
    epoch, _, value = kv.value.partition(b" ")
    return Leader(value, int(epoch))
