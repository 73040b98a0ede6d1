"""What a transaction is made of: compares and operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from supreme_dask.stores.values import KeyValue, Revision

__all__ = [
    "Absent",
    "Compare",
    "CreateRevisionIs",
    "Delete",
    "DeletePrefix",
    "Exists",
    "ModRevisionIs",
    "Operation",
    "Put",
    "ValueIs",
    "after_put",
    "holds",
]


@dataclass(frozen=True, slots=True)
class ModRevisionIs:
    """Holds if the key was last put at `revision`: compare-and-swap. 0 means that it is not there."""

    key: str
    revision: Revision


@dataclass(frozen=True, slots=True)
class CreateRevisionIs:
    """Holds if the key is still the one created at `revision`: a fence. 0 means that it is not there."""

    key: str
    revision: Revision


@dataclass(frozen=True, slots=True)
class ValueIs:
    """Holds if the key is there and holds `value`."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Exists:
    """Holds if the key is there."""

    key: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Holds if the key is not there."""

    key: str


Compare: TypeAlias = ModRevisionIs | CreateRevisionIs | ValueIs | Exists | Absent
"""What a transaction may require of one key."""


@dataclass(frozen=True, slots=True)
class Put:
    """Set a key, which vanishes with the lease if one is given; an earlier lease lets go of it.

    Attributes
    ----------
    key : str
        The key.
    value : bytes
        What it is to hold.
    lease : int
        Lease with which the key vanishes; 0 for none.
    """

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key if it is there."""

    key: str


@dataclass(frozen=True, slots=True)
class DeletePrefix:
    """Remove all keys that begin with `prefix`, which must not be empty."""

    prefix: str


Operation: TypeAlias = Put | Delete | DeletePrefix
"""What a transaction may do."""


def holds(compare: Compare, kv: KeyValue | None) -> bool:
    """Return whether a compare holds of what its key holds; None means that the key is not there."""
    match compare:
        case ModRevisionIs(_, revision):
            return revision == (kv.mod_revision if kv else 0)
        case CreateRevisionIs(_, revision):
            return revision == (kv.create_revision if kv else 0)
        case ValueIs(_, value):
            return kv is not None and kv.value == value
        case Exists():
            return kv is not None
        case Absent():
            return kv is None


def after_put(put: Put, before: KeyValue | None, revision: Revision) -> KeyValue:
    """Return what a key holds once `put` is applied at `revision` to what it held before."""
    created, version = (before.create_revision, before.version) if before else (revision, 0)
    return KeyValue(put.key, put.value, created, revision, version + 1, put.lease)
