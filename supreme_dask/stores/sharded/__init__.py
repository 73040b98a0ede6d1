"""Systems spread over several stores, the shards; each system whole in one of them.

Where a system is, a *marker* says in the shard itself: every write compares it, so that nobody who has not
heard of a move can write where the system was. While the system moves, its marker goes through these states::

    at the shard that it leaves     here ──▶ leaving ──▶ gone
    at the shard that it moves to            arriving ──────▶ here

All is copied between ``leaving`` and ``gone``; the step to ``gone`` is the move. Whoever finds a system gone
and still arriving finishes the move. A mover that died before is replaced by running the command again.
"""

from supreme_dask.stores.sharded.homes import Shards
from supreme_dask.stores.sharded.store import ShardedStore

__all__ = ["ShardedStore", "Shards"]
