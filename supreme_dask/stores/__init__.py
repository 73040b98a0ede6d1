"""Remember: what outlives a process is in a store."""

from __future__ import annotations

from supreme_dask.stores.base import (
    Changes,
    Committed,
    Event,
    KeyValue,
    Lease,
    Listing,
    Outcome,
    Refused,
    Revision,
    Store,
)
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
]
