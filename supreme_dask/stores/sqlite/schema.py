"""The tables of a SQLite store, and the check that a file has them."""

from __future__ import annotations

import sqlite3

from supreme_dask.errors import StoreFormatError

VERSION = 1
APPLICATION = 0x5355_4453  # "SUDS"

# Rows live in `history` alone; `current` points at the newest row of each key that is there. Tables with
# rowids: without them, large values slow every read down by a factor of forty.
_TABLES = """
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1), revision INTEGER NOT NULL, compacted INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 1, 0);
CREATE TABLE history (
    row INTEGER PRIMARY KEY AUTOINCREMENT, revision INTEGER NOT NULL, key BLOB NOT NULL, value BLOB,
    create_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL
);
CREATE INDEX history_by_revision ON history (revision, row);
CREATE INDEX history_by_key ON history (key, revision);
CREATE TABLE current (key BLOB PRIMARY KEY, row INTEGER NOT NULL, lease INTEGER NOT NULL);
CREATE INDEX current_by_lease ON current (lease) WHERE lease <> 0;
CREATE TABLE leases (lease INTEGER PRIMARY KEY, ttl INTEGER NOT NULL, boot TEXT NOT NULL, ends REAL NOT NULL);
"""


def ensure(connection: sqlite3.Connection, shown: str) -> None:
    """Create the tables in an empty file; raise `StoreFormatError` if they are not ours."""
    if _known(connection, shown):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _known(connection, shown):  # another process may have been first
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _known(connection: sqlite3.Connection, shown: str) -> bool:
    application, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
    )
    if not tables and not application:
        return False
    if application != APPLICATION:
        raise StoreFormatError(shown, "a database of another program; choose another file")
    if version != VERSION:
        raise StoreFormatError(
            shown,
            f"its schema is {version}, we know {VERSION}; use the release that wrote it",
        )
    return True
