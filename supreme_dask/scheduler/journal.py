"""The steps of drains, stored before they are acted on. Computing never waits for the store; a drain does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import islice

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.errors import OvertakenError, StoreError
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.stores import Store, open_store
from supreme_dask.stores.drains import Departure, Departures
from supreme_dask.stores.outage import Outage

log = logging.getLogger(__name__)

_RETRY = 1.0  # s, after the store did not answer
_AT_ONCE = 50  # steps in one transaction


class DrainJournal(SchedulerPlugin):
    """Keeps the drains of a scheduler in its store; `SchedulerRegistration` gives it its epoch.

    Parameters
    ----------
    store
        Address of the store.
    system
        Name of the system.

    Attributes
    ----------
    left : list of Departure or None
        What an earlier scheduler had begun; None until the store has told.
    """

    name = "supreme-drains"
    idempotent = True

    def __init__(self, store: str, system: str) -> None:
        self._url = store
        self._system = system
        self._waiting: dict[str, _Step] = {}
        self._wanted = asyncio.Event()
        self._outage = Outage(log)
        self._task: asyncio.Task[None] | None = None
        self.left: list[Departure] | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Begin, in the background."""
        self._scheduler = scheduler
        self._task = asyncio.create_task(self._run(), name="supreme-drains")

    async def close(self) -> None:
        """Write no more. What is stored stays: the next scheduler will look at it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def keep(self, step: Departure, then: Callable[[], None]) -> None:
        """Store how far a worker is, and call `then` when that is done. Only for the thread of the event loop.

        A later step of the same worker takes the place of one that is not stored yet, whose `then` is not called.
        """
        self._waiting[step.name] = _Step(step, then)
        self._wanted.set()

    def forget(self, name: str) -> None:
        """Remove what is stored of a worker, some time."""
        self._waiting[name] = _Step(None, _nothing)
        self._wanted.set()

    async def _run(self) -> None:
        while True:
            try:
                async with open_store(self._url, self._system) as store:
                    await self._write_on(store)
            except OvertakenError as error:
                log.warning("Workers leave no more by this scheduler: %s", error)
                return
            except (StoreError, OSError) as error:
                self._outage.failed("Drains wait for the store", error)
            await asyncio.sleep(_RETRY)

    async def _write_on(self, store: Store) -> None:
        departures = Departures(store, self._system)
        epoch = await self._epoch()
        if self.left is None:
            self.left = await departures.all()
        while True:
            while self._waiting:
                batch = dict(islice(self._waiting.items(), _AT_ONCE))
                await departures.write(((name, step.departure) for name, step in batch.items()), epoch)
                self._stored(batch)
            self._wanted.clear()
            await self._wanted.wait()

    def _stored(self, batch: dict[str, _Step]) -> None:
        self._outage.ended("Drains go on: the store is back")
        for name, step in batch.items():
            if self._waiting.get(name) is step:
                del self._waiting[name]
                step.then()

    async def _epoch(self) -> int:
        """Wait until the store has counted this scheduler."""
        while True:
            registration = self._scheduler.plugins.get(SchedulerRegistration.name)
            if isinstance(registration, SchedulerRegistration) and registration.epoch:
                return registration.epoch
            await asyncio.sleep(0.05)


class _Step:
    """What is to be stored; None to remove it. Equal ones are told apart."""

    __slots__ = ("departure", "then")

    def __init__(self, departure: Departure | None, then: Callable[[], None]) -> None:
        self.departure = departure
        self.then = then


def _nothing() -> None:
    pass
