"""A part of a store as a store of its own."""

from dataclasses import replace

from supreme_dask.stores import Changes, Committed, DeletePrefix, Event, Listing, Refused, Store


class Room(Store):
    """The keys of a store that begin with a prefix, without it."""

    def __init__(self, store, prefix, *, before_opening=None):
        self._store = store
        self._prefix = prefix
        self._before_opening = before_opening

    @property
    def address(self):
        return self._store.address

    async def open(self):
        if self._before_opening is not None:
            await self._before_opening()
        await self._store.open()

    async def close(self):
        await self._store.close()

    async def _get(self, key, at):
        return self._outside(await self._store._get(self._prefix + key, at))

    async def _list(self, prefix, at):
        listing = await self._store._list(self._prefix + prefix, at)
        return Listing(listing.revision, tuple(map(self._outside, listing.items)))

    async def _commit(self, compares, operations):
        compares = tuple(replace(compare, key=self._prefix + compare.key) for compare in compares)
        outcome = await self._store._commit(compares, tuple(map(self._inside, operations)))
        if isinstance(outcome, Committed):
            return outcome
        current = map(self._outside, outcome.current.values())
        return Refused(outcome.revision, {kv.key: kv for kv in current})

    async def _grant(self, ttl):
        return await self._store._grant(ttl)

    async def keep_alive(self, lease):
        return await self._store.keep_alive(lease)

    async def revoke(self, lease):
        await self._store.revoke(lease)

    async def compact(self, revision):
        await self._store.compact(revision)

    async def _watch(self, prefix, after):
        async for changes in self._store._watch(self._prefix + prefix, after):
            events = tuple(
                Event(event.key.removeprefix(self._prefix), self._outside(event.kv)) for event in changes.events
            )
            yield Changes(changes.revision, events)

    def _inside(self, operation):
        if isinstance(operation, DeletePrefix):
            return DeletePrefix(self._prefix + operation.prefix)
        return replace(operation, key=self._prefix + operation.key)

    def _outside(self, kv):
        return kv and replace(kv, key=kv.key.removeprefix(self._prefix))
