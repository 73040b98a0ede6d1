"""``--preload supreme_dask.preload``, for ``dask scheduler`` and ``dask worker``: wires it together.

What only schedulers need is imported by schedulers only: a worker then starts a quarter of a second sooner.
"""

from __future__ import annotations

import logging
from typing import Any

import dask.config
from distributed import Scheduler, Worker


async def dask_setup(server: object) -> None:
    """Add our part to a scheduler or a worker; a nanny needs none."""
    _log_as_dask_does()
    if isinstance(server, Scheduler):
        from supreme_dask.scheduler.plugin import SupremePlugin

        server.add_plugin(SupremePlugin(), idempotent=True)
    elif isinstance(server, Worker):
        from supreme_dask.worker.capacity import declare
        from supreme_dask.worker.notice import listen

        declare(server)
        listen(server)
    await register(server)


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
