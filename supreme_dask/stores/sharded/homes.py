"""The shards of an address, and the homes of systems among them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from supreme_dask.core.sharding import ranked
from supreme_dask.errors import StoreAddressError, StoreFormatError, StoreUnavailableError
from supreme_dask.stores.address import parse
from supreme_dask.stores.base import Store
from supreme_dask.stores.layout import pack, unpack
from supreme_dask.stores.operations import Absent, ModRevisionIs, Operation, Put
from supreme_dask.stores.sharded.markers import HOMES, Marker, Sign, marker_key, read_marker
from supreme_dask.stores.values import Committed, KeyValue

SCHEME = "sharded:"
_FORM = "write sharded:east=etcd://host1:2379/prefix;west=etcd://host2:2379/prefix"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_MEMBERSHIP = "shard"
_PAUSE = 0.1


class Shards:
    """Several stores under names that stay, whatever becomes of their hosts.

    Each shard keeps its name, and the names of all. A new system is put only by those who name the same
    shards, so that nobody takes a shard of which the others do not know yet for its home.

    Parameters
    ----------
    patience
        Seconds to wait for a system that is being moved.
    """

    def __init__(self, urls: Mapping[str, str], *, patience: float = 10.0) -> None:
        self.names = tuple(sorted(urls))
        self.shown = SCHEME + ";".join(f"{name}={parse(url).shown}" for name, url in urls.items())
        self._urls = urls
        self._patience = patience
        self._stores: dict[str, Store] = {}
        self._opening = asyncio.Lock()

    @classmethod
    def named(cls, url: str) -> Shards:
        """Return the shards of an address.

        Raises
        ------
        StoreAddressError
            If it names none, one twice, or something that is none.
        """
        parts = [part.strip().partition("=") for part in url.removeprefix(SCHEME).split(";")]
        urls = {name: store for name, _, store in parts}
        for name, equals, store in parts:
            if not equals or not _NAME.fullmatch(name):
                raise StoreAddressError(SCHEME, f"{name[:30]!r} does not name a shard; {_FORM}")
            parse(store)
        if len(urls) < len(parts):
            raise StoreAddressError(SCHEME, f"a name is there twice; {_FORM}")
        return cls(urls)

    async def close(self) -> None:
        """Close every shard that was opened."""
        stores, self._stores = self._stores, {}
        for store in stores.values():
            await store.close()

    async def store(self, shard: str) -> Store:
        """Return a shard, which is opened when it is first asked for: no system waits for another's."""
        async with self._opening:
            if shard not in self._stores:
                if shard not in self._urls:
                    raise StoreAddressError(self.shown, f"names no shard {shard!r}, but a system moved there")
                self._stores[shard] = await self._opened(shard)
        return self._stores[shard]

    async def sign(self, shard: str, system: str) -> Sign | None:
        """Return what a shard says of a system."""
        store = await self.store(shard)
        kv = await store.get(marker_key(system))
        return read_marker(store.address, shard, kv) if kv else None

    async def signs(self, shard: str) -> list[Sign]:
        """Return what a shard says of all systems of which it knows."""
        store = await self.store(shard)
        return [read_marker(store.address, shard, kv) for kv in (await store.list(HOMES)).items]

    async def home(self, system: str) -> Sign:
        """Return where a system is, which is from now on its home shard if it was nowhere.

        Raises
        ------
        StoreUnavailableError
            If it is being moved, for longer than we wait.
        StoreAddressError
            If it is new, and the shards do not know each other as this address names them.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while True:
            found = await self.locate(system) or await self._claim(system)
            if found is not None and found.marker.state == "here":
                return found
            if loop.time() > end:
                raise StoreUnavailableError(self.shown, _unfinished(system, found))
            await asyncio.sleep(_PAUSE)

    async def locate(self, system: str) -> Sign | None:
        """Return the marker of the shard that has a system, in state ``here`` or ``leaving``."""
        for shard in ranked(system, self.names):
            sign = await self.sign(shard, system)
            while sign is not None and not sign.present:
                sign = await self._follow(sign)
            if sign is not None:
                return sign
        return None

    async def change(self, sign: Sign, marker: Marker, *operations: Operation) -> Sign | None:
        """Put another marker in the place of one, unless somebody else did; do more together with it."""
        store = await self.store(sign.shard)
        outcome = await store.transact((sign.fence,), (sign.changed_to(marker), *operations))
        return Sign(sign.system, sign.shard, marker, outcome.revision) if isinstance(outcome, Committed) else None

    async def enroll(self) -> None:
        """Let every shard know all that this address names, those that are new last.

        Until the last one knows, nobody can put a new system on a new shard; from then on, nobody can put
        one who does not know the new shards.
        """
        records = {shard: await self._membership(shard) for shard in self.names}
        for shard, kv in sorted(records.items(), key=lambda item: item[1] is None):
            missing = self._members(kv) - set(self.names)
            if missing:
                raise StoreAddressError(self.shown, f"leaves out {', '.join(sorted(missing))}, which {shard} knows")
            await self._enroll(shard, kv)

    # --------------------------------------------------------------------------------------- private
    async def _opened(self, shard: str) -> Store:
        from supreme_dask.stores import open_store

        store = open_store(self._urls[shard])
        await store.open()
        try:
            await _check_name(store, shard)
        except BaseException:
            await store.close()
            raise
        return store

    async def _follow(self, sign: Sign) -> Sign | None:
        """Go where a marker points that is not the one of the home; finish a move that only lacks that."""
        other = await self.sign(sign.marker.other, sign.system)
        gone, arriving = (sign, other) if sign.marker.state == "gone" else (other, sign)
        if gone is None or arriving is None or gone.marker.move != arriving.marker.move:
            return other
        if gone.marker.state != "gone" or arriving.marker.state != "arriving":
            return other
        # What was copied has revisions after `arriving`: above all that the system had where it was.
        base = max(0, gone.marker.base + gone.revision - arriving.revision)
        finished = await self.change(arriving, Marker("here", base=base))
        return finished or await self.sign(arriving.shard, sign.system)

    async def _claim(self, system: str) -> Sign | None:
        """Make a system's first shard its home; None if it has one by now."""
        shard = ranked(system, self.names)[0]
        store = await self.store(shard)
        membership = await self._membership(shard) or await self._found(shard)
        known = self._members(membership)
        if membership is None or known != set(self.names):
            raise StoreAddressError(
                self.shown,
                f"{shard} knows of {', '.join(sorted(known)) or 'none'}; to add some, run "
                "`dask supreme store rebalance` with the new address, and give that to everybody",
            )
        # Once it is known that the shards agree: whoever put it elsewhere did so before.
        found = await self.locate(system)
        if found is not None:
            return found
        new = Sign(system, shard, Marker("here"), 0)
        enrolled = ModRevisionIs(_MEMBERSHIP, membership.mod_revision)
        outcome = await store.transact((enrolled, Absent(marker_key(system))), (new.changed_to(new.marker),))
        return Sign(system, shard, new.marker, outcome.revision) if isinstance(outcome, Committed) else None

    async def _found(self, shard: str) -> KeyValue | None:
        """Let the shards know each other if all of them are new."""
        records = [await self._membership(name) for name in self.names]
        if not any(records):
            await self.enroll()
        return await self._membership(shard)

    async def _membership(self, shard: str) -> KeyValue | None:
        return await (await self.store(shard)).get(_MEMBERSHIP)

    async def _enroll(self, shard: str, known: KeyValue | None) -> None:
        store = await self.store(shard)
        value = pack({"name": shard, "shards": list(self.names)})
        if known is None or known.value != value:
            unchanged = ModRevisionIs(_MEMBERSHIP, known.mod_revision if known else 0)
            await store.transact((unchanged,), (Put(_MEMBERSHIP, value),))

    def _members(self, membership: KeyValue | None) -> set[str]:
        if membership is None:
            return set()
        return set(unpack(self.shown, membership.key, membership.value)["shards"])


async def _check_name(store: Store, shard: str) -> None:
    kv = await store.get(_MEMBERSHIP)
    name = unpack(store.address, _MEMBERSHIP, kv.value)["name"] if kv else shard
    if name != shard:
        raise StoreFormatError(store.address, f"this is shard {name!r}, and the address calls it {shard!r}")


def _unfinished(system: str, found: Sign | None) -> str:
    to = found.marker.other if found else "its shard"
    return (
        f"system {system!r} is being moved to {to}; if nobody moves it any more, "
        f"run `dask supreme store move {system} --to {to}` again"
    )
