"""Remember: what outlives a process is in a store."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from supreme_dask.errors import StoreAddressError
from supreme_dask.stores.address import Address, parse
from supreme_dask.stores.base import Store
from supreme_dask.stores.operations import (
    Absent,
    Compare,
    CreateRevisionIs,
    Delete,
    DeletePrefix,
    Exists,
    ModRevisionIs,
    Operation,
    Put,
    ValueIs,
)
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

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Absent",
    "Changes",
    "Committed",
    "Compare",
    "CreateRevisionIs",
    "Delete",
    "DeletePrefix",
    "Event",
    "Exists",
    "KeyValue",
    "Lease",
    "Listing",
    "ModRevisionIs",
    "Operation",
    "Outcome",
    "Put",
    "Refused",
    "Revision",
    "Store",
    "ValueIs",
    "open_store",
]

SCHEMES = {
    "etcd": "supreme_dask.stores.etcd:EtcdStore",
    "memory": "supreme_dask.stores.memory:MemoryStore",
    "sqlite": "supreme_dask.stores.sqlite:SQLiteStore",
}
"""Where the store of each URL scheme is; imported only when it is asked for."""


def open_store(url: str, system: str = "") -> Store:
    """Return the store that a URL names, ready to be entered with ``async with``.

    Of several shards, it is the one of a system. Any other store ignores what the system is.

    ========================================  ==============================================
    ``memory://``                             for tests: gone with its process
    ``sqlite:///path/to/file``                for one machine: all its processes share it
    ``etcd://host1:2379,host2:2379/prefix``   for a cluster; needs the extra ``[etcd]``
    ``sharded:east=etcd://…;west=etcd://…``   systems spread over several stores of one kind or another
    ========================================  ==============================================

    Parameters
    ----------
    url
        One of the forms above.
    system
        Name of the system, of which only ``sharded:`` makes use.

    Raises
    ------
    StoreAddressError
        If the URL names no store.
    MissingExtraError
        If the store needs packages that are not installed.
    """
    if not isinstance(url, str):
        raise StoreAddressError(repr(url), "expected a URL, such as sqlite:///path/to/file")
    if url.startswith("sharded:"):
        from supreme_dask.stores.sharded import ShardedStore

        return ShardedStore.named(url, system)
    address = parse(url)
    if address.scheme not in SCHEMES:
        raise StoreAddressError(address.shown, f"unknown scheme, known are {', '.join(sorted(SCHEMES))}")
    module, name = SCHEMES[address.scheme].split(":")
    from_address = cast("Callable[[Address], Store]", getattr(import_module(module), name).from_address)
    return from_address(address)
