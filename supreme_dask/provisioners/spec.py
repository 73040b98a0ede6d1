"""Workers of any `SpecCluster` of distributed."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext, suppress
from typing import Any

from distributed import SpecCluster
from distributed.core import Status
from distributed.utils import import_term

from supreme_dask.core.groups import WorkerGroup, group_of
from supreme_dask.core.plans import Plan
from supreme_dask.errors import ProvisionError
from supreme_dask.errors.base import whole
from supreme_dask.provisioners.names import Names

log = logging.getLogger(__name__)

_ENDED = (Status.closed, Status.failed)
_PATIENCE = 30.0  # s
_REMEMBERED = 100  # workers that have ended


class SpecProvisioner:
    """Adds to the workers of a cluster that runs, and removes from them. It lives on the cluster's event loop.

    Each worker is started by itself, so that one that is slow to start, or fails, keeps no other from starting.

    Parameters
    ----------
    groups
        Names of the groups. Workers of the cluster that belong to none of them, by their name, are left alone.
    spec
        Gives the entry of `SpecCluster.worker_spec` for a worker of a group.
    at_once
        How many may be starting at the same time; None for any number. Workers that share processors while they start
        are all up when the last one is; one after the other, the first is up in a fraction of that.
    """

    def __init__(
        self,
        cluster: SpecCluster,
        groups: Iterable[str],
        spec: Callable[[WorkerGroup], Mapping[str, Any]],
        *,
        at_once: int | None = None,
    ) -> None:
        self._cluster = cluster
        self._groups = tuple(groups)
        self._spec = spec
        self._names = Names()
        self._turn = asyncio.Semaphore(at_once) if at_once is not None else nullcontext()
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._met: set[str] = set()
        self._arrived: dict[str, None] = {}  # in the order in which they did
        self._last_words: dict[str, str] = {}
        for name in self._ours():
            self._names.see(name, self._group(name))

    async def launch(self, group: WorkerGroup, count: int) -> None:
        """See `Provisioner.launch`."""
        for _ in range(count):
            try:
                self._add(self._names.next(group.name), self._spec(group))
            except Exception as error:  # a class of a cluster may raise anything
                raise ProvisionError(group.name, whole(error)) from error

    async def heed(self, plan: Plan) -> None:
        """See `Provisioner.heed`."""
        for name, group in plan.others.items():
            self._names.see(name, group)

    async def remove(self, names: Collection[str]) -> None:
        """See `Provisioner.remove`."""
        await self._until_started(names)
        leaving = [name for name in names if name in self._cluster.worker_spec]
        for name in leaving:
            del self._cluster.worker_spec[name]
        if leaving:
            await self._cluster._correct_state()  # type: ignore[no-untyped-call]

    async def workers(self) -> Mapping[str, str]:
        """See `Provisioner.workers`."""
        self._note_arrivals()
        for name in self._ours():
            if self._has_ended(name):
                self._drop(name, "it was closed")
        return {name: self._group(name) for name in self._ours()}

    async def arrived(self) -> Collection[str]:
        """See `Provisioner.arrived`."""
        self._note_arrivals()
        return set(self._arrived)

    async def trouble(self, name: str) -> str:  # noqa: ARG002
        """See `Provisioner.trouble`."""
        return ""  # what keeps a process from starting ends it

    async def last_words(self, name: str) -> str:
        """See `Provisioner.last_words`."""
        return self._last_words.get(name, "")

    async def close(self) -> None:
        """Wait for workers that are starting, so that the cluster can be closed."""
        await self._until_started(list(self._starts))

    # ----------------------------------------------------------------------------------- parts
    def _add(self, name: str, spec: Mapping[str, Any]) -> None:
        scheduler: Any = self._cluster.scheduler
        cls = spec["cls"]
        made = import_term(cls) if isinstance(cls, str) else cls
        address = getattr(scheduler, "contact_address", None) or scheduler.address
        worker = made(address, **{"name": name, **spec.get("options", {})})
        worker._cluster = weakref.ref(self._cluster)
        # Both at once: the cluster itself starts whoever has an entry and no worker.
        self._cluster.worker_spec[name] = spec
        self._cluster.workers[name] = worker
        self._starts[name] = asyncio.create_task(self._start(name, worker))

    async def _start(self, name: str, worker: Any) -> None:
        try:
            async with self._turn:
                await worker
        except Exception as error:  # noqa: BLE001  a class of a cluster may raise anything
            log.warning("Worker %s did not start: %s", name, whole(error))
            self._drop(name, whole(error))
            with suppress(Exception):
                await worker.close()
        else:
            self._arrived[name] = None
        finally:
            del self._starts[name]

    def _note_arrivals(self) -> None:
        for name in self._ours():
            worker = self._cluster.workers.get(name)
            # Those that the cluster started itself are among its workers only when they have started.
            if worker is not None and name not in self._starts and worker.status != Status.failed:
                self._arrived[name] = None
        for oldest in [name for name in self._arrived if name not in self._cluster.worker_spec][:-_REMEMBERED]:
            del self._arrived[oldest]

    def _has_ended(self, name: str) -> bool:
        worker = self._cluster.workers.get(name)
        if worker is None:
            return name in self._met  # else the cluster itself is starting it
        self._met.add(name)
        return worker.status in _ENDED

    async def _until_started(self, names: Collection[str]) -> None:
        """Wait for those that are starting, because a nanny cannot be closed then; give up those that hang."""
        starts = [self._starts[name] for name in names if name in self._starts]
        if starts:
            _, hanging = await asyncio.wait(starts, timeout=_PATIENCE)
            for start in hanging:
                start.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

    def _drop(self, name: str, why: str) -> None:
        self._cluster.worker_spec.pop(name, None)
        self._cluster.workers.pop(name, None)
        self._met.discard(name)
        self._last_words[name] = why
        for oldest in list(self._last_words)[:-_REMEMBERED]:
            del self._last_words[oldest]

    def _ours(self) -> list[str]:
        return [name for name in self._cluster.worker_spec if self._group(name)]

    def _group(self, name: object) -> str:
        return group_of(str(name), self._groups)
