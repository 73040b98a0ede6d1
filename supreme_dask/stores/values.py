"""What stores answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Revision: TypeAlias = int
"""Number of a state of the whole store; greater is later."""


@dataclass(frozen=True, slots=True)
class KeyValue:
    """What a key holds at one revision.

    Attributes
    ----------
    key : str
        The key.
    value : bytes
        What it holds.
    create_revision : int
        Revision that put the key when it was not there.
    mod_revision : int
        Revision of the newest put.
    version : int
        Puts since the key was created, the first included.
    lease : int
        Lease with which the key vanishes; 0 for none.
    """

    key: str
    value: bytes
    create_revision: Revision
    mod_revision: Revision
    version: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """All keys under a prefix, ascending, as they were at one revision: watch `after` it.

    Attributes
    ----------
    revision : int
        Revision at which they were so.
    items : tuple of KeyValue
        The keys, ascending.
    """

    revision: Revision
    items: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One key's change. `kv` is None when the key was deleted or its lease ended."""

    key: str
    kv: KeyValue | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes that one revision made under a watched prefix.

    Attributes
    ----------
    revision : int
        Revision that made them.
    events : tuple of Event
        What changed.
    """

    revision: Revision
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease, and the seconds for which it was granted or renewed.

    Attributes
    ----------
    id : int
        Its number.
    ttl : int
        Seconds.
    """

    id: int
    ttl: int


@dataclass(frozen=True, slots=True)
class Committed:
    """All compares held and the operations were applied, at `revision`."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Refused:
    """A compare did not hold, nothing was changed.

    `current` is what the compared keys that exist held at that moment.

    Attributes
    ----------
    revision : int
        Revision of the store at that moment.
    current : dict
        The compared keys that exist, with what they held.
    """

    revision: Revision
    current: dict[str, KeyValue]


Outcome: TypeAlias = Committed | Refused
"""What became of a transaction."""
