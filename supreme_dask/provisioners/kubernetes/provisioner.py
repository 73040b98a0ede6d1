"""Workers as pods: made by name, removed by name, and seen as the API server sees them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from supreme_dask import config
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan
from supreme_dask.errors import ApiServerError, ConfigError, ProvisionError
from supreme_dask.provisioners.kubernetes.api import PodsApi
from supreme_dask.provisioners.kubernetes.manifests import Maker, can_name
from supreme_dask.provisioners.kubernetes.view import View

log = logging.getLogger(__name__)

_LETTERS = string.ascii_lowercase + string.digits
_RANDOM = 8  # letters of a name: of 100,000 workers, two get one name once in 500 systems
_KEPT = 20  # pods that have ended, for their logs


class KubernetesProvisioner:
    """Makes each worker a pod of its own. It is entered with ``async with``; the pods of one that is left run on.

    A pod that ends is not started again: another worker, with another name, takes its place. Names end in random
    letters, for there is nothing that would count through all lives of a controller and needs no further rights.

    Parameters
    ----------
    api
        The pods of one system.
    maker
        Makes their manifests.
    """

    def __init__(self, api: PodsApi, maker: Maker) -> None:
        self._api = api
        self._maker = maker
        self._view = View(api)
        self._others: Collection[str] = ()
        self._scheduler = ""  # where it was when the last plan was made
        self._tidying: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"pods of namespace {self._api.namespace}"

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._tidying is not None:
            self._tidying.cancel()
        await self._view.__aexit__(*exc_info)

    async def launch(self, group: WorkerGroup, count: int) -> None:
        """See `Provisioner.launch`."""
        if not can_name(group.name):
            problem = "no pod can be named after it: lowercase letters, digits, '-' and '.'"
            raise ProvisionError(group.name, problem)
        for _ in range(count):
            manifest = self._maker.manifest(group, self._name(group.name), self._scheduler)
            try:
                self._view.see(await self._api.create(manifest))
            except ApiServerError as error:
                raise ProvisionError(group.name, str(error)) from error

    async def heed(self, plan: Plan) -> None:
        """See `Provisioner.heed`."""
        self._others, self._scheduler = plan.others, plan.scheduler

    async def remove(self, names: Collection[str]) -> None:
        """See `Provisioner.remove`."""
        leaving = {name: self._view.pods[name].uid for name in names if name in self._view.pods}
        await asyncio.gather(*(self._api.delete(name, uid) for name, uid in leaving.items()))
        await self._view.ended(set(leaving))

    async def workers(self) -> Mapping[str, str]:
        """See `Provisioner.workers`."""
        there = await self._view.now()
        self._tidy()
        return {name: pod.group for name, pod in there.items()}

    async def arrived(self) -> Collection[str]:
        """See `Provisioner.arrived`."""
        return set(self._view.joined)

    async def trouble(self, name: str) -> str:
        """See `Provisioner.trouble`."""
        return self._view.pods[name].words if name in self._view.pods else ""

    async def last_words(self, name: str) -> str:
        """See `Provisioner.last_words`."""
        return self._view.words.get(name, "")

    def _name(self, group: str) -> str:
        """Return a name that no worker has; that none had, random letters see to."""
        while True:
            name = f"{group}-{''.join(secrets.choice(_LETTERS) for _ in range(_RANDOM))}"
            if name not in self._others and name not in self._view.pods:
                return name

    def _tidy(self) -> None:
        """Let the API server forget pods that have ended, but for the last ones."""
        ended = [pod for pod in self._view.pods.values() if pod.ended and pod.grace is None]
        if len(ended) > _KEPT and (self._tidying is None or self._tidying.done()):
            self._tidying = asyncio.create_task(self._forget({pod.name: pod.uid for pod in ended[:-_KEPT]}))

    async def _forget(self, pods: Mapping[str, str]) -> None:
        try:
            for name, uid in pods.items():
                await self._api.delete(name, uid)
        except ApiServerError as error:
            log.debug("Pods that have ended are still there: %s", error)


@asynccontextmanager
async def opened(
    store: str, system: str, *, directory: Path | None, host: str | None
) -> AsyncIterator[KubernetesProvisioner]:
    """Open the provisioner of a system, as the settings below ``supreme.kubernetes`` say.

    Parameters
    ----------
    store, system
        Where the workers register, and find their scheduler.
    directory, host
        None: all that it needs to find its pods is in the API server, and they listen where Kubernetes lets them.

    Raises
    ------
    ConfigError
        If a setting cannot be used.
    ApiServerError
        If there are no credentials for an API server.
    """
    for name, value in (("directory", directory), ("host", host)):
        if value is not None:
            problem = "it is for workers of this machine; what pods are is in supreme.kubernetes"
            raise ConfigError(name, str(value), problem)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request
    maker = Maker(system, store, config.image(), config.pod())
    api = await PodsApi.connect(config.namespace(), maker.selector)
    async with KubernetesProvisioner(api, maker) as provisioner:
        yield provisioner
