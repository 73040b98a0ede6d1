"""Move systems between shards. Every step can be the last of a mover: running it again goes on."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from supreme_dask.core.sharding import ranked
from supreme_dask.errors import MoveError, StoreAddressError
from supreme_dask.stores.layout import SYSTEMS
from supreme_dask.stores.limits import TRANSACTION_BYTES, TRANSACTION_PARTS, operation_size
from supreme_dask.stores.operations import DeletePrefix, Operation, Put
from supreme_dask.stores.sharded.homes import Shards
from supreme_dask.stores.sharded.markers import Marker, Sign
from supreme_dask.stores.values import Committed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Astray:
    """A system that is not on its home shard."""

    system: str
    shard: str
    home: str


async def astray(shards: Shards) -> tuple[Astray, ...]:
    """Return the systems that are not where their names would have them."""
    signs = [sign for shard in shards.names for sign in await shards.signs(shard) if sign.present]
    found = [Astray(sign.system, sign.shard, ranked(sign.system, shards.names)[0]) for sign in signs]
    return tuple(one for one in sorted(found, key=lambda one: one.system) if one.shard != one.home)


async def move(shards: Shards, system: str, to: str, *, running: bool = False) -> bool:
    """Move a system to a shard; return whether it had to be moved.

    To the shard that it is leaving: the move is given up.

    Parameters
    ----------
    running
        Move it although processes of it are registered. They lose their leases and register again; a leader
        that they have is elected anew, in a later epoch.

    Raises
    ------
    MoveError
        If there is no such system, if it runs, or if somebody else moves it at the same time.
    """
    if to not in shards.names:
        raise StoreAddressError(shards.shown, f"names no shard {to!r}, but {', '.join(shards.names)}")
    found = await shards.locate(system)
    if found is None:
        raise MoveError(system, "there is no such system")
    if found.shard == to:
        if found.marker.state == "leaving":
            _won(await shards.change(found, Marker("here", base=found.marker.base)), system)
        return False
    if found.marker.state == "here" and not running:
        await _check_stopped(shards, found)
    await _carry(shards, found, to)
    log.info("System %s moved from %s to %s", system, found.shard, to)
    return True


async def _carry(shards: Shards, found: Sign, to: str) -> None:
    token, room, base = uuid.uuid4().hex, f"{SYSTEMS}{found.system}/", found.marker.base
    frozen = _won(await shards.change(found, Marker("leaving", to, token, base)), found.system)
    target = await _expect(shards, found, to, token)
    here = await shards.store(found.shard)
    items = (await here.list(room)).items
    await _write(shards, target, [DeletePrefix(room)])  # what a mover before us may have left
    for batch in _batches([Put(kv.key, kv.value) for kv in items if not kv.lease]):
        await _write(shards, target, batch)
    _won(await shards.change(frozen, Marker("gone", to, token, base), DeletePrefix(room)), found.system)
    await shards.locate(found.system)  # which finds that it has arrived


async def _check_stopped(shards: Shards, found: Sign) -> None:
    listing = await (await shards.store(found.shard)).list(f"{SYSTEMS}{found.system}/")
    leased = sum(kv.lease != 0 for kv in listing.items)
    if leased:
        raise MoveError(found.system, f"it runs ({leased} keys under leases); stop it, or move it with --running")


async def _expect(shards: Shards, found: Sign, to: str, token: str) -> Sign:
    """Tell the shard that a system arrives; unless it is there by now, by another mover."""
    before = await shards.sign(to, found.system)
    if before is not None and before.present:
        raise MoveError(found.system, f"somebody else has moved it to {to}")
    sign = before or Sign(found.system, to, Marker("gone"), 0)
    return _won(await shards.change(sign, Marker("arriving", found.shard, token)), found.system)


async def _write(shards: Shards, target: Sign, operations: Sequence[Operation]) -> None:
    store = await shards.store(target.shard)
    outcome = await store.transact((target.fence,), operations)
    if not isinstance(outcome, Committed):
        raise MoveError(target.system, _RIVAL)


def _batches(puts: Sequence[Put]) -> Iterator[list[Put]]:
    """Split puts into transactions that every store takes."""
    batch: list[Put] = []
    size = 0
    for put in puts:
        size += operation_size(put)
        if batch and (len(batch) == TRANSACTION_PARTS or size > TRANSACTION_BYTES // 2):
            yield batch
            batch, size = [], operation_size(put)
        batch.append(put)
    if batch:
        yield batch


def _won(sign: Sign | None, system: str) -> Sign:
    if sign is None:
        raise MoveError(system, _RIVAL)
    return sign


_RIVAL = "somebody else moves it at the same time; look where it is, and run this again if need be"
