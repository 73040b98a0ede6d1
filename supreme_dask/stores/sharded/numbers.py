"""Revisions of a system, made of those of the shard that it is in.

A shard's revisions, plus a base that each move raises: so they ascend over all moves, and what was seen
before a move is past, and compacted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from supreme_dask.errors import CompactedError, FutureRevisionError
from supreme_dask.stores.operations import Compare, CreateRevisionIs, ModRevisionIs
from supreme_dask.stores.values import Changes, Event, KeyValue, Revision

_NEVER = -1  # a revision at which no key was ever put


@dataclass(frozen=True, slots=True)
class Numbers:
    """Translates between a system's revisions and those of its shard.

    Attributes
    ----------
    base : int
        What is added to those of the shard.
    first : int
        Revision of the shard at which the system came there.
    """

    base: int
    first: Revision

    def inner(self, at: Revision | None) -> Revision | None:
        """Return the shard's revision, or raise `CompactedError` for one before the system came."""
        if at is None:
            return None
        if at < self.base + self.first:
            raise CompactedError(at, self.base + self.first)
        return at - self.base

    @contextmanager
    def told(self, at: Revision) -> Iterator[None]:
        """Raise errors about revision `at` with the system's numbers."""
        try:
            yield
        except CompactedError as error:
            raise CompactedError(at, error.compacted and error.compacted + self.base) from error
        except FutureRevisionError as error:
            raise FutureRevisionError(at) from error

    def compare(self, compare: Compare) -> Compare:
        """Return a compare as the shard can make it; of a revision before the move it cannot hold."""
        match compare:
            case ModRevisionIs(_, revision) | CreateRevisionIs(_, revision) if revision:
                inner = revision - self.base
                return replace(compare, revision=inner if inner > 0 else _NEVER)
        return compare

    def key_value(self, kv: KeyValue) -> KeyValue:
        """Return what a key holds with the system's numbers."""
        if not self.base:
            return kv
        return replace(kv, create_revision=kv.create_revision + self.base, mod_revision=kv.mod_revision + self.base)

    def changes(self, changes: Changes) -> Changes:
        """Return changes with the system's numbers."""
        if not self.base:
            return changes
        events = tuple(Event(event.key, event.kv and self.key_value(event.kv)) for event in changes.events)
        return Changes(changes.revision + self.base, events)
