"""Where a SQLite store may be, and what its file must be like."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

from supreme_dask.errors import StoreAccessError, StoreAddressError

# The write-ahead log needs memory that all processes share, which no network file system gives.
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.s3fs"}
    | {"fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "pvfs2", "smb3"}
    | {"smbfs", "vboxsf"}
)


def prepare(path: Path, shown: str) -> None:
    """Create the file if it is not there, readable by its owner only.

    Raises
    ------
    StoreAddressError
        If the directory does not exist or is on a network file system.
    StoreAccessError
        If the file cannot be read and written.
    """
    if not path.parent.is_dir():
        raise StoreAddressError(shown, f"there is no directory {path.parent}; create it first")
    refuse_network(path, shown, {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)})
    if not _allowed(path.parent) or (path.exists() and not _allowed(path)):
        raise StoreAccessError(shown, "file and directory must be readable and writable for this user")
    if not path.exists():
        _create(path)


def _allowed(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _create(path: Path) -> None:
    """Create an empty file for its owner only, unless another process is faster.

    It gets its name only after it was closed. To close a file anywhere in a process takes away all locks of
    that process on it, also those of other connections: others would then take the file for unused, remove
    its log and so destroy it.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(descriptor)
    try:
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()


def refuse_network(path: Path, shown: str, mounts: dict[str, str]) -> None:
    """Raise `StoreAddressError` if a path is on a network file system, given what is mounted where."""
    kind = next((mounts[str(place)] for place in path.resolve().parents if str(place) in mounts), "")
    if kind.lower() in _NETWORK:
        raise StoreAddressError(
            shown,
            f"{path} is on a network file system ({kind}); use a local disk, or etcd",
        )
