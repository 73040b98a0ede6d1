"""`cluster.adapt(Adaptive=SupremeAdaptive)`: the workers of any `SpecCluster`, scaled by our policy."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from distributed import Adaptive
from distributed.core import Status
from distributed.worker_memory import parse_memory_limit

from supreme_dask.core.plans import Plan, steps
from supreme_dask.core.resources import CPU, MEMORY
from supreme_dask.errors.base import whole

log = logging.getLogger(__name__)

_GROUP = "adaptive"
_ENDED = (Status.closed, Status.failed)


class SupremeAdaptive(Adaptive):
    """Adds workers to a cluster and removes those that are drained, as the scheduler plans.

    A worker is removed only when it runs nothing and others hold what it held. Where workers come in jobs of several,
    as on batch systems, a job is removed when all its workers are drained. The scheduler needs our plugin; without
    it, the cluster is scaled as Dask does it, and a warning says so.

    Parameters
    ----------
    interval
        Between two questions for the plan; 250 ms by default.
    startup
        Seconds that a worker of this cluster takes to start.
    policy
        Rules by name; by default the policy of the scheduler.
    options
        As for `distributed.Adaptive`, such as ``minimum`` and ``maximum``.

    Examples
    --------
    >>> from distributed import Client, LocalCluster
    >>> cluster = LocalCluster(n_workers=0, scheduler_kwargs={"preload": "supreme_dask.preload"})  # doctest: +SKIP
    >>> cluster.adapt(Adaptive=SupremeAdaptive, maximum=10, startup=2)  # doctest: +SKIP
    """

    cluster: Any

    def __init__(
        self,
        cluster: Any,
        interval: Any = None,
        *,
        startup: float = 10.0,
        policy: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._startup = startup
        self._policy = policy
        self._blocked = ""
        self._is_known = self._plain = False
        super().__init__(cluster, interval=interval or "250ms", **options)

    async def adapt(self) -> None:
        """Do what the plan says. Called every interval."""
        if self._plain:
            await super().adapt()
        elif not self._adapting:
            self._adapting = True
            try:
                await self._adapt()
            finally:
                self._adapting = False

    async def _adapt(self) -> None:
        self._forget_ended()
        plan = await self._ask()
        if plan is None:
            return
        todo = steps(plan, self._existing())
        await self._remove(set(todo.remove))
        await self._launch(todo.launch.get(_GROUP, 0))

    async def _ask(self) -> Plan | None:
        """Return the plan; None if the scheduler makes none."""
        scheduler: Any = self.scheduler
        if not self._is_known:
            # Asked for what it does not have, a scheduler would log a traceback.
            self._is_known = "supreme-dask" in (await scheduler.versions()).get("plugins", {})
        if not self._is_known:
            self._leave_to_dask("has no supreme-dask: start it with --preload supreme_dask.preload")
            return None
        blocked, self._blocked = self._blocked, ""  # told once: told again, it would be taken for another failure
        wire = await scheduler.supreme_scale(
            group=self._group(), workers=list(self._existing()), policy=self._policy, blocked=blocked
        )
        if wire is None:
            self._leave_to_dask("has turned supreme-dask off, as its log says")
            return None
        return Plan.from_wire(wire)

    def _leave_to_dask(self, why: str) -> None:
        self._plain = True
        log.warning("Dask scales this cluster: its scheduler %s", why)

    async def _launch(self, count: int) -> None:
        jobs = math.ceil(count / self._workers_per_job())
        if not jobs:
            return
        log.info("Start %d workers", count)
        try:
            await super().scale_up(len(self.cluster.worker_spec) + jobs)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  (a class of a cluster may raise anything)
            self._blocked = whole(error)

    async def _remove(self, names: set[str]) -> None:
        """Remove the entries of which all workers may go."""
        jobs = [entry for entry, workers in self._jobs().items() if workers <= names]
        if jobs:
            log.info("Remove workers that are drained: %s", jobs)
            await self.cluster.scale_down(jobs)

    # --------------------------------------------------------------------------- what there is
    def _forget_ended(self) -> None:
        """Drop the entries of workers that have ended: the cluster would take them for running ones."""
        for entry in [entry for entry, worker in self.cluster.workers.items() if worker.status in _ENDED]:
            log.info("Worker %s has ended", entry)
            del self.cluster.workers[entry]
            self.cluster.worker_spec.pop(entry, None)

    def _existing(self) -> dict[str, str]:
        return dict.fromkeys((name for workers in self._jobs().values() for name in sorted(workers)), _GROUP)

    def _jobs(self) -> dict[Any, set[str]]:
        """Return the names of the workers of each entry of the cluster."""
        entries = self.cluster.worker_spec.items()
        return {entry: {f"{entry}{suffix}" for suffix in spec.get("group", ("",))} for entry, spec in entries}

    def _workers_per_job(self) -> int:
        return len((self.cluster.new_spec or {}).get("group", ("",)))

    def _group(self) -> dict[str, Any]:
        """Return what one worker is, as far as the cluster says it."""
        options = (self.cluster.new_spec or {}).get("options", {})
        threads = options.get("nthreads")
        memory = options.get("memory_limit")
        if threads and isinstance(memory, (str, int, float)):
            memory = parse_memory_limit(memory, threads, logger=log)
        return {
            "name": _GROUP,
            "threads": threads,
            "memory": memory,
            # Of what a worker declares, its threads and its memory limit say these two.
            "resources": {
                name: amount
                for name, amount in (options.get("resources") or {}).items()
                if name.lower() not in (CPU, MEMORY)
            },
            "minimum": self.minimum,
            "maximum": None if math.isinf(self.maximum) else int(self.maximum),
            "startup": self._startup,
        }
