"""A worker's entry in the registry."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version

from distributed.diagnostics.plugin import WorkerPlugin
from distributed.worker import Worker

from supreme_dask.stores.registry import Node, Registration


class WorkerRegistration(WorkerPlugin):
    """Keeps a worker registered.

    Parameters are those of `Registration`; `labels` say where it is and to which group it belongs.
    """

    name = "supreme-registration"
    idempotent = True

    def __init__(self, store: str, system: str, *, labels: Mapping[str, str] | None = None, ttl: int = 15) -> None:
        self._store = store
        self._system = system
        self._labels = dict(labels or {})
        self._ttl = ttl
        self._registration: Registration | None = None

    def setup(self, worker: Worker) -> None:
        """Begin; the worker listens by now."""
        facts = {
            "pid": os.getpid(),
            "host": platform.node(),
            "distributed": version("distributed"),
            "name": str(worker.name),
            "threads": worker.state.nthreads,
            "memory": worker.memory_manager.memory_limit or 0,
        }
        node = Node("worker", worker.id, worker.address, labels=self._labels, facts=facts)
        self._registration = Registration(self._store, self._system, node, ttl=self._ttl)
        self._registration.start()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002  Dask gives it by name
        """Leave."""
        if self._registration is not None:
            await self._registration.stop()
