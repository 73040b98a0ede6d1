"""One connection to the file of a SQLite store. Everything here blocks: it belongs to one thread."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from supreme_dask.errors import (
    AmbiguousWriteError,
    CompactedError,
    FutureRevisionError,
    LeaseLostError,
    StoreAccessError,
    StoreAddressError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreUnavailableError,
)
from supreme_dask.stores import clock
from supreme_dask.stores.operations import Compare, DeletePrefix, Operation, Put, after_put, holds
from supreme_dask.stores.sqlite import schema
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

_BUSY_SECONDS = 5.0
_ROWS_AT_ONCE = 1000
_COLUMNS = "history.key, history.value, create_revision, revision, version, history.lease"
_CURRENT = f"SELECT {_COLUMNS} FROM current JOIN history USING (row) WHERE"  # noqa: S608  constants only


class Database:
    """Reads and writes of the store, each one SQLite transaction."""

    def __init__(self, path: Path, shown: str, *, synchronous: str, most_bytes: int) -> None:
        self._shown = shown
        with self._named_errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._set_up(synchronous, most_bytes)
            except BaseException:
                self._connection.close()
                raise
        self._boot = clock.boot()

    def _set_up(self, synchronous: str, most_bytes: int) -> None:
        if self._execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise StoreAddressError(self._shown, "processes cannot share a file there; choose a local disk")
        self._execute(f"PRAGMA synchronous = {synchronous}")
        if most_bytes:
            page = self._value("PRAGMA page_size")
            self._execute(f"PRAGMA max_page_count = {max(most_bytes // page, 1)}")
        schema.ensure(self._connection, self._shown)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def seen(self) -> int:
        """Return a number that differs after another connection has changed the file."""
        with self._named_errors():
            return self._value("PRAGMA data_version")

    def get(self, key: str, at: Revision | None) -> KeyValue | None:
        """Return what a key holds, or held."""
        with self._reading(at):
            return self._current(key) if at is None else next(self._then(key.encode(), _next(key), at), None)

    def listing(self, prefix: str, at: Revision | None) -> Listing:
        """Return the keys under a prefix, ascending."""
        first, end = prefix.encode(), _prefix_end(prefix)
        with self._reading(at) as revision:
            if at is not None:
                return Listing(at, tuple(self._then(first, end, at)))
            rows = self._execute(f"{_CURRENT} current.key >= ? AND current.key < ? ORDER BY current.key", first, end)
            return Listing(revision, tuple(map(_key_value, rows)))

    def changes(self, prefix: str, after: Revision) -> tuple[Revision, tuple[Changes, ...]]:
        """Return what happened under a prefix after a revision, and up to which one; call again for more."""
        with self._reading() as head:
            compacted = self._compacted()
            if after < compacted:
                raise CompactedError(after, compacted)
            up_to = self._value(
                "SELECT revision FROM history WHERE revision > ? ORDER BY revision LIMIT 1 OFFSET ?",
                after,
                _ROWS_AT_ONCE,
                default=head,
            )
            # The plus keeps SQLite from walking the whole prefix instead of the newest revisions.
            rows = self._execute(
                f"SELECT {_COLUMNS} FROM history WHERE revision > ? AND revision <= ?"  # noqa: S608  constants
                " AND +key >= ? AND +key < ? ORDER BY revision, row",
                after,
                up_to,
                prefix.encode(),
                _prefix_end(prefix),
            ).fetchall()
        found = (Changes(revision, tuple(map(_event, batch))) for revision, batch in groupby(rows, _revision))
        return max(after, up_to), tuple(found)

    def commit(self, compares: tuple[Compare, ...], operations: tuple[Operation, ...]) -> Outcome:
        """Apply all operations if all compares hold."""
        with self._writing() as revision:
            current = {compare.key: self._current(compare.key) for compare in compares}
            if not all(holds(compare, current[compare.key]) for compare in compares):
                return Refused(revision, {key: kv for key, kv in current.items() if kv})
            changed = sum([self._apply(operation, revision + 1) for operation in operations])
            return Committed(self._advance(revision) if changed else revision)

    def grant(self, ttl: int) -> Lease:
        """Start a lease."""
        lease = secrets.randbits(62) | 1
        with self._writing():
            self._execute("INSERT INTO leases VALUES (?, ?, ?, ?)", lease, ttl, self._boot, clock.now() + ttl)
        return Lease(lease, ttl)

    def keep_alive(self, lease: int) -> Lease:
        """Renew a lease."""
        with self._writing():
            ttl = self._value("SELECT ttl FROM leases WHERE lease = ?", lease, default=0)
            if not ttl:
                raise LeaseLostError(lease)
            self._execute("UPDATE leases SET ends = ? WHERE lease = ?", clock.now() + ttl, lease)
        return Lease(lease, ttl)

    def revoke(self, lease: int) -> None:
        """End a lease and delete its keys."""
        with self._writing() as revision:
            self._end_lease(lease, revision)

    def compact(self, revision: Revision) -> None:
        """Keep of each key only what can be read from a revision on."""
        with self._writing() as head:
            if revision > head:
                raise FutureRevisionError(revision)
            self._execute("UPDATE state SET compacted = max(compacted, ?)", revision)
            self._execute(
                "DELETE FROM history WHERE revision <= ?1 AND (version = 0 OR EXISTS ("
                "SELECT 1 FROM history AS newer WHERE newer.key = history.key"
                " AND newer.revision > history.revision AND newer.revision <= ?1))",
                revision,
            )

    def tend(self, keep: int) -> None:
        """End overdue leases, and compact when there are twice as many revisions as to keep."""
        with self._reading() as head:
            overdue = bool(self._overdue())
            too_many = head - self._compacted() > 2 * keep
        if overdue:
            with self._writing():
                pass
        if too_many:
            self.compact(head - keep)

    # ------------------------------------------------------------------------------------- changes
    def _apply(self, operation: Operation, revision: Revision) -> int:
        """Apply one operation; return how many keys it changed."""
        if isinstance(operation, Put):
            self._put(operation, revision)
            return 1
        if isinstance(operation, DeletePrefix):
            first, end = operation.prefix.encode(), _prefix_end(operation.prefix)
            rows = self._execute("SELECT key FROM current WHERE key >= ? AND key < ?", first, end).fetchall()
            return self._remove([key for (key,) in rows], revision)
        return self._remove([operation.key.encode()] if self._current(operation.key) else [], revision)

    def _put(self, put: Put, revision: Revision) -> None:
        if put.lease and not self._value("SELECT 1 FROM leases WHERE lease = ?", put.lease, default=0):
            raise LeaseLostError(put.lease)
        kv = after_put(put, self._current(put.key), revision)
        key = kv.key.encode()
        row = self._execute(
            "INSERT INTO history (revision, key, value, create_revision, version, lease) VALUES (?, ?, ?, ?, ?, ?)",
            revision,
            key,
            kv.value,
            kv.create_revision,
            kv.version,
            kv.lease,
        ).lastrowid
        self._execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", key, row, kv.lease)

    def _remove(self, keys: Sequence[bytes], revision: Revision) -> int:
        for key in keys:
            self._execute("DELETE FROM current WHERE key = ?", key)
            self._execute(
                "INSERT INTO history (revision, key, create_revision, version, lease) VALUES (?, ?, 0, 0, 0)",
                revision,
                key,
            )
        return len(keys)

    def _end_lease(self, lease: int, revision: Revision) -> Revision:
        """Delete a lease and its keys; return the revision that is then."""
        self._execute("DELETE FROM leases WHERE lease = ?", lease)
        rows = self._execute("SELECT key FROM current WHERE lease = ? AND lease <> 0", lease).fetchall()
        return self._advance(revision) if self._remove([key for (key,) in rows], revision + 1) else revision

    def _advance(self, revision: Revision) -> Revision:
        self._execute("UPDATE state SET revision = ?", revision + 1)
        return revision + 1

    def _overdue(self) -> Sequence[int]:
        """Return the leases that have ended.

        One that ends later than it could is of another start of a machine that cannot tell its starts apart.
        """
        now = clock.now()
        rows = self._execute(
            "SELECT lease FROM leases WHERE ends <= ? OR ends > ? + ttl OR boot <> ?", now, now, self._boot
        )
        return [lease for (lease,) in rows]

    # ------------------------------------------------------------------------------------- reading
    def _current(self, key: str) -> KeyValue | None:
        row = self._execute(f"{_CURRENT} current.key = ?", key.encode()).fetchone()
        return _key_value(row) if row else None

    def _then(self, first: bytes, end: bytes, at: Revision) -> Iterator[KeyValue]:
        """Read keys as they were: of each the newest row up to a revision, unless it is a deletion."""
        rows = self._execute(
            f"SELECT {_COLUMNS}, max(row) FROM history WHERE key >= ? AND key < ? AND revision <= ?"  # noqa: S608
            " GROUP BY key ORDER BY key",
            first,
            end,
            at,
        ).fetchall()
        return (_key_value(row[:-1]) for row in rows if row[4])

    def _revision(self) -> Revision:
        return self._value("SELECT revision FROM state")

    def _compacted(self) -> Revision:
        return self._value("SELECT compacted FROM state")

    # ----------------------------------------------------------------------------------- connection
    @contextmanager
    def _reading(self, at: Revision | None = None) -> Iterator[Revision]:
        """Hold one state of the file, and give its revision."""
        with self._named_errors():
            self._execute("BEGIN")
            try:
                head = self._revision()
                if at is not None and at < self._compacted():
                    raise CompactedError(at, self._compacted())
                if at is not None and at > head:
                    raise FutureRevisionError(at)
                yield head
            finally:
                self._execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[Revision]:
        """Hold the write lock, with no lease overdue, and give the revision; roll back on any error."""
        with self._named_errors(writing=True):
            self._execute("BEGIN IMMEDIATE")
            try:
                revision = self._revision()
                for lease in self._overdue():
                    revision = self._end_lease(lease, revision)
                yield revision
                self._execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._execute("ROLLBACK")
                raise

    def _execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _value(self, statement: str, *values: Any, default: int | None = None) -> int:
        row = self._execute(statement, *values).fetchone()
        if row is None and default is not None:
            return default
        return int(row[0])

    @contextmanager
    def _named_errors(self, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _named(error, self._shown, writing=writing) from error


def _named(error: sqlite3.Error, shown: str, *, writing: bool) -> StoreError:
    """Return the error of ours that says what one of SQLite's means."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    match code:
        case sqlite3.SQLITE_NOTADB:
            return StoreFormatError(shown, "not a SQLite database; choose another file")
        case sqlite3.SQLITE_CORRUPT:
            return StoreFormatError(shown, f"damaged ({error}); restore it from a backup")
        case sqlite3.SQLITE_FULL:
            return StoreFullError(shown, "free some on the disk, or raise max-bytes in the address")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreAccessError(shown, f"{error}: the file and its directory must be writable for this user")
        case sqlite3.SQLITE_IOERR if writing:
            return AmbiguousWriteError(shown, str(error))
        case _:
            return StoreUnavailableError(shown, str(error))


def _prefix_end(prefix: str) -> bytes:
    """Return what follows all keys of a prefix; no UTF-8 contains 0xFF."""
    encoded = prefix.encode()
    return encoded[:-1] + bytes([encoded[-1] + 1]) if encoded else b"\xff"


def _next(key: str) -> bytes:
    return key.encode() + b"\0"


def _key_value(row: tuple[Any, ...]) -> KeyValue:
    key, value, created, modified, version, lease = row
    return KeyValue(key.decode(), value, created, modified, version, lease)


def _event(row: tuple[Any, ...]) -> Event:
    kv = _key_value(row)
    return Event(kv.key, kv if kv.version else None)


def _revision(row: tuple[Any, ...]) -> Revision:
    return int(row[3])
