"""``--preload supreme_dask.preload``, for ``dask scheduler`` and ``dask worker``: wires it together.

What only schedulers need is imported by schedulers only: a worker then starts a quarter of a second sooner.
"""

from __future__ import annotations

import logging
from typing import Any

import dask.config
from distributed import Scheduler, Worker
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask import config
from supreme_dask.errors import ConfigError

log = logging.getLogger(__name__)


async def dask_setup(server: object) -> None:
    """Add our part to a scheduler or a worker; a nanny needs none."""
    _log_as_dask_does()
    if isinstance(server, Scheduler):
        server.add_plugin(_placement(), idempotent=True)
    elif isinstance(server, Worker):
        from supreme_dask.worker.capacity import declare
        from supreme_dask.worker.notice import listen

        declare(server)
        listen(server)
    await register(server)


class Refusal(SchedulerPlugin):
    """Keeps a scheduler from starting: as plain Dask it would fail on the first annotated task."""

    name = "supreme"

    def __init__(self, error: ConfigError) -> None:
        self._error = error

    async def start(self, scheduler: Scheduler) -> None:  # noqa: ARG002  (Dask calls it with one)
        """Raise the error, which Dask would only log if it came from a preload."""
        log.critical("The scheduler does not start: %s", self._error)
        raise self._error


def _placement() -> SchedulerPlugin:
    from supreme_dask.scheduler.plugin import SupremePlugin

    for sentence in config.unknown():
        log.warning("%s", sentence)
    try:
        return SupremePlugin()
    except ConfigError as error:
        return Refusal(error)


def _log_as_dask_does() -> None:
    """Write what we log where Dask writes, unless somebody has said where: its commands set up theirs only."""
    ours, theirs = logging.getLogger("supreme_dask"), logging.getLogger("distributed")
    if not ours.handlers and ours.level == logging.NOTSET:
        ours.setLevel(theirs.level)
        for handler in theirs.handlers:
            ours.addHandler(handler)


async def register(server: object) -> None:
    """Keep a scheduler or a worker registered in the store ``supreme.store``, and its decisions, if that is set."""
    store = dask.config.get("supreme.store", default=None)
    if not store:
        return
    system = dask.config.get("supreme.system", default="default")
    labels = dask.config.get("supreme.labels", default={})
    if isinstance(server, Scheduler):
        _remember(server, store, system, labels)
    elif isinstance(server, Worker):
        from supreme_dask.worker.registration import WorkerRegistration

        await server.plugin_add(WorkerRegistration(store, system, labels=labels), catch_errors=False)


def _remember(scheduler: Scheduler, store: str, system: str, labels: dict[str, Any]) -> None:
    from supreme_dask.scheduler.exchange import Exchange
    from supreme_dask.scheduler.journal import DrainJournal
    from supreme_dask.scheduler.recording import Recorder
    from supreme_dask.scheduler.registration import SchedulerRegistration
    from supreme_dask.scheduler.warmth import WarmStart

    scheduler.add_plugin(SchedulerRegistration(store, system, labels=labels), idempotent=True)
    scheduler.add_plugin(Recorder(store, system), idempotent=True)
    scheduler.add_plugin(DrainJournal(store, system), idempotent=True)
    scheduler.add_plugin(Exchange(store, system), idempotent=True)
    scheduler.add_plugin(WarmStart(store, system), idempotent=True)
