"""Warm start: a scheduler goes on with what earlier ones of its system have learned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from itertools import islice
from typing import Any

from dask.typing import Key
from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.core.kinds import Kinds
from supreme_dask.errors import StoreError
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.plugin import SupremePlugin
from supreme_dask.stores import Store, open_store
from supreme_dask.stores.outage import Outage
from supreme_dask.stores.profiles import Learned, Profiles

log = logging.getLogger(__name__)

_EVERY = 10.0  # s between two savings
_LAST = 2.0  # s for the saving at the end
_LOOKED_AT = 64  # tasks of a graph: enough to see its types where they are few
_MOST_TYPES = 1000


class WarmStart(SchedulerPlugin):
    """Reads the profiles of a system when its scheduler starts, and keeps what is learned since.

    A profile counts for the code that it was measured with, and never against what is known already. Nothing
    waits for the store: until it has answered, types are measured as if they were new.

    Parameters
    ----------
    store
        Address of the store.
    system
        Name of the system.
    every
        Seconds between two savings.
    """

    name = "supreme-profiles"
    idempotent = True

    def __init__(self, store: str, system: str, *, every: float = _EVERY) -> None:
        self._url = store
        self._system = system
        self._every = every
        self._known: dict[str, Learned] = {}
        self._codes: dict[str, str] = {}
        self._earlier: dict[str, str] = {}
        self._moved: dict[str, str] = {}
        self._saved: dict[str, int] = {}
        self._outage = Outage(log)
        self._task: asyncio.Task[None] | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Begin to read, in the background."""
        self._scheduler = scheduler
        self._task = asyncio.create_task(self._run(), name="supreme-profiles")

    async def close(self) -> None:
        """Keep what was learned last, if the store takes it soon."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(_LAST), open_store(self._url, self._system) as store:
                await self._save(store)
        except (StoreError, OSError, TimeoutError) as error:
            log.warning("What was learned last is not kept: %s", str(error) or "no answer in time")

    def update_graph(self, scheduler: Scheduler, *, tasks: Collection[Key] = (), **_: Any) -> None:
        """Note the code of types, and give those that are new what is known of them, before any task moves."""
        for key in islice(tasks, _LOOKED_AT):
            ts = scheduler.tasks.get(key)
            if ts is not None:
                name = observe.task_type(ts)
                self._codes[name] = observe.code_of(ts)
                self._earlier[name] = ts.prefix.name
                self._warm(name)

    def _warm(self, name: str) -> None:
        # Until 2026-11 a type had the name of the prefix; what was learned then moves over.
        known = next((one for one in (name, self._earlier.get(name, name)) if one in self._known), name)
        learned = self._known.get(known)
        kinds = self._kinds()
        if learned is None or kinds is None or learned.code != self._codes.get(name):
            return
        del self._known[known]
        if known != name:
            self._moved[known] = name
        if kinds.adopt(name, learned.profile()):
            log.info("Go on with what is known of %s", name)

    async def _run(self) -> None:
        read = False
        while True:
            try:
                async with open_store(self._url, self._system) as store:
                    if not read:
                        await self._read(store)
                        read = True
                    while True:
                        await self._save(store)
                        self._outage.ended("Profiles are kept again")
                        await asyncio.sleep(self._every)
            except (StoreError, OSError) as error:
                self._outage.failed("Profiles wait for the store", error)
            await asyncio.sleep(self._every)

    async def _read(self, store: Store) -> None:
        self._known = {learned.type: learned for learned in await Profiles(store, self._system).all()}
        for name in list(self._codes):
            self._warm(name)

    async def _save(self, store: Store) -> None:
        """Keep what has changed; one message each, so that the loop is free between them."""
        profiles = Profiles(store, self._system)
        for name, count in self._changed():
            kinds = self._kinds()
            if kinds is not None and (name in self._saved or len(self._saved) < _MOST_TYPES):
                wire = kinds[name].profile.to_wire()
                await profiles.put(Learned(name, self._codes.get(name, ""), wire))
                self._saved[name] = count
        for old in [old for old, new in self._moved.items() if new in self._saved]:
            await profiles.drop(old)
            del self._moved[old]

    def _changed(self) -> list[tuple[str, int]]:
        kinds = self._kinds()
        counts = ((name, profile.count) for name, profile in kinds.profiles()) if kinds else ()
        return [(name, count) for name, count in counts if count != self._saved.get(name, 0)]

    def _kinds(self) -> Kinds | None:
        plugin = self._scheduler.plugins.get(SupremePlugin.name)
        return plugin.admission.kinds if isinstance(plugin, SupremePlugin) and plugin.active else None
