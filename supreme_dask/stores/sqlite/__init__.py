"""The embedded store: one file, shared by all processes of one machine."""

from __future__ import annotations

from supreme_dask.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
