"""A controller in a process of its own: it follows the plan in the store, and reports there."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import uuid
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import Any

from supreme_dask.controller.controller import Controller
from supreme_dask.errors import LeaseLostError, NotPublishedError, StoreError, StoreFormatError, StoreUnavailableError
from supreme_dask.provisioners.processes import Process
from supreme_dask.stores import Store, layout, open_store, schemas
from supreme_dask.stores.documents import Documents, Published
from supreme_dask.stores.leader import Election, Leader
from supreme_dask.stores.leases import KeptLease
from supreme_dask.stores.outage import Outage
from supreme_dask.stores.plans import Plans
from supreme_dask.stores.registry import Node, Registration

log = logging.getLogger(__name__)

_RETRY = 1.0  # s


class Following:
    """Keeps a controller to the plans of a system, and tells the store what it has come to.

    Of the controllers of a system one is elected and launches; the others remove and report what is theirs. One that
    starts while the store is down launches nothing. While the store cannot be reached, the last plan stays in force
    for the one that was elected last: workers that crash are replaced. One that was killed goes on from the plan that
    is in the store.

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
        self._outage = Outage(log)
        self._unread = Outage(log)
        self._term = 0  # of the last time that this one was elected; 0 since another one was
        self._leader = ""  # name of the controller that leads, once that is known
        facts = {"pid": os.getpid(), "host": platform.node(), "name": controller.name}
        node = Node("controller", f"{controller.name}-{uuid.uuid4().hex[:8]}", "", facts=facts)
        self._facts = {**facts, "process": asdict(Process.of(os.getpid())), "identity": node.identity}
        self._registration = Registration(url, system, node, ttl=ttl)

    async def run(self) -> None:
        """Go on until cancelled; the workers stay."""
        self._controller.lead(term=0)
        self._controller.on_progress = lambda _progress: self._news.set()
        await self._controller.begin()  # the first report must not say that there are no workers
        self._registration.start()
        try:
            while True:
                await self._stay()
                await asyncio.sleep(_RETRY)
        finally:
            await self._registration.stop()
            await self._controller.stop()

    async def _stay(self) -> None:
        """Follow and report until the store fails."""
        is_reached = False
        try:
            async with (
                open_store(self._url, self._system) as store,
                await KeptLease.grant(store, self._ttl) as lease,
                asyncio.TaskGroup() as tasks,
            ):
                is_reached = True
                await self._read_groups(store)  # before the first plan that names them
                for follow in (self._follow_groups, self._follow_plans, self._lead):
                    tasks.create_task(follow(store))
                tasks.create_task(self._report(store, lease.id))
                tasks.create_task(_until_lost(lease))
        except* (StoreError, OSError) as errors:
            self._outage.failed(self._meanwhile(), errors.exceptions[0])
        if not is_reached:
            self._controller.lead(self._term)

    # ------------------------------------------------------------------------------- leadership
    async def _lead(self, store: Store) -> None:
        """Launch workers while elected."""
        election = Election(store, layout.controllers(self._system), ttl=self._ttl)
        leader = await election.leader()
        if leader is not None and self._has_gone(_facts(leader)):
            await election.depose(leader)
        watching = asyncio.create_task(self._watch_leader(election))
        try:
            async with await election.campaign(json.dumps(self._facts).encode()) as leadership:
                self._term, self._leader = leadership.epoch, self._controller.name
                self._news.set()
                self._controller.lead(leadership.epoch, leadership.holds)
                await leadership.lost()
                self._controller.lead(term=0)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        raise StoreUnavailableError(store.address, "the leadership of the controller was lost")

    async def _watch_leader(self, election: Election) -> None:
        async with aclosing(election.observe()) as leaders:
            async for leader in leaders:
                facts = _facts(leader)
                if leader is None or facts == self._facts:
                    continue
                self._term, self._leader = 0, str(facts.get("name"))
                self._controller.lead(term=0)
                self._news.set()
                log.warning("System %s has a controller, %s: wait until it ends", self._system, _who(facts))

    def _has_gone(self, leader: Mapping[str, Any]) -> bool:
        """Tell whether a leader was this very one, or was a process of this machine that has ended."""
        if leader.get("host") != self._facts["host"] or "process" not in leader:
            return False
        try:
            return leader == self._facts or not Process(**leader["process"]).alive()
        except TypeError:  # written by a release that knows processes by something else
            return False

    # ------------------------------------------------------------------------- plans and reports
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
                        self._unread.ended()
                        self._controller.accept(plan)
            except StoreFormatError as error:  # the next plan may be better; reports go on
                self._unread.failed(self._meanwhile(), error)
            await asyncio.sleep(_RETRY)

    async def _report(self, store: Store, lease: int) -> None:
        while True:
            self._news.clear()
            if self._may_report():
                await Plans(store, self._system).report(self._controller.progress, lease=lease)
            self._outage.ended()
            await self._news.wait()

    def _may_report(self) -> bool:
        """Tell whether the report is its own: one that leads under the same name has that of this name."""
        return bool(self._term) or self._leader not in ("", self._controller.name)

    def _meanwhile(self) -> str:
        return "The last plan stays in force" if self._term else "No worker is launched without the store"


def _facts(leader: Leader | None) -> Mapping[str, Any]:
    try:
        return dict(json.loads(leader.value)) if leader is not None else {}
    except ValueError:
        return {}


def _who(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('name')} on {facts.get('host')}, process {facts.get('pid')}"


async def _until_lost(lease: KeptLease) -> None:
    await lease.lost()
    raise LeaseLostError(lease.id)
