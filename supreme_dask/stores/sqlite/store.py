"""The embedded store as the contract wants it: SQLite in threads, watches over processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from supreme_dask.errors import StoreError, StoreUnavailableError
from supreme_dask.stores.address import Address
from supreme_dask.stores.base import Store
from supreme_dask.stores.operations import Compare, Operation
from supreme_dask.stores.sqlite.database import Database
from supreme_dask.stores.sqlite.place import prepare
from supreme_dask.stores.values import Changes, KeyValue, Lease, Listing, Outcome, Revision

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_OPTIONS = ("synchronous", "keep", "max-bytes")
_LOOK = 0.02  # s between looks for what other processes wrote
_TEND = 0.25  # s between looks for ended leases


class SQLiteStore(Store):
    """A file that any number of processes of one machine use at once.

    They write one after the other: a process that is stopped in the middle of a write, by a debugger for
    example, holds up the others until it goes on or dies. One that is killed does not.

    Options of the address:

    ``synchronous``
        ``full`` (default): what was answered survives a power cut. ``normal``: it survives the death
        of processes, but the last writes may be lost with the power; ten times as fast.
    ``keep``
        Revisions that can still be read, at least; 10000.
    ``max-bytes``
        Size at which writes are refused with `StoreFullError`; without it, the disk is the limit.

    Parameters
    ----------
    path
        The file.
    synchronous
        As in the address.
    keep
        As in the address.
    most_bytes
        ``max-bytes`` of the address; 0 for no limit.
    """

    def __init__(self, path: Path, *, synchronous: str = "full", keep: int = 10_000, most_bytes: int = 0) -> None:
        self._path = path
        self._address = f"sqlite://{path}"
        self._keep = keep
        self._connect = partial(Database, path, self._address, synchronous=synchronous, most_bytes=most_bytes)
        self._reader: _Thread | None = None
        self._writer: _Thread | None = None
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._watches = 0

    @classmethod
    def from_address(cls, address: Address) -> SQLiteStore:
        """Return the store of the file that ``address`` names."""
        address.check_options(_OPTIONS)
        if address.hosts:
            raise address.problem("a path begins with a third slash: sqlite:///path/to/file")
        if address.path.strip("/") == "" or address.path.endswith("/"):
            raise address.problem("no file: sqlite:///path/to/file")
        synchronous = address.options.get("synchronous", "full")
        if synchronous not in ("full", "normal"):
            raise address.problem(f"synchronous={synchronous!r}, known are full and normal")
        return cls(
            Path(address.path),
            synchronous=synchronous,
            keep=int(address.number("keep", 10_000, least=1)),
            most_bytes=int(address.number("max-bytes", 0, least=0)),
        )

    @property
    def address(self) -> str:
        """URL of the store."""
        return self._address

    async def open(self) -> None:
        """Open the file; create it if it is not there."""
        await asyncio.to_thread(prepare, self._path, self._address)
        self._writer = await _Thread.start(self._connect)
        self._reader = await _Thread.start(self._connect)
        self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._tend())]

    async def close(self) -> None:
        """Let go of the file and end all watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        threads, self._reader, self._writer = (self._reader, self._writer), None, None
        self._wake()
        for thread in threads:
            if thread is not None:
                await thread.stop()

    async def _get(self, key: str, at: Revision | None) -> KeyValue | None:
        return await self._read(lambda database: database.get(key, at))

    async def _list(self, prefix: str, at: Revision | None) -> Listing:
        return await self._read(lambda database: database.listing(prefix, at))

    async def _commit(self, compares: tuple[Compare, ...], operations: tuple[Operation, ...]) -> Outcome:
        return await self._write(lambda database: database.commit(compares, operations))

    async def _grant(self, ttl: int) -> Lease:
        return await self._write(lambda database: database.grant(ttl))

    async def keep_alive(self, lease: int) -> Lease:
        """Renew a lease once."""
        return await self._write(lambda database: database.keep_alive(lease))

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys."""
        await self._write(lambda database: database.revoke(lease))

    async def compact(self, revision: Revision) -> None:
        """Forget the history before a revision."""
        await self._write(lambda database: database.compact(revision))

    async def _watch(self, prefix: str, after: Revision) -> AsyncGenerator[Changes]:
        self._watches += 1
        try:
            while self._reader is not None:
                changed = self._changed
                reached, found = await self._read(partial(Database.changes, prefix=prefix, after=after))
                for changes in found:
                    yield changes
                if reached == after:
                    await changed.wait()
                after = reached
        finally:
            self._watches -= 1

    async def _read(self, action: Callable[[Database], _T]) -> _T:
        return await self._opened(self._reader).run(action)

    async def _write(self, action: Callable[[Database], _T]) -> _T:
        answer = await self._opened(self._writer).run(action)
        self._wake()
        return answer

    def _opened(self, thread: _Thread | None) -> _Thread:
        if thread is None:
            raise StoreUnavailableError(self._address, "it is not open")
        return thread

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _look(self) -> None:
        """Wake the watches when another process has written."""
        seen = -1
        while True:
            await asyncio.sleep(_LOOK)
            if self._watches:
                before, seen = seen, await self._stamp()
                if seen != before:
                    self._wake()

    async def _stamp(self) -> int:
        """Return what changes when another process has written, or -1 so that the watches see the failure."""
        try:
            return await self._read(Database.seen)
        except StoreError:
            return -1

    async def _tend(self) -> None:
        """End leases on time even when nobody writes."""
        while True:
            await asyncio.sleep(_TEND)
            try:
                await self._opened(self._writer).run(lambda database: database.tend(self._keep))
            except StoreError as error:
                log.warning("Leases cannot be ended for now: %s", error)


class _Thread:
    """A thread with a connection of its own."""

    def __init__(self, executor: ThreadPoolExecutor, database: Database) -> None:
        self._executor = executor
        self._database = database

    @classmethod
    async def start(cls, connect: Callable[[], Database]) -> _Thread:
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="supreme-store")
        try:
            return cls(executor, await asyncio.get_running_loop().run_in_executor(executor, connect))
        except BaseException:
            executor.shutdown(wait=False)
            raise

    async def run(self, action: Callable[[Database], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, action, self._database)

    async def stop(self) -> None:
        await self.run(Database.close)
        self._executor.shutdown(wait=False)
