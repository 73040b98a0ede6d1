"""``--preload supreme_dask.preload``, for ``dask scheduler`` and ``dask worker``: wires it together."""

from __future__ import annotations

from distributed import Scheduler, Worker

from supreme_dask.scheduler.plugin import SupremePlugin
from supreme_dask.worker.capacity import declare


def dask_setup(server: object) -> None:
    """Add our part to a scheduler or a worker; a nanny needs none."""
    if isinstance(server, Scheduler):
        server.add_plugin(SupremePlugin(), idempotent=True)
    elif isinstance(server, Worker):
        declare(server)
