"""The plan of a system, and how far those are who carry it out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from supreme_dask.core.plans import Plan, Progress
from supreme_dask.errors import OvertakenError, StoreFormatError
from supreme_dask.stores.base import Store
from supreme_dask.stores.follow import follow
from supreme_dask.stores.layout import check_name, epoch_key, pack, plan_key, prefix, unpack
from supreme_dask.stores.operations import Put, ValueIs
from supreme_dask.stores.values import KeyValue, Refused


class Plans:
    """The plan of one system; `store` is open."""

    def __init__(self, store: Store, system: str) -> None:
        self._store = store
        self._system = system
        self._key = plan_key(system)
        self._progress = prefix(system, "progress")

    async def publish(self, plan: Plan) -> None:
        """Put a plan in the place of the one before.

        Raises
        ------
        OvertakenError
            If a later scheduler of the system has begun. Nothing was written.
        """
        fence = ValueIs(epoch_key(self._system), b"%d" % plan.epoch)
        put = Put(self._key, pack(plan.to_wire()))
        if isinstance(await self._store.transact((fence,), (put,)), Refused):
            raise OvertakenError(self._store.address, self._system, plan.epoch)

    async def newest(self) -> Plan | None:
        """Return the plan that was published last, if there is one."""
        kv = await self._store.get(self._key)
        return self._plan(kv) if kv is not None else None

    async def follow(self) -> AsyncGenerator[Plan]:
        """Deliver the newest plan, then each that is published, until the store closes."""
        async with aclosing(follow(self._store, self._key)) as changes:
            async for change in changes:
                for event in change.events:
                    if event.kv is not None and event.key == self._key:
                        yield self._plan(event.kv)

    async def report(self, progress: Progress, *, lease: int = 0) -> None:
        """Say how far a controller is; with a lease it is forgotten when the controller is gone."""
        key = self._progress + check_name(progress.controller)
        await self._store.put(key, pack(progress.to_wire()), lease=lease)

    async def follow_progress(self) -> AsyncGenerator[Mapping[str, Progress]]:
        """Deliver how far all controllers are, by name, now and after each change, until the store closes."""
        known: dict[str, Progress] = {}
        async with aclosing(follow(self._store, self._progress)) as changes:
            async for change in changes:
                for event in change.events:
                    known.pop(event.key.removeprefix(self._progress), None)
                    if event.kv is not None:
                        progress = self._read_progress(event.kv)
                        known[progress.controller] = progress
                yield dict(known)

    def _plan(self, kv: KeyValue) -> Plan:
        try:
            return Plan.from_wire(unpack(self._store.address, kv.key, kv.value))
        except (KeyError, TypeError):
            raise StoreFormatError(self._store.address, f"{kv.key!r} is not a whole plan") from None

    def _read_progress(self, kv: KeyValue) -> Progress:
        try:
            return Progress.from_wire(unpack(self._store.address, kv.key, kv.value))
        except TypeError:
            raise StoreFormatError(self._store.address, f"{kv.key!r} is not a whole progress") from None
