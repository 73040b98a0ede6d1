"""The store of a cluster: an own small asyncio client of etcd's v3 API.

No ready one survives the death of the member it talks to; docs/decisions/0003 has the figures.
"""

from __future__ import annotations

from supreme_dask.errors import MissingExtraError

try:
    from supreme_dask.stores.etcd.store import EtcdStore
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] not in ("grpc", "google"):
        raise
    raise MissingExtraError("etcd", "A store on etcd") from error

__all__ = ["EtcdStore"]
