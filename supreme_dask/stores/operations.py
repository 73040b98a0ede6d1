"""What a transaction is made of: compares and operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

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
]


@dataclass(frozen=True, slots=True)
class ModRevisionIs:
    """Holds if the key was last put at `revision`: compare-and-swap. 0 means that it is not there."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class CreateRevisionIs:
    """Holds if the key is still the one created at `revision`: a fence. 0 means that it is not there."""

    key: str
    revision: int


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


@dataclass(frozen=True, slots=True)
class Put:
    """Set a key, which vanishes with the lease if one is given; an earlier lease lets go of it."""

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
