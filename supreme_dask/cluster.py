"""All of it on one machine, as a distributed cluster."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from dask.system import CPU_COUNT
from distributed import Nanny, Scheduler, SpecCluster
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.system import MEMORY_LIMIT

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import MEMORY

PRELOAD = "supreme_dask.preload"


class SupremeCluster(SpecCluster):
    """A scheduler that places tasks where they fit, with groups of local worker processes.

    Parameters
    ----------
    groups
        The workers. By default one with all cores and all memory of this machine.
    host
        Where scheduler and workers listen. By default nobody outside this machine reaches them.
    port
        Port of the scheduler; 0 for any.
    dashboard_address
        Where Dask's dashboard listens; None for no dashboard.
    silence_logs
        Level below which scheduler and workers log nothing; 0 to log everything.
    options
        For `distributed.SpecCluster`, such as ``asynchronous``.

    Examples
    --------
    >>> from distributed import Client
    >>> groups = [WorkerGroup("small", cpu=1, memory="512 MiB"), WorkerGroup("large", cpu=1, memory="1 GiB")]
    >>> with SupremeCluster(groups, dashboard_address=None) as cluster, Client(cluster) as client:
    ...     client.submit(sum, [1, 2], resources={"memory": "100 MiB"}).result()
    3
    """

    def __init__(
        self,
        groups: Sequence[WorkerGroup] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        dashboard_address: str | None = "127.0.0.1:0",
        silence_logs: int = logging.WARNING,
        **options: Any,
    ) -> None:
        self.groups = list(groups) if groups is not None else [_whole_machine()]
        scheduler = {
            "host": host,
            "port": port,
            "dashboard": dashboard_address is not None,
            # Without a dashboard Dask listens all the same, for its health and metrics, and on all interfaces.
            "dashboard_address": dashboard_address or f"{host}:0",
            "preload": [PRELOAD],
        }
        workers = {
            f"{group.name}-{number}": {
                "cls": Nanny,
                "options": {**_worker_options(group, host), "silence_logs": silence_logs},
            }
            for group in self.groups
            for number in range(group.count)
        }
        super().__init__(  # type: ignore[no-untyped-call]
            workers=workers,
            scheduler={"cls": Scheduler, "options": scheduler},
            silence_logs=silence_logs,
            **options,
        )

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Keep a nanny whose worker is gone: it starts it again.

        Stock Dask looks once, 15 seconds after a worker was lost, and closes the nanny for good if its worker
        happens to be down just then, as it often is where workers die one after the other.
        """
        if op == "remove" and self._restarts(self.scheduler_info["workers"][msg]["name"]):
            Cluster._update_worker_status(self, op, msg)  # type: ignore[no-untyped-call]
        else:
            super()._update_worker_status(op, msg)  # type: ignore[no-untyped-call]

    def _restarts(self, name: str) -> bool:
        nanny = self.workers.get(name)
        return nanny is not None and nanny.status in (Status.init, Status.starting, Status.running)


def _worker_options(group: WorkerGroup, host: str) -> dict[str, Any]:
    return {
        "host": host,
        "nthreads": group.threads,
        "memory_limit": group.capacity[MEMORY],
        "resources": group.capacity.in_units(),
        "dashboard": False,
        "dashboard_address": f"{host}:0",
        "preload": [PRELOAD],
    }


def _whole_machine() -> WorkerGroup:
    return WorkerGroup("worker", cpu=CPU_COUNT, memory=MEMORY_LIMIT)
