"""Which shard keeps which system."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


def ranked(system: str, shards: Iterable[str]) -> tuple[str, ...]:
    """Return the shards in the order in which they would keep a system; its home is the first.

    Rendezvous hashing (Thaler and Ravishankar, 1998). A shard that is added comes first for its share of the
    systems, one in as many as there are shards then, and changes nothing between the others.
    """
    return tuple(sorted(shards, key=lambda shard: sha256(f"{shard}\0{system}".encode()).digest(), reverse=True))
