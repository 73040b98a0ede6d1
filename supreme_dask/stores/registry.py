"""Who is there: the scheduler, the workers and the controllers of each system.

Each process keeps one entry under a lease of its own, so it vanishes from the list when it dies, one to two
times the time to live later. Nothing that computes waits for the store: while it is down, processes work on
with whom they know, and they register again by themselves when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from supreme_dask.errors import LimitError, NoSchedulerError, StoreError, StoreFormatError
from supreme_dask.stores import open_store
from supreme_dask.stores.base import Store
from supreme_dask.stores.follow import follow
from supreme_dask.stores.layout import SYSTEMS, check_name, epoch_key, pack, prefix, unpack
from supreme_dask.stores.operations import ModRevisionIs, Put
from supreme_dask.stores.outage import Outage
from supreme_dask.stores.values import Committed, KeyValue, Revision

log = logging.getLogger(__name__)

_ANSWER = 2.0  # s for a process to take a connection
_AGAIN = 1.0  # s until one that did not is tried again

MOST_BYTES = 2048
"""Of an entry: it says what stays as it is; measurements go elsewhere."""


@dataclass(frozen=True, slots=True)
class Node:
    """A process of a system.

    Attributes
    ----------
    kind : str
        ``scheduler``, ``worker`` or ``controller``.
    identity : str
        Tells it from every other process, also from an earlier one at the same address.
    address : str
        Where it listens, as Dask writes it; empty for a controller that does not.
    epoch : int
        Of the scheduler's leadership; greater is later.
    labels : mapping
        Where it is and what it belongs to: ``zone``, ``region``, ``group``.
    facts : mapping
        What else does not change: threads, memory, versions.
    since : int
        Revision of the store at which it registered; filled in when it is read.
    """

    kind: str
    identity: str
    address: str
    epoch: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    since: Revision = field(default=0, compare=False)


Check = Callable[[Node], Awaitable[bool]]


class Registry:
    """Reads who is registered in a system; `store` is open."""

    def __init__(self, store: Store, system: str) -> None:
        self._store = store
        self._prefix = prefix(system, "nodes")

    async def nodes(self) -> tuple[Node, ...]:
        """Return who is there: controllers, scheduler, workers."""
        listing = await self._store.list(self._prefix)
        return tuple(_node(self._store, kv) for kv in listing.items)

    async def follow(self) -> AsyncGenerator[tuple[Node, ...]]:
        """Deliver who is there, now and after each change, until the store closes."""
        known: dict[str, Node] = {}
        async with aclosing(follow(self._store, self._prefix)) as changes:
            async for change in changes:
                for event in change.events:
                    known.pop(event.key, None)
                    if event.kv is not None:
                        known[event.key] = _node(self._store, event.kv)
                yield tuple(known[key] for key in sorted(known))


async def find_scheduler(store: Store, system: str, *, wait: float = 0, is_there: Check | None = None) -> Node:
    """Return the scheduler of a system; of several, the one of the latest epoch that came last.

    Parameters
    ----------
    wait
        Seconds to wait for one that is registered, and there.
    is_there
        Tells whether one that is registered can be reached, such as `listens`: one that was killed is registered
        until its lease ends. By default all are.

    Raises
    ------
    NoSchedulerError
        If there is none; the message names one that is not there, and the systems that have one.
    """
    found: tuple[Node, ...] = ()
    end = asyncio.get_running_loop().time() + wait
    while True:
        found = _latest_schedulers(await Registry(store, system).nodes())
        for node in found:
            if is_there is None or await is_there(node):
                return node
        left = end - asyncio.get_running_loop().time()
        if left <= 0:
            raise NoSchedulerError(store.address, system, await systems(store), gone=[one.address for one in found])
        await _another_list(store, system, min(left, _AGAIN))


async def listens(node: Node) -> bool:
    """Tell whether something takes connections where a process says that it listens.

    Only asked of plain TCP: a TLS listener logs a warning about each connection that ends at once, and others have no
    port. They are taken to be there.
    """
    scheme, _, place = node.address.partition("://")
    host, _, port = place.rpartition(":")
    if scheme != "tcp" or not port.isdigit():
        return True
    try:
        async with asyncio.timeout(_ANSWER):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _another_list(store: Store, system: str, seconds: float) -> None:
    """Wait until another list than the present one is there, so long at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), aclosing(Registry(store, system).follow()) as lists:
            await anext(lists)
            await anext(lists)


async def systems(store: Store) -> list[str]:
    """Return the systems that have a scheduler."""
    keys = (kv.key.split("/") for kv in await store.survey(SYSTEMS))
    return sorted({parts[1] for parts in keys if parts[2:4] == ["nodes", "scheduler"]})


async def next_epoch(store: Store, system: str) -> int:
    """Return a number that is greater than all that were returned for the system before."""
    key = epoch_key(system)
    while True:
        kv = await store.get(key)
        epoch = int(kv.value) + 1 if kv else 1
        # Should nobody know whether it was written, the caller begins again and leaves one number out.
        unchanged = ModRevisionIs(key, kv.mod_revision if kv else 0)
        if isinstance(await store.transact((unchanged,), (Put(key, b"%d" % epoch),)), Committed):
            return epoch


class Registration:
    """Keeps a process registered, whatever happens to the store.

    Parameters
    ----------
    url
        Address of the store.
    ttl
        Seconds after which it vanishes if this process dies, at least.
    counted
        Take the next epoch of the system at the first registration, and keep it: a scheduler that starts
        later has a greater one, whatever became of the store meanwhile.

    Raises
    ------
    StoreAddressError, MissingExtraError
        If the address names no store that can be used here.
    LimitError
        If the entry is too large, or a name is none.
    """

    def __init__(self, url: str, system: str, node: Node, *, ttl: int = 15, counted: bool = False) -> None:
        open_store(url, system)  # a mistake in the address will not go away by waiting: better said at the start
        self.node = node
        self._url = url
        self._system = system
        self._ttl = ttl
        self._counted = counted
        size = len(pack(asdict(node)))
        if size > MOST_BYTES:
            raise LimitError(f"entry of {size} bytes", f"up to {MOST_BYTES}", "Leave out some facts.")
        self._key = f"{prefix(system, 'nodes')}{node.kind}/{check_name(node.identity)}"
        self._outage = Outage(log)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop, and return at once."""
        self._task = asyncio.create_task(self._run(), name="supreme-registration")

    async def stop(self) -> None:
        """Leave. Should the store not answer, the entry vanishes by itself."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                async with open_store(self._url, self._system) as store:
                    await self._stay(store)
            except (StoreError, OSError, TimeoutError) as error:
                self._outage.failed("Not registered for now, work goes on", error)
            await asyncio.sleep(self._ttl / 5)

    async def _stay(self, store: Store) -> None:
        """Register, and renew until that fails."""
        async with asyncio.timeout(self._ttl):
            lease = await store.grant(self._ttl)
        try:
            async with asyncio.timeout(self._ttl):
                if self._counted and not self.node.epoch:
                    self.node = replace(self.node, epoch=await next_epoch(store, self._system))
                await store.put(self._key, pack(asdict(self.node)), lease=lease.id)
            again = " again" if self._outage.ended() else ""
            log.info("%s registered as %s%s", self.node.identity, self._key, again)
            while True:
                await asyncio.sleep(lease.ttl / 5)
                async with asyncio.timeout(self._ttl):
                    await store.keep_alive(lease.id)
        except asyncio.CancelledError:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(1):
                    await store.revoke(lease.id)
            raise


def _latest_schedulers(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the schedulers of the latest epoch, the last to come first."""
    schedulers = [node for node in nodes if node.kind == "scheduler"]
    latest = max((node.epoch for node in schedulers), default=0)
    # One that died is listed until its lease ends; its successor may have the same epoch.
    return tuple(sorted((one for one in schedulers if one.epoch == latest), key=lambda one: -one.since))


def _node(store: Store, kv: KeyValue) -> Node:
    try:
        return Node(**{**unpack(store.address, kv.key, kv.value), "since": kv.create_revision})
    except TypeError:
        raise StoreFormatError(store.address, f"{kv.key!r} is not a whole entry of the registry") from None
