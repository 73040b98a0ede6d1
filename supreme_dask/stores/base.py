"""What every store keeps its word on, so that what is built on one runs on any of them.

A store maps keys (text) to values (bytes), as etcd does. These are the promises:

**Order.** A store has one revision number. Each transaction that changes something adds one to it, and all
its changes carry that number. A transaction applies whole or not at all, and between its compares and its
writes nothing else happens. The order of revisions is the order of events: what was answered before a call
began is seen by that call, in whichever process it runs. Puts that are under way at the same time may be
joined into one transaction, and then share its revision.

**History.** A read `at` a revision shows the store exactly as it was then. Only compaction forgets: from then
on `CompactedError` names the oldest revision that can still be read. Nothing may be built on old revisions
being there.

**Watch.** A watch delivers every revision after the given one that changed a key under its prefix: each once,
whole, ascending, with none left out. It outlives lost connections and members. If the history it needs was
compacted, or the store refuses it, it raises; it never just falls silent and never skips.

**Leases.** A key put under a lease vanishes, together with the lease's other keys in one revision, when the
lease was not kept alive for its time to live. That is never earlier, but it may be later: failure detection
takes one to two times the time to live.

**Failure.** A write is sent once. `AmbiguousWriteError` means that nobody can say whether it was applied;
every other error means that it was not. Reads are repeated by the store, on other members too, until its
deadline. A write whose caller was cancelled is ambiguous as well, and so is one to an etcd that is full: it
says so of the last write that it applied, too.

**Limits** are the same for every store: what one takes, all take.

A store belongs to the event loop on which it was opened, and no call of it blocks that loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Self

from supreme_dask.stores.limits import (
    check_key,
    check_prefix,
    check_revision,
    check_transaction,
    check_ttl,
)
from supreme_dask.stores.operations import Compare, Delete, Operation, Put
from supreme_dask.stores.values import Changes, KeyValue, Lease, Listing, Outcome, Revision


class Store(ABC):
    """A key-value store with revisions, transactions, leases and watches.

    `open` it, or enter it with ``async with``, before any other call.
    """

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    @abstractmethod
    def address(self) -> str:
        """URL of the store, without its password."""

    @abstractmethod
    async def open(self) -> None:
        """Connect; raise what is wrong with the store or with our access to it."""

    @abstractmethod
    async def close(self) -> None:
        """End all watches and let go of everything. Leases live on until they run out."""

    async def get(self, key: str, *, at: Revision | None = None) -> KeyValue | None:
        """Return what a key holds, now or at an earlier revision; None if it is not there.

        Raises
        ------
        CompactedError, FutureRevisionError
            If the store cannot show revision `at`.
        """
        check_key(key)
        check_revision(at)
        return await self._get(key, at)

    async def list(self, prefix: str, *, at: Revision | None = None) -> Listing:
        """Return all keys that begin with a prefix, now or at an earlier revision.

        The empty prefix lists everything. Raises as `get` does.
        """
        check_prefix(prefix)
        check_revision(at)
        return await self._list(prefix, at)

    async def survey(self, prefix: str) -> tuple[KeyValue, ...]:
        """Return what all systems have under a prefix, wherever they are.

        Parts of it may be of different moments, so it has no revision and cannot be watched.
        """
        return (await self.list(prefix)).items

    async def put(self, key: str, value: bytes, *, lease: int = 0) -> Revision:
        """Set a key whatever it held, and return the revision.

        Parameters
        ----------
        key
            The key.
        value
            What it is to hold.
        lease
            Lease with which the key vanishes; 0 for none.

        Raises
        ------
        LeaseLostError
            If the lease has ended.
        """
        return await self._always(Put(key, value, lease))

    async def delete(self, key: str) -> Revision:
        """Remove a key if it is there, and return the revision."""
        return await self._always(Delete(key))

    async def transact(self, compares: Sequence[Compare], operations: Sequence[Operation]) -> Outcome:
        """Apply all operations at one revision if all compares hold, else nothing.

        No key may be touched by two operations. Without any change the revision stays as it is.

        Raises
        ------
        LeaseLostError
            If a put names a lease that has ended.
        """
        check_transaction(compares, operations)
        return await self._commit(tuple(compares), tuple(operations))

    async def grant(self, ttl: int) -> Lease:
        """Start a lease of at least `ttl` seconds. A store may grant more: see the answer."""
        check_ttl(ttl)
        return await self._grant(ttl)

    @abstractmethod
    async def keep_alive(self, lease: int) -> Lease:
        """Renew a lease once, for its full time to live from now.

        Raises
        ------
        LeaseLostError
            If it has ended; it cannot be brought back.
        """

    @abstractmethod
    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys. No error if it has ended already."""

    def watch(self, prefix: str, *, after: Revision) -> AsyncGenerator[Changes]:
        """Deliver every revision greater than `after` that changed a key under a prefix.

        List first and watch after the listing's revision; to resume, watch after the last delivered one.
        Close the generator (`contextlib.aclosing`) when done.

        Raises
        ------
        CompactedError
            If revisions after `after` were compacted.
        """
        check_prefix(prefix)
        return self._watch(prefix, after)

    @abstractmethod
    async def compact(self, revision: Revision) -> None:
        """Forget the history before a revision. Only for whoever has the store to himself.

        Compacting twice is no error. Raises `FutureRevisionError` beyond the newest revision.
        """

    async def _always(self, operation: Operation) -> Revision:
        return (await self.transact((), (operation,))).revision

    @abstractmethod
    async def _get(self, key: str, at: Revision | None) -> KeyValue | None: ...

    @abstractmethod
    async def _list(self, prefix: str, at: Revision | None) -> Listing: ...

    @abstractmethod
    async def _commit(self, compares: tuple[Compare, ...], operations: tuple[Operation, ...]) -> Outcome: ...

    @abstractmethod
    async def _grant(self, ttl: int) -> Lease: ...

    @abstractmethod
    def _watch(self, prefix: str, after: Revision) -> AsyncGenerator[Changes]: ...
