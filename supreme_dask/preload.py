"""``--preload supreme_dask.preload``, for ``dask scheduler`` and ``dask worker``: wires it together."""

from __future__ import annotations

import dask.config
from distributed import Scheduler, Worker

from supreme_dask.scheduler.exchange import Exchange
from supreme_dask.scheduler.journal import DrainJournal
from supreme_dask.scheduler.plugin import SupremePlugin
from supreme_dask.scheduler.recording import Recorder
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.scheduler.warmth import WarmStart
from supreme_dask.worker.capacity import declare
from supreme_dask.worker.notice import listen
from supreme_dask.worker.registration import WorkerRegistration


async def dask_setup(server: object) -> None:
    """Add our part to a scheduler or a worker; a nanny needs none."""
    if isinstance(server, Scheduler):
        server.add_plugin(SupremePlugin(), idempotent=True)
    elif isinstance(server, Worker):
        declare(server)
        listen(server)
    await register(server)


async def register(server: object) -> None:
    """Keep a scheduler or a worker registered in the store ``supreme.store``, and its decisions, if that is set."""
    store = dask.config.get("supreme.store", default=None)
    if not store:
        return
    system = dask.config.get("supreme.system", default="default")
    labels = dask.config.get("supreme.labels", default={})
    if isinstance(server, Scheduler):
        server.add_plugin(SchedulerRegistration(store, system, labels=labels), idempotent=True)
        server.add_plugin(Recorder(store, system), idempotent=True)
        server.add_plugin(DrainJournal(store, system), idempotent=True)
        server.add_plugin(Exchange(store, system), idempotent=True)
        server.add_plugin(WarmStart(store, system), idempotent=True)
    elif isinstance(server, Worker):
        await server.plugin_add(WorkerRegistration(store, system, labels=labels), catch_errors=False)
