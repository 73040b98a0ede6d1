"""A lease that is renewed for as long as its process lives."""

from __future__ import annotations

import asyncio
import logging
from typing import Self

from supreme_dask.core.leases import LeaseTiming
from supreme_dask.errors import LeaseLostError, StoreError
from supreme_dask.stores import clock
from supreme_dask.stores.base import Store

log = logging.getLogger(__name__)


class KeptLease:
    """A lease and the task that renews it. It ends for its holder before it ends in the store.

    Attributes
    ----------
    id : int
        For `Put`.
    ttl : int
        Seconds, as granted.
    """

    def __init__(self, store: Store, identity: int, ttl: int, granted: float) -> None:
        self.id = identity
        self.ttl = ttl
        self._store = store
        self._timing = LeaseTiming.of(ttl)
        self._stop_at = self._timing.stop_at(granted)
        self._lost = asyncio.Event()
        self._task = asyncio.create_task(self._renew())

    @classmethod
    async def grant(cls, store: Store, ttl: int) -> KeptLease:
        """Start a lease and keep it alive."""
        asked = clock.now()
        lease = await store.grant(ttl)
        return cls(store, lease.id, lease.ttl, asked)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.end()

    def holds(self) -> bool:
        """Return whether its keys are certainly still there, by a clock that nobody can set."""
        return not self._lost.is_set() and clock.now() < self._stop_at

    async def lost(self) -> None:
        """Wait until it no longer holds."""
        await self._lost.wait()

    async def end(self) -> None:
        """Revoke it and its keys; should the store not answer, they vanish by themselves."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._lost.set()
        try:
            await self._store.revoke(self.id)
        except StoreError as error:
            log.info("Lease %x will run out by itself: %s", self.id, error)

    async def _renew(self) -> None:
        pause, away = self._timing.renew, False
        while self.holds():
            await asyncio.sleep(max(min(pause, self._stop_at - clock.now()), 0))
            if not self.holds():
                break
            sent = clock.now()
            try:
                async with asyncio.timeout(self._timing.retry):
                    await self._store.keep_alive(self.id)
            except LeaseLostError:
                break
            except (StoreError, TimeoutError) as error:
                if not away:
                    log.warning("Lease %x is not renewed, try on: %s", self.id, str(error) or "no answer in time")
                away, pause = True, self._timing.retry / 10
            else:
                if away:
                    log.info("Lease %x is renewed again", self.id)
                away, pause = False, self._timing.renew
                self._stop_at = self._timing.stop_at(sent)
        log.warning("Lease %x is lost", self.id)
        self._lost.set()
