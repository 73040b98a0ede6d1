"""All of it on one machine, as a distributed cluster."""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dask.system import CPU_COUNT
from dask.utils import parse_bytes
from distributed import Nanny, Scheduler, SpecCluster
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.system import MEMORY_LIMIT
from distributed.utils import NoOpAwaitable

from supreme_dask import config
from supreme_dask.adaptive import SupremeAdaptive
from supreme_dask.controller.controller import Controller
from supreme_dask.core import spelling
from supreme_dask.core.groups import WorkerGroup, group_of
from supreme_dask.core.resources import MEMORY
from supreme_dask.errors import DemandError
from supreme_dask.provisioners.names import Names
from supreme_dask.provisioners.spec import SpecProvisioner
from supreme_dask.stores import schemas

PRELOAD = "supreme_dask.preload"
"""Module that brings our part into a scheduler or a worker, as Dask's option ``preload`` takes it."""


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
        In place of groups, ``n_workers``, ``threads_per_worker`` and ``memory_limit`` as for
        `distributed.LocalCluster`: equal workers, with equal shares of this machine where it is not said. Else for
        `distributed.SpecCluster`, such as ``asynchronous``.

    Raises
    ------
    PolicyError
        If the policy cannot be used, or names a group that is not among these.
    DemandError
        If a worker cannot have the threads or the memory that are asked for.
    TypeError
        If a parameter is none of these, or a group is no `WorkerGroup`; what to write is in the message.
    ValueError
        If nothing can listen on ``host``, ``port`` or ``dashboard_address``.

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
        _check_main_module()
        equal = {name: value for name in _EQUAL if (value := options.pop(name, None)) is not None}
        _check_options(options)
        _check_addresses(host, port, dashboard_address)
        self.groups = _groups(groups, equal)
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
        self._scaling = asyncio.Lock()
        self._silence = silence_logs
        self._host = host
        self._names = Names()
        members = [group for group in self.groups for _ in range(group.count)]
        workers = {self._names.next(group.name): self._spec(group) for group in members}
        super().__init__(  # type: ignore[no-untyped-call]
            workers=workers,
            scheduler={"cls": Scheduler, "options": scheduler},
            worker=self._spec(self.groups[0]) if len(self.groups) == 1 else None,
            silence_logs=silence_logs,
            **options,
        )

    async def _start(self) -> None:
        await super()._start()  # type: ignore[no-untyped-call]
        if self._policy is not None and self._controller is None:
            self._scale(self._policy)

    async def _close(self) -> None:
        await self._stop_controller()
        await super()._close()  # type: ignore[no-untyped-call]

    # ---------------------------------------------------------------------------------- by hand
    def scale(self, n: int = 0, memory: Any = None, cores: float | None = None, *, group: str = "") -> Any:
        """Have `n` workers of a group from now on, as `SpecCluster.scale`; a policy decides no more.

        Parameters
        ----------
        memory, cores
            At least so much of it altogether, such as ``"8 GiB"``.
        group
            Name of the group; it may be left out where there is one, and for no workers at all.

        Raises
        ------
        ValueError
            If it is not said which of several groups is meant, or there is none of that name.
        """
        if not (n or memory or cores or group):
            for each in self._group_names():
                self.scale(0, group=each)
            return NoOpAwaitable() if self.asynchronous else None
        chosen = self._chosen(group)
        if memory is not None:
            n = max(n, math.ceil(parse_bytes(memory) / chosen.capacity[MEMORY]))
        if cores is not None:
            n = max(n, math.ceil(cores / chosen.threads))
        if self._controller is None:
            self._set_count(chosen, n)
        else:
            self._soon(self._set_count_without_policy, chosen, n)
        return NoOpAwaitable() if self.asynchronous else None

    def adapt(self, *arguments: Any, **options: Any) -> Any:
        """Add and remove workers as `SpecCluster.adapt` does; a policy decides no more.

        `SupremeAdaptive` scales, unless another class is given.

        Raises
        ------
        ValueError
            If there are several groups: these are scaled by a policy.
        """
        if len(self.groups) != 1:
            names = ", ".join(group.name for group in self.groups)
            raise ValueError(f"adapt() scales one group, here are {names}: give SupremeCluster a policy in its place")
        if self._controller is not None:
            self._soon(self._leave_policy)
        if not arguments:
            options.setdefault("Adaptive", SupremeAdaptive)
        return super().adapt(*arguments, **options)

    def _soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Call on the event loop of the cluster; `scale` and `adapt` come from any thread."""
        loop: Any = self.loop
        loop.add_callback(call, *arguments)

    def _chosen(self, name: str) -> WorkerGroup:
        groups = {group.name: group for group in self.groups}
        if not name and len(groups) == 1:
            return self.groups[0]
        if name not in groups:
            which = f"there is no group {name!r}" if name else "there are several groups"
            raise ValueError(f"{which}: write scale(n, group=...) with one of {', '.join(groups)}")
        return groups[name]

    async def _set_count_without_policy(self, group: WorkerGroup, n: int) -> None:
        async with self._scaling:  # one after the other, as they were asked for
            await self._leave_policy()
            self._set_count(group, n)

    def _set_count(self, group: WorkerGroup, n: int) -> None:
        """Have so many entries of a group; those that have not joined go first, then the newest."""
        entries = [name for name in self.worker_spec if group_of(str(name), self._group_names()) == group.name]
        joined = {worker["name"] for worker in self.scheduler_info["workers"].values()}
        entries.sort(key=lambda name: name not in joined)
        for name in entries[n:]:
            del self.worker_spec[name]
        if self.status not in (Status.closing, Status.closed):
            for _ in range(n - len(entries)):
                self.worker_spec[self._new_name(group)] = self._spec(group)
        self._soon(self._correct_state)

    def _new_worker_name(self, worker_number: int) -> str:  # noqa: ARG002  Dask counts all, here each group counts
        return self._new_name(self.groups[0])

    def _new_name(self, group: WorkerGroup) -> str:
        for name in self.worker_spec:
            self._names.see(str(name), group_of(str(name), self._group_names()))
        return self._names.next(group.name)

    def _group_names(self) -> list[str]:
        return [group.name for group in self.groups]

    # --------------------------------------------------------------------------------- by a policy
    async def _leave_policy(self) -> None:
        """Keep the workers that are there; those that have ended have no entry any more."""
        scheduler: Any = self.scheduler
        if self._controller is not None:
            scheduler.plugins["supreme"].scaling.release()
        await self._stop_controller()

    async def _stop_controller(self) -> None:
        controller, self._controller = self._controller, None
        if controller is not None:
            await controller.stop()
            await self._provisioner.close()
            await self._provisioner.workers()

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


def _check_main_module() -> None:
    """End a worker that imports the program which started it, and would start a cluster of its own."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself looks at it
        raise SystemExit(
            "A worker imports this program, which would start a cluster there too: "
            'put what starts it below `if __name__ == "__main__":`'
        )


def _groups(groups: Sequence[WorkerGroup] | None, asked: Mapping[str, Any]) -> list[WorkerGroup]:
    """Return the groups that are given, or one of equal workers."""
    if groups is not None:
        if asked:
            raise TypeError(f"{next(iter(asked))} is for a cluster without groups: here each WorkerGroup says it")
        given = list(groups) if isinstance(groups, Iterable) else None
        if given is None or not all(isinstance(group, WorkerGroup) for group in given):
            raise TypeError(f'groups: {groups!r}: expected a list of groups, such as [WorkerGroup("small", cpu=2)]')
        names = [group.name for group in given]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DemandError("groups", twice, "two groups have this name, by which their workers are told apart")
        return given
    workers = asked.get("n_workers", 1)
    if not isinstance(workers, int) or workers < 0:
        raise DemandError("n_workers", workers, "expected a whole number of 0 or more")
    threads = asked.get("threads_per_worker", max(1, CPU_COUNT // max(workers, 1)))
    memory = asked.get("memory_limit", "auto")
    return [
        WorkerGroup(
            "worker",
            cpu=threads,
            memory=MEMORY_LIMIT // max(workers, 1) if memory == "auto" else memory,
            count=workers,
        )
    ]


def _check_addresses(host: object, port: object, dashboard: object) -> None:
    """Refuse what no process can listen on, before one is started."""
    if not isinstance(host, str) or not host:
        raise ValueError(f"host: {host!r}: expected a name or an address, such as '127.0.0.1'")
    if port is not None and not _is_port(port):
        raise ValueError(f"port: {port!r}: expected a whole number from 0 to 65535, such as 8786")
    if dashboard is not None and not isinstance(dashboard, str) and not _is_port(dashboard):
        raise ValueError(
            f"dashboard_address: {dashboard!r}: expected host and port, such as '127.0.0.1:8787', or None"
        )


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse what is meant for another class, with what to write in its place."""
    for name in options:
        if name not in _OPTIONS:
            instead = f": {_INSTEAD[name]}" if name in _INSTEAD else spelling.or_so(name, [*_OPTIONS, *_OWN])
            raise TypeError(f"SupremeCluster has no parameter {name!r}{instead}")


_OPTIONS = {"asynchronous", "loop", "name", "scheduler_sync_interval", "security", "shutdown_on_close"}
"""Of `distributed.SpecCluster`; the others are decided here."""
_EQUAL = ("n_workers", "threads_per_worker", "memory_limit")
_OWN = ("groups", "policy", *_EQUAL, "host", "port", "dashboard_address", "silence_logs")
_IN_GROUP = "write groups=[WorkerGroup(name, cpu=..., memory=..., resources=...)]"
_INSTEAD = {
    "processes": "each worker is a process of its own",
    "resources": _IN_GROUP,
    "cores": _IN_GROUP,
    "nthreads": _IN_GROUP,
    "ncores": _IN_GROUP,
    "memory": _IN_GROUP,
    "workers": _IN_GROUP,
    "worker": _IN_GROUP,
    "worker_class": _IN_GROUP,
    "scheduler_port": "write port=...",
    "ip": "write host=...",
    "interface": "write host=... with the address of that interface",
    "minimum": "write WorkerGroup(..., minimum=...) and a policy, or cluster.adapt(minimum=...)",
    "maximum": "write WorkerGroup(..., maximum=...) and a policy, or cluster.adapt(maximum=...)",
    "local_directory": "set temporary-directory in Dask's config",
    "preload": "set distributed.worker.preload in Dask's config",
    "env": "set distributed.nanny.environ in Dask's config",
    "protocol": "this cluster listens with tcp; give security=... for TLS",
    "scheduler": "its options are host, port and dashboard_address",
    "scheduler_kwargs": "its options are host, port and dashboard_address",
}
