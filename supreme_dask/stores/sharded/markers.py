"""The keys that say where a system is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from supreme_dask.stores.layout import check_name, pack, unpack
from supreme_dask.stores.operations import ModRevisionIs, Put
from supreme_dask.stores.values import KeyValue, Revision

HOMES = "homes/"

State: TypeAlias = Literal["here", "leaving", "gone", "arriving"]


@dataclass(frozen=True, slots=True)
class Marker:
    """What a shard says of a system.

    Attributes
    ----------
    state : str
        See `supreme_dask.stores.sharded`.
    other : str
        Shard to which it leaves or went, or from which it arrives.
    move : str
        Identity of that move.
    base : int
        Added to the shard's revisions, so that those of the system ascend over its moves.
    """

    state: State
    other: str = ""
    move: str = ""
    base: int = 0


@dataclass(frozen=True, slots=True)
class Sign:
    """A marker that was read: in which shard, and the revision at which it was put there."""

    system: str
    shard: str
    marker: Marker
    revision: Revision

    @property
    def present(self) -> bool:
        """Return whether the system is in this shard."""
        return self.marker.state in ("here", "leaving")

    @property
    def fence(self) -> ModRevisionIs:
        """Holds until the marker changes."""
        return ModRevisionIs(marker_key(self.system), self.revision)

    def changed_to(self, marker: Marker) -> Put:
        """Return the operation that puts another marker in its place."""
        return Put(marker_key(self.system), pack(asdict(marker)))


def marker_key(system: str) -> str:
    """Return the key of a system's marker."""
    return HOMES + check_name(system)


def read_marker(store: str, shard: str, kv: KeyValue) -> Sign:
    """Return what a marker's key holds."""
    marker = Marker(**unpack(store, kv.key, kv.value))
    return Sign(kv.key.removeprefix(HOMES), shard, marker, kv.mod_revision)
