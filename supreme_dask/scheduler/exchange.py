"""The line between scaling and the store: policies, groups and progress come in, plans go out.

Computing never waits for the store. While it is down, scaling goes on with what it knows, and the newest plan is
written when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.core.plans import Plan, Progress
from supreme_dask.core.revisions import Content
from supreme_dask.errors import OvertakenError, StoreError
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.scheduler.scaling import ScalabilityEngine
from supreme_dask.stores import Store, open_store
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.outage import Outage
from supreme_dask.stores.plans import Plans

log = logging.getLogger(__name__)

_RETRY = 1.0  # s, after the store did not answer
_COUNTED = 0.05  # s between two looks whether the store has counted this scheduler


class Exchange(SchedulerPlugin):
    """Connects the scaling of a scheduler with a store; `SchedulerRegistration` gives it its epoch.

    Parameters
    ----------
    store
        Address of the store.
    system
        Name of the system.
    """

    name = "supreme-exchange"
    idempotent = True

    def __init__(self, store: str, system: str) -> None:
        self._url = store
        self._system = system
        self._engine: ScalabilityEngine | None = None
        self._documents: dict[str, Content] = {}
        self._progress: Mapping[str, Progress] = {}
        self._plan: Plan | None = None
        self._wanted = asyncio.Event()
        self._outage = Outage(log)
        self._overtaken = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Begin, in the background."""
        self._scheduler = scheduler
        for plugin in scheduler.plugins.values():
            engine = getattr(plugin, "scaling", None)
            if isinstance(engine, ScalabilityEngine) and getattr(plugin, "active", False):
                self.connect(engine)
        self._task = asyncio.create_task(self._run(), name="supreme-exchange")

    async def close(self) -> None:
        """End. The plan stays in the store: the next scheduler goes on from there."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def connect(self, engine: ScalabilityEngine) -> None:
        """Let an engine have what the store says, and write its plans there."""
        self._engine = engine
        engine.begin(self._publish, last=self._plan)
        for document, content in self._documents.items():
            engine.take_document(document, content)
        engine.report_all(self._progress)

    def _publish(self, plan: Plan) -> None:
        self._plan = plan
        self._wanted.set()

    async def _run(self) -> None:
        while not self._overtaken:
            try:
                async with open_store(self._url, self._system) as store, asyncio.TaskGroup() as group:
                    group.create_task(self._follow_documents(store))
                    group.create_task(self._follow_progress(store))
                    group.create_task(self._write(store))
            except* OvertakenError as errors:
                self._overtaken = True
                log.warning("Scaling goes on without the store: %s", errors.exceptions[0])
            except* (StoreError, OSError) as errors:
                self._outage.failed("Scaling goes on without the store", errors.exceptions[0])
            await asyncio.sleep(_RETRY)

    async def _follow_documents(self, store: Store) -> None:
        async with aclosing(Documents(store, self._system).follow()) as published:
            async for one in published:
                if not self._wanted.is_set():
                    self._outage.ended("Scaling has the store again")
                self._documents[one.document] = one.revision.content
                if self._engine is not None:
                    self._engine.take_document(one.document, one.revision.content)

    async def _follow_progress(self, store: Store) -> None:
        async with aclosing(Plans(store, self._system).follow_progress()) as told:
            async for progress in told:
                self._progress = progress
                if self._engine is not None:
                    self._engine.report_all(progress)

    async def _write(self, store: Store) -> None:
        plans = Plans(store, self._system)
        epoch = await self._epoch()
        while True:
            await self._wanted.wait()
            plan = self._plan
            if plan is not None:
                await plans.publish(replace(plan, epoch=epoch, scheduler=self._scheduler.address))
            self._outage.ended("Scaling has the store again")
            if self._plan is plan:  # else a newer one was decided meanwhile
                self._wanted.clear()

    async def _epoch(self) -> int:
        """Wait until the store has counted this scheduler."""
        while True:
            registration = self._scheduler.plugins.get(SchedulerRegistration.name)
            if isinstance(registration, SchedulerRegistration) and registration.epoch:
                return registration.epoch
            await asyncio.sleep(_COUNTED)


def attach(scheduler: Scheduler, engine: ScalabilityEngine) -> None:
    """Connect an engine with the store of its scheduler, if that has one."""
    exchange = scheduler.plugins.get(Exchange.name)
    if isinstance(exchange, Exchange):
        exchange.connect(engine)
