"""All of it on one machine, as a distributed cluster."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dask.system import CPU_COUNT
from distributed import Nanny, Scheduler, SpecCluster
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.system import MEMORY_LIMIT

from supreme_dask import config
from supreme_dask.controller.controller import Controller
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import MEMORY
from supreme_dask.provisioners.spec import SpecProvisioner
from supreme_dask.stores import schemas

PRELOAD = "supreme_dask.preload"


class SupremeCluster(SpecCluster):
    """A scheduler that places tasks where they fit, with groups of local worker processes.

    Parameters
    ----------
    groups
        The workers. By default one with all cores and all memory of this machine.
    policy
        Rules by which workers are added and removed, between `minimum` and `maximum` of each group, such as
        ``{"backlog": {"kind": "demand"}, "rest": {"kind": "idle"}}``; None to leave the groups as they are.
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

    Raises
    ------
    PolicyError
        If the policy cannot be used, or names a group that is not among these.

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
        policy: Mapping[str, Any] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        dashboard_address: str | None = "127.0.0.1:0",
        silence_logs: int = logging.WARNING,
        **options: Any,
    ) -> None:
        self.groups = list(groups) if groups is not None else [_whole_machine()]
        if policy is not None:
            # What is wrong with it is better said before anything has started.
            schemas.policy(policy, [group.name for group in self.groups])
            self.groups = [group.within_limits() for group in self.groups]
        scheduler = {
            "host": host,
            "port": port,
            "dashboard": dashboard_address is not None,
            # Without a dashboard Dask listens all the same, for its health and metrics, and on all interfaces.
            "dashboard_address": dashboard_address or f"{host}:0",
            "preload": [PRELOAD],
        }
        self._policy = policy
        self._controller: Controller | None = None
        self._silence = silence_logs
        self._host = host
        workers = {
            f"{group.name}-{number}": self._spec(group) for group in self.groups for number in range(group.count)
        }
        super().__init__(  # type: ignore[no-untyped-call]
            workers=workers,
            scheduler={"cls": Scheduler, "options": scheduler},
            silence_logs=silence_logs,
            **options,
        )

    async def _start(self) -> None:
        await super()._start()  # type: ignore[no-untyped-call]
        if self._policy is not None and self._controller is None:
            self._scale(self._policy)

    async def _close(self) -> None:
        if self._controller is not None:
            await self._controller.stop()
            await self._provisioner.close()
        await super()._close()  # type: ignore[no-untyped-call]

    def _scale(self, policy: Mapping[str, Any]) -> None:
        """Let the scheduler plan by a policy, and carry its plans out."""
        scheduler: Any = self.scheduler
        engine = scheduler.plugins["supreme"].scaling
        self._provisioner = SpecProvisioner(
            self, [group.name for group in self.groups], self._spec, at_once=CPU_COUNT
        )
        self._controller = Controller(
            self._provisioner, self.groups, name="cluster", launches_per_hour=config.launches_per_hour()
        )
        self._controller.on_progress = engine.report
        engine.begin(self._controller.accept, policy=policy, groups=self.groups)
        self._controller.start()

    def _spec(self, group: WorkerGroup) -> dict[str, Any]:
        return {"cls": Nanny, "options": {**_worker_options(group, self._host), "silence_logs": self._silence}}

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
