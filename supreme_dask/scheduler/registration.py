"""The scheduler's entry in the registry."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.stores.registry import Node, Registration


class SchedulerRegistration(SchedulerPlugin):
    """Keeps a scheduler registered under the next epoch of its system, so that workers and clients find it.

    Parameters are those of `Registration`; `labels` say where it is, such as ``{"zone": "a"}``.
    """

    name = "supreme-registration"
    idempotent = True

    def __init__(
        self,
        store: str,
        system: str,
        *,
        labels: Mapping[str, str] | None = None,
        ttl: int = 15,
    ) -> None:
        self._store = store
        self._system = system
        self._labels = dict(labels or {})
        self._ttl = ttl
        self._registration: Registration | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Begin; the scheduler listens by now."""
        facts = {"pid": os.getpid(), "host": platform.node(), "distributed": version("distributed")}
        node = Node("scheduler", scheduler.id, scheduler.address, labels=self._labels, facts=facts)
        self._registration = Registration(self._store, self._system, node, ttl=self._ttl, counted=True)
        self._registration.start()

    @property
    def epoch(self) -> int:
        """Number of this scheduler among those of its system; 0 until the store has given it one."""
        return self._registration.node.epoch if self._registration is not None else 0

    async def close(self) -> None:
        """Leave."""
        if self._registration is not None:
            await self._registration.stop()
