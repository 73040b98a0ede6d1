"""Large things of a system: files named by their content, and pointers to them in the store.

Graphs and snapshots do not belong into a store's values. They are written by fsspec, to a directory, to S3 or
wherever else, under the SHA-256 of their content; then, last, a pointer is committed. A pointer therefore
never names a file that was not whole. What no pointer names any more is collected after a time of grace.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import fsspec

from supreme_dask.errors import BlobError, NotPublishedError
from supreme_dask.stores.base import Store
from supreme_dask.stores.layout import check_name, pack, prefix, unpack
from supreme_dask.stores.operations import Compare, Put
from supreme_dask.stores.values import KeyValue, Outcome

log = logging.getLogger(__name__)

_T = TypeVar("_T")

GRACE = 24 * 3600.0
"""Seconds for which a file is kept that no pointer names: its pointer may still be on its way."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which file holds a blob: its content's hash and its size in bytes.

    Attributes
    ----------
    sha256 : str
        SHA-256 of the content, in hexadecimal.
    size : int
        Bytes of the content.
    """

    sha256: str
    size: int


class Blobs:
    """The blobs of one system.

    Parameters
    ----------
    store
        Open; it keeps the pointers.
    system
        Name of the system.
    url
        Directory for the files, as fsspec writes it: ``file:///srv/blobs``, ``s3://bucket/blobs``. One system
        has one directory for itself.
    now
        Clock, in seconds since 1970 (UTC).
    options
        Of the file system, such as its credentials.
    """

    def __init__(
        self, store: Store, system: str, url: str, *, now: Callable[[], float] = time.time, **options: Any
    ) -> None:
        self._store = store
        self._prefix = prefix(system, "blobs")
        self._now = now
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, **options)
        except (ValueError, ImportError) as error:
            raise BlobError(url, f"no place for files: {error}") from error

    async def put(self, name: str, content: bytes, *, compares: Sequence[Compare] = ()) -> Outcome:
        """Keep a content under a name, whatever was there; the pointer only if all compares hold.

        Raises
        ------
        BlobError
            If the file could not be written, or reads back differently. The pointer is as it was.
        """
        pointer = Pointer(hashlib.sha256(content).hexdigest(), len(content))
        key = self._prefix + check_name(name)
        await self._on_files(name, lambda: self._write(pointer, content))
        outcome = await self._store.transact(
            compares, (Put(key, pack({"sha256": pointer.sha256, "size": pointer.size})),)
        )
        # A collection that began before the commit may have taken an old file of this content for garbage.
        if not await self._on_files(name, lambda: self._files.exists(self._path(pointer))):
            await self._on_files(name, lambda: self._write(pointer, content))
        return outcome

    async def get(self, name: str) -> bytes:
        """Return what is kept under a name.

        Raises
        ------
        NotPublishedError
            If nothing is.
        BlobError
            If the file is gone, or holds something else than was written.
        """
        kv = await self._store.get(self._prefix + check_name(name))
        if kv is None:
            raise NotPublishedError(f"blob {name!r}", sorted(await self.names()))
        pointer = self._pointer(kv)
        content: bytes = await self._on_files(name, lambda: self._files.cat_file(self._path(pointer)))
        if hashlib.sha256(content).hexdigest() != pointer.sha256:
            raise BlobError(name, f"{self._path(pointer)} holds something else than was written")
        return content

    async def delete(self, name: str) -> None:
        """Forget a name; its file is collected later."""
        await self._store.delete(self._prefix + check_name(name))

    async def names(self) -> dict[str, Pointer]:
        """Return the pointers by name."""
        listing = await self._store.list(self._prefix)
        return {kv.key.removeprefix(self._prefix): self._pointer(kv) for kv in listing.items}

    async def collect(self, *, grace: float = GRACE) -> tuple[str, ...]:
        """Remove files that no pointer names and that are older than `grace` seconds; return their hashes.

        The grace must be longer than any write takes from its file to its pointer.
        """
        moment = self._now() - grace
        old = await self._on_files("*", partial(self._older_than, moment))
        named = {pointer.sha256 for pointer in (await self.names()).values()}
        garbage = sorted(path for path in old if path.rpartition("/")[2] not in named)
        removed = [path for path in garbage if await self._on_files(path, partial(self._remove_if_old, path, moment))]
        if removed:
            log.info("Removed %d blobs that nothing names", len(removed))
        return tuple(path.rpartition("/")[2] for path in removed)

    def _write(self, pointer: Pointer, content: bytes) -> None:
        path = self._path(pointer)
        # Always anew, even if it is there: that makes it young, so that no collection takes it.
        temporary = f"{path}.{uuid.uuid4().hex}"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(temporary, content)
        self._files.mv(temporary, path)
        if hashlib.sha256(self._files.cat_file(path)).hexdigest() != pointer.sha256:
            raise OSError(f"{path} reads back differently")

    def _older_than(self, moment: float) -> list[str]:
        self._files.invalidate_cache()  # others write there, too
        paths: list[str] = self._files.find(self._root)
        return [path for path in paths if _seconds(self._files.modified(path)) < moment]

    def _remove_if_old(self, path: str, moment: float) -> bool:
        """Remove a file, unless it was written again meanwhile; return whether it is gone by us."""
        self._files.invalidate_cache()
        if not self._files.exists(path) or _seconds(self._files.modified(path)) >= moment:
            return False
        self._files.rm_file(path)
        return True

    def _path(self, pointer: Pointer) -> str:
        return f"{self._root.rstrip('/')}/{pointer.sha256[:2]}/{pointer.sha256}"

    def _pointer(self, kv: KeyValue) -> Pointer:
        return Pointer(**unpack(self._store.address, kv.key, kv.value))

    @staticmethod
    async def _on_files(name: str, action: Callable[[], _T]) -> _T:
        """Return what an action on files returns, which is run in a thread: it may take long."""
        try:
            return await asyncio.to_thread(action)
        except Exception as error:  # every kind of file system has errors of its own
            raise BlobError(name, str(error) or type(error).__name__) from error


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
