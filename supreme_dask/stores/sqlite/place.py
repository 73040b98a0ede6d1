"""Where a SQLite store may be, and what its file must be like."""

from __future__ import annotations

import os
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
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreAccessError(
            shown, f"{error.strerror}: the file must be readable and writable for this user"
        ) from error


def refuse_network(path: Path, shown: str, mounts: dict[str, str]) -> None:
    """Raise `StoreAddressError` if a path is on a network file system, given what is mounted where."""
    kind = next((mounts[str(place)] for place in path.resolve().parents if str(place) in mounts), "")
    if kind.lower() in _NETWORK:
        raise StoreAddressError(
            shown,
            f"{path} is on a network file system ({kind}); use a local disk, or etcd",
        )
