"""A store that is gone with its process: for tests, with the semantics of the others."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator
from itertools import count
from weakref import WeakValueDictionary

from supreme_dask.errors import CompactedError, FutureRevisionError, LeaseLostError
from supreme_dask.stores.address import Address
from supreme_dask.stores.base import Store
from supreme_dask.stores.operations import Compare, DeletePrefix, Operation, Put, after_put, holds
from supreme_dask.stores.values import (
    Changes,
    Committed,
    Event,
    KeyValue,
    Lease,
    Listing,
    Outcome,
    Refused,
    Revision,
)


class MemoryStore(Store):
    """A store in this process. ``memory://name`` is one store wherever its name is used.

    Parameters
    ----------
    contents
        What it keeps, which several handles may share.
    address
        URL of the store.
    """

    def __init__(self, contents: Contents, address: str = "memory://") -> None:
        self._contents = contents
        self._address = address
        self._closed = False

    @classmethod
    def from_address(cls, address: Address) -> MemoryStore:
        """Return a handle on the store that ``address`` names, or on a new one if it names none."""
        address.check_options(())
        if address.path or len(address.hosts) > 1:
            raise address.problem("a memory store has at most a name: memory://name")
        name = address.hosts[0] if address.hosts else ""
        contents = _named.setdefault(name, Contents()) if name else Contents()
        return cls(contents, address.shown)

    @property
    def address(self) -> str:
        """URL of the store."""
        return self._address

    async def open(self) -> None:
        """Let watches begin; the contents are there."""
        self._closed = False

    async def close(self) -> None:
        """End the watches of this handle."""
        self._closed = True
        self._contents.wake()

    async def _get(self, key: str, at: Revision | None) -> KeyValue | None:
        return self._contents.get(key, at)

    async def _list(self, prefix: str, at: Revision | None) -> Listing:
        return self._contents.listing(prefix, at)

    async def _commit(self, compares: tuple[Compare, ...], operations: tuple[Operation, ...]) -> Outcome:
        return self._contents.commit(compares, operations)

    async def _grant(self, ttl: int) -> Lease:
        return self._contents.grant(ttl)

    async def keep_alive(self, lease: int) -> Lease:
        """Renew a lease once."""
        return self._contents.keep_alive(lease)

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys."""
        self._contents.revoke(lease)

    async def compact(self, revision: Revision) -> None:
        """Forget the history before a revision."""
        self._contents.compact(revision)

    async def _watch(self, prefix: str, after: Revision) -> AsyncGenerator[Changes]:
        while not self._closed:
            changed = self._contents.changed
            head, found = self._contents.changes(prefix, after)
            for changes in found:
                yield changes
            after = head
            await changed.wait()


class Contents:
    """Keys, their history and the leases of one store."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._revision = 1
        self._compacted = 0
        self._history: dict[str, list[tuple[Revision, KeyValue | None]]] = {}
        self._log: list[Changes] = []
        self._leases: dict[int, tuple[int, float]] = {}
        self._identities = count(1)

    def wake(self) -> None:
        """Let every watch look again."""
        self.changed.set()
        self.changed = asyncio.Event()

    def get(self, key: str, at: Revision | None) -> KeyValue | None:
        """Return what a key holds, or held."""
        self._expire()
        self._check(at)
        versions = self._history.get(key, [])
        position = len(versions) if at is None else bisect_right(versions, at, key=lambda item: item[0])
        return versions[position - 1][1] if position else None

    def listing(self, prefix: str, at: Revision | None) -> Listing:
        """Return the keys under a prefix, ascending."""
        self._expire()
        self._check(at)
        keys = sorted((key for key in self._history if key.startswith(prefix)), key=str.encode)
        items = (self.get(key, at) for key in keys)
        return Listing(at or self._revision, tuple(kv for kv in items if kv))

    def changes(self, prefix: str, after: Revision) -> tuple[Revision, tuple[Changes, ...]]:
        """Return what happened under a prefix after a revision, and up to which one."""
        if after < self._compacted:
            raise CompactedError(after, self._compacted)
        newer = self._log[bisect_right(self._log, after, key=lambda changes: changes.revision) :]
        narrowed = (_under(prefix, changes) for changes in newer)
        return max(after, self._revision), tuple(changes for changes in narrowed if changes.events)

    def commit(self, compares: tuple[Compare, ...], operations: tuple[Operation, ...]) -> Outcome:
        """Apply all operations if all compares hold."""
        self._expire()
        current = {compare.key: self.get(compare.key, None) for compare in compares}
        if not all(holds(compare, current[compare.key]) for compare in compares):
            return Refused(self._revision, {key: kv for key, kv in current.items() if kv})
        for operation in operations:
            if isinstance(operation, Put) and operation.lease and operation.lease not in self._leases:
                raise LeaseLostError(operation.lease)
        self._append([event for operation in operations for event in self._events(operation)])
        return Committed(self._revision)

    def grant(self, ttl: int) -> Lease:
        """Start a lease."""
        lease = next(self._identities)
        self._renew(lease, ttl)
        return Lease(lease, ttl)

    def keep_alive(self, lease: int) -> Lease:
        """Renew a lease."""
        self._expire()
        if lease not in self._leases:
            raise LeaseLostError(lease)
        ttl, _ = self._leases[lease]
        self._renew(lease, ttl)
        return Lease(lease, ttl)

    def revoke(self, lease: int) -> None:
        """End a lease and delete its keys."""
        if self._leases.pop(lease, None) is None:
            return
        self._append([Event(key, None) for key, kv in self._present() if kv.lease == lease])

    def compact(self, revision: Revision) -> None:
        """Keep of each key only what can be read from a revision on."""
        self._check_not_future(revision)
        self._compacted = max(self._compacted, revision)
        self._log = [changes for changes in self._log if changes.revision > self._compacted]
        kept = {key: _since(self._compacted, versions) for key, versions in self._history.items()}
        self._history = {key: versions for key, versions in kept.items() if versions}

    def _present(self) -> list[tuple[str, KeyValue]]:
        newest = ((key, versions[-1][1]) for key, versions in self._history.items())
        return sorted((key, kv) for key, kv in newest if kv)

    def _check(self, at: Revision | None) -> None:
        if at is not None and at < self._compacted:
            raise CompactedError(at, self._compacted)
        self._check_not_future(at or 0)

    def _check_not_future(self, revision: Revision) -> None:
        if revision > self._revision:
            raise FutureRevisionError(revision)

    def _events(self, operation: Operation) -> list[Event]:
        if isinstance(operation, Put):
            before = self.get(operation.key, None)
            return [Event(operation.key, after_put(operation, before, self._revision + 1))]
        if isinstance(operation, DeletePrefix):
            return [Event(key, None) for key, _ in self._present() if key.startswith(operation.prefix)]
        return [Event(operation.key, None)] if self.get(operation.key, None) else []

    def _append(self, events: list[Event]) -> None:
        if not events:
            return
        self._revision += 1
        self._log.append(Changes(self._revision, tuple(events)))
        for event in events:
            self._history.setdefault(event.key, []).append((self._revision, event.kv))
        self.wake()

    def _renew(self, lease: int, ttl: int) -> None:
        loop = asyncio.get_running_loop()
        self._leases[lease] = ttl, loop.time() + ttl
        loop.call_later(ttl, self._expire)

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        for lease in [lease for lease, (_, end) in self._leases.items() if end <= now]:
            self.revoke(lease)


_named: WeakValueDictionary[str, Contents] = WeakValueDictionary()


def _under(prefix: str, changes: Changes) -> Changes:
    return Changes(changes.revision, tuple(event for event in changes.events if event.key.startswith(prefix)))


def _since(
    revision: Revision, versions: list[tuple[Revision, KeyValue | None]]
) -> list[tuple[Revision, KeyValue | None]]:
    """Drop what only revisions before the given one can show."""
    first = max(bisect_right(versions, revision, key=lambda item: item[0]) - 1, 0)
    if versions[first][0] <= revision and versions[first][1] is None:
        first += 1
    return versions[first:]
