"""What was decided, and why: a log per system that can be read after everything has stopped.

It is written in batches, and only the newest are kept. Whoever records never waits: entries gather in memory
while the store is slow or down, and beyond a bound the oldest of them are dropped and counted. If the answer
to a write is lost, its entries may be there twice; they are never out of order.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from supreme_dask.core.revisions import encode
from supreme_dask.errors import AmbiguousWriteError, LimitError, StoreError
from supreme_dask.stores import open_store
from supreme_dask.stores.base import Store
from supreme_dask.stores.layout import pack, prefix, unpack
from supreme_dask.stores.operations import Delete, ModRevisionIs, Operation, Put
from supreme_dask.stores.outage import Outage
from supreme_dask.stores.values import Committed

log = logging.getLogger(__name__)

Entry: TypeAlias = Mapping[str, Any]
"""Plain values; by custom ``time``, ``what`` and ``reason``."""

BATCH_BYTES = 32 * 1024
MOST_ENTRY_BYTES = 8 * 1024
_RETRY = 1.0  # s, after the store did not answer


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a history is kept.

    Attributes
    ----------
    batches : int
        In the store, of up to 32 KiB each.
    waiting : int
        Entries in memory that the store has not taken yet.
    """

    batches: int = 256
    waiting: int = 10_000


async def read(store: Store, system: str) -> tuple[dict[str, Any], ...]:
    """Return the entries that are kept of a system, oldest first."""
    listing = await store.list(prefix(system, "decisions"))
    return tuple(entry for kv in listing.items for entry in unpack(store.address, kv.key, kv.value)["entries"])


class History:
    """Writes the history of a system.

    Parameters
    ----------
    url
        Address of the store.
    every
        Seconds between two writes.
    """

    def __init__(self, url: str, system: str, *, every: float = 0.5, bounds: Bounds | None = None) -> None:
        open_store(url, system)  # a mistake in the address is better said at the start
        self._url = url
        self._system = system
        self._prefix = prefix(system, "decisions")
        self._every = every
        self._bounds = bounds or Bounds()
        self._waiting: deque[Entry] = deque()
        self._dropped = 0
        self._outage = Outage(log)
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Number of entries that are not in the store yet."""
        return len(self._waiting)

    def record(self, entry: Entry) -> None:
        """Add an entry; it is written soon. Only for the thread of the event loop; never blocks.

        Raises
        ------
        LimitError
            If it is not made of plain values, or over 8 KiB.
        """
        try:
            size = len(encode(entry))
        except (TypeError, ValueError) as error:
            raise LimitError(f"entry with {error}", "plain values, as JSON has them") from None
        if size > MOST_ENTRY_BYTES:
            raise LimitError(f"entry of {size} bytes", f"up to {MOST_ENTRY_BYTES}", "Keep large things as blobs.")
        if len(self._waiting) >= self._bounds.waiting:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(entry)
        self._idle.clear()
        self._wanted.set()

    def start(self) -> None:
        """Begin to write, on the running event loop, and return at once."""
        self._task = asyncio.create_task(self._run(), name="supreme-history")

    async def stop(self, *, seconds: float = 2) -> None:
        """Write what waits, as far as the store takes it in so many seconds, and end."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d entries of the history were not written", len(self._waiting))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                async with open_store(self._url, self._system) as store:
                    await self._write_on(store)
            except (StoreError, OSError) as error:
                self._outage.failed("History waits for the store", error)
                self._wanted.set()
            await asyncio.sleep(max(self._every, _RETRY))

    async def _write_on(self, store: Store) -> None:
        tail = await _Tail.of(store, self._prefix)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._waiting:
                tail = await self._append(store, tail, self._next_batch(tail))
                self._outage.ended("History is written again")
            await asyncio.sleep(self._every)

    def _next_batch(self, tail: _Tail) -> _Batch:
        """Return what the newest key must hold so that as much as fits of what waits is in it."""
        noted = self._dropped
        entries = [*tail.entries, *([{"what": "dropped", "count": noted}] if noted else [])]
        size = sum(len(encode(entry)) + 1 for entry in entries)
        taken: list[Entry] = []
        for entry in self._waiting:
            size += len(encode(entry)) + 1
            if size > BATCH_BYTES:
                break
            taken.append(entry)
        return _Batch((*entries, *taken), tuple(taken), noted)

    async def _append(self, store: Store, tail: _Tail, batch: _Batch) -> _Tail:
        """Write a batch in the place of the newest one, or begin a new one if that is full."""
        if not batch.taken:
            return _Tail(tail.number + 1, 0)
        identity = uuid.uuid4().hex
        key = f"{self._prefix}{tail.number:012d}"
        operations: list[Operation] = [Put(key, pack({"id": identity, "entries": batch.entries}))]
        if tail.number > self._bounds.batches:
            operations.append(Delete(f"{self._prefix}{tail.number - self._bounds.batches:012d}"))
        try:
            outcome = await store.transact((ModRevisionIs(key, tail.mod_revision),), operations)
        except AmbiguousWriteError:
            kv = await store.get(key)
            if kv is None or unpack(store.address, key, kv.value).get("id") != identity:
                raise
            outcome = Committed(kv.mod_revision)
        if not isinstance(outcome, Committed):
            return await _Tail.of(store, self._prefix)  # another writer was faster: go on behind it
        self._forget(batch)
        return _Tail(tail.number, outcome.revision, batch.entries)

    def _forget(self, batch: _Batch) -> None:
        """Let go of what is in the store; some of it may have been dropped meanwhile."""
        self._dropped -= batch.noted
        for entry in batch.taken:
            if self._waiting and self._waiting[0] is entry:
                self._waiting.popleft()
            else:
                self._dropped -= 1
        if not self._waiting:
            self._idle.set()


@dataclass(frozen=True, slots=True)
class _Tail:
    """The newest batch, to which more can be added, and the store's revision that put it; 0 if it is new."""

    number: int
    mod_revision: int
    entries: tuple[Entry, ...] = ()

    @classmethod
    async def of(cls, store: Store, room: str) -> _Tail:
        listing = await store.list(room)
        if not listing.items:
            return cls(1, 0)
        newest = listing.items[-1]
        entries = unpack(store.address, newest.key, newest.value)["entries"]
        return cls(int(newest.key.removeprefix(room)), newest.mod_revision, tuple(entries))


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a key is to hold, which waiting entries are in it, and how many dropped ones it notes."""

    entries: tuple[Entry, ...]
    taken: tuple[Entry, ...]
    noted: int
