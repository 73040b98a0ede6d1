"""A controller in a process of its own: it follows the plan in the store, and reports there."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from contextlib import aclosing, suppress

import psutil

from supreme_dask.controller.controller import Controller
from supreme_dask.errors import LeaseLostError, NotPublishedError, StoreError, StoreFormatError
from supreme_dask.stores import Store, open_store, schemas
from supreme_dask.stores.documents import Documents, Published
from supreme_dask.stores.leases import KeptLease
from supreme_dask.stores.plans import Plans
from supreme_dask.stores.registry import Node, Registration, Registry

log = logging.getLogger(__name__)

_RETRY = 1.0  # s


class Following:
    """Keeps a controller to the plans of a system, and tells the store what it has come to.

    While the store is down, the last plan stays in force: workers that crash are replaced. One that was killed goes
    on from the plan that is in the store. A system has one controller: another waits until that has ended.

    Parameters
    ----------
    url
        Address of the store.
    fixed
        Whether the controller keeps the groups that it has; otherwise they are those that the system publishes.
    ttl
        Seconds after which the store forgets it if this process dies, at least.

    Raises
    ------
    StoreAddressError, MissingExtraError
        If the address names no store that can be used here.
    """

    def __init__(self, url: str, system: str, controller: Controller, *, fixed: bool = False, ttl: int = 15) -> None:
        self._url = url
        self._system = system
        self._controller = controller
        self._fixed = fixed
        self._ttl = ttl
        self._news = asyncio.Event()
        self._quiet = False
        facts = {"pid": os.getpid(), "host": platform.node(), "name": controller.name}
        node = Node("controller", f"{controller.name}-{uuid.uuid4().hex[:8]}", "", facts=facts)
        self._registration = Registration(url, system, node, ttl=ttl)

    async def run(self) -> None:
        """Go on until cancelled; the workers stay."""
        await self._until_alone()
        self._controller.on_progress = lambda _progress: self._news.set()
        await self._controller.look()  # whoever plans must not take it that there are none
        self._controller.start()
        self._registration.start()
        try:
            while True:
                await self._stay()
                await asyncio.sleep(_RETRY)
        finally:
            await self._registration.stop()
            await self._controller.stop()

    async def _until_alone(self) -> None:
        """Wait until no other controller is there: two would launch everything twice.

        A store that cannot tell is asked again. Nothing is lost by that: the plan is there too.
        """
        while True:
            try:
                async with open_store(self._url, self._system) as store:
                    return await self._until_others_end(store)
            except (StoreError, OSError) as error:
                log.log(logging.DEBUG if self._quiet else logging.WARNING, "Wait for the store: %s", error)
                self._quiet = True
            await asyncio.sleep(_RETRY)

    async def _until_others_end(self, store: Store) -> None:
        said = False
        async with aclosing(Registry(store, self._system).follow()) as lists:
            async for nodes in lists:
                other = next((one for one in nodes if one.kind == "controller" and not _has_died(one)), None)
                if other is None:
                    return
                if not said:
                    log.warning("System %s has a controller, %s: wait until it ends", self._system, _who(other))
                    said = True

    async def _stay(self) -> None:
        """Follow and report until the store fails."""
        try:
            async with (
                open_store(self._url, self._system) as store,
                await KeptLease.grant(store, self._ttl) as lease,
                asyncio.TaskGroup() as tasks,
            ):
                await self._read_groups(store)  # before the first plan that names them
                for follow in (self._follow_groups, self._follow_plans):
                    tasks.create_task(follow(store))
                tasks.create_task(self._report(store, lease.id))
                tasks.create_task(_until_lost(lease))
        except* (StoreError, OSError) as errors:
            self._say(errors.exceptions[0])

    async def _read_groups(self, store: Store) -> None:
        with suppress(NotPublishedError):
            self._take(Published(schemas.GROUPS, await Documents(store, self._system).newest(schemas.GROUPS)))

    async def _follow_groups(self, store: Store) -> None:
        async with aclosing(Documents(store, self._system).follow()) as documents:
            async for published in documents:
                self._take(published)

    def _take(self, published: Published) -> None:
        if published.document == schemas.GROUPS and not self._fixed:
            self._controller.change_groups(schemas.groups(published.revision.content or {}))

    async def _follow_plans(self, store: Store) -> None:
        while True:
            try:
                async with aclosing(Plans(store, self._system).follow()) as plans:
                    async for plan in plans:
                        self._quiet = False
                        self._controller.accept(plan)
            except StoreFormatError as error:  # the next plan may be better; reports go on
                self._say(error)
            await asyncio.sleep(_RETRY)

    async def _report(self, store: Store, lease: int) -> None:
        while True:
            self._news.clear()
            await Plans(store, self._system).report(self._controller.progress, lease=lease)
            await self._news.wait()

    def _say(self, error: BaseException) -> None:
        log.log(logging.DEBUG if self._quiet else logging.WARNING, "The last plan stays in force: %s", error)
        self._quiet = True


def _who(controller: Node) -> str:
    facts = controller.facts
    return f"{facts.get('name')} on {facts.get('host')}, process {facts.get('pid')}"


def _has_died(controller: Node) -> bool:
    """Tell whether one that is registered was of this machine, and is gone: it is listed until its lease ends."""
    here = controller.facts.get("host") == platform.node()
    return here and not psutil.pid_exists(controller.facts.get("pid", 0))


async def _until_lost(lease: KeptLease) -> None:
    await lease.lost()
    raise LeaseLostError(lease.id)
