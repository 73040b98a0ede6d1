"""What is known of the pods of a system: listed once, then watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing, suppress
from time import monotonic
from typing import Any

from supreme_dask.errors import ApiServerError
from supreme_dask.provisioners.kubernetes.api import EXPIRED, TOO_OLD, PodsApi
from supreme_dask.provisioners.kubernetes.pods import Pod

log = logging.getLogger(__name__)

_AGAIN = 0.5  # s after the API server could not be asked
_STALE = 5.0  # s without it after which what was seen last is no answer
_REMEMBERED = 1000  # workers that are gone


class View:
    """The pods of one system, as they were at the last word of the API server. It is entered with ``async with``.

    Parameters
    ----------
    api
        Asks the API server.
    late
        Seconds beyond its grace after which a pod that was told to end counts no more: nothing will say that it has.

    Attributes
    ----------
    pods : dict of str to Pod
        By name, also those that have ended and that Kubernetes still has.
    joined : dict of str to None
        Names of workers that have joined a scheduler, the last ones last.
    words : dict of str to str
        What was said last of each worker, also when it is gone.
    """

    def __init__(self, api: PodsApi, *, late: float = 30.0) -> None:
        self.pods: dict[str, Pod] = {}
        self.joined: dict[str, None] = {}
        self.words: dict[str, str] = {}
        self._api = api
        self._late = late
        self._ends: dict[str, float] = {}  # when each that was told to end has to have ended
        self._version = ""  # up to which all is known; empty until the pods were listed
        self._problem: ApiServerError | None = None
        self._since = 0.0  # when the problem began
        self._is_listed = False
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> View:
        self._task = asyncio.create_task(self._follow(), name="supreme-pods")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def now(self) -> dict[str, Pod]:
        """Return the pods that are there, by name.

        Raises
        ------
        ApiServerError
            If the API server has not answered for a while.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_listed or self._problem is not None)
        if self._problem is not None and (not self._is_listed or monotonic() - self._since > _STALE):
            raise self._problem
        return {name: pod for name, pod in self.pods.items() if self._lives(pod)}

    async def ended(self, names: set[str]) -> None:
        """Return when none of these is there any more."""
        while any(name in self.pods and self._lives(self.pods[name]) for name in names):
            async with self._changed:
                with suppress(TimeoutError):  # of a pod on a lost node nothing is heard
                    await asyncio.wait_for(self._changed.wait(), _AGAIN)

    def see(self, answer: Mapping[str, Any]) -> None:
        """Take in a pod that the API server has answered with."""
        pod = Pod.of(answer)
        self.pods[pod.name] = pod
        if pod.joined:
            _remember(self.joined, pod.name, None)
        if pod.words:
            _remember(self.words, pod.name, pod.words)
        if pod.grace is not None:
            self._ends.setdefault(pod.name, monotonic() + pod.grace + self._late)

    def _lives(self, pod: Pod) -> bool:
        return not (pod.ended or pod.lost) and monotonic() < self._ends.get(pod.name, float("inf"))

    # ------------------------------------------------------------------------------- following
    async def _follow(self) -> None:
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except ApiServerError as error:
                await self._failed(error)
            except Exception as error:  # noqa: BLE001  whatever it is, what is not followed is not known
                await self._failed(ApiServerError(TOO_OLD, f"the API server says what cannot be read: {error!r}"))

    async def _list(self) -> None:
        known = set(self.pods)  # one that is created meanwhile may not be in the list yet
        answers, version = await self._api.list()
        for name in known - {answer["metadata"]["name"] for answer in answers}:
            self._gone(name)
        for answer in answers:
            self.see(answer)
        self._version = version
        self._is_listed = True
        await self._heard()

    async def _watch(self) -> None:
        """Take in what happens until the watch ends."""
        async with aclosing(self._api.watch(self._version)) as events:
            async for kind, answer in events:
                if kind != "BOOKMARK":
                    self.see(answer)
                if kind == "DELETED":
                    self._gone(answer["metadata"]["name"])
                self._version = answer["metadata"]["resourceVersion"]
                await self._heard()

    async def _failed(self, error: ApiServerError) -> None:
        log.debug("The pods are not followed: %s", error)
        if error.code in (EXPIRED, TOO_OLD):
            self._version = ""
        if self._problem is None:
            self._since = monotonic()
        self._problem = error
        await self._tell()
        await asyncio.sleep(_AGAIN)

    async def _heard(self) -> None:
        self._problem = None
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _gone(self, name: str) -> None:
        self.pods.pop(name, None)
        self._ends.pop(name, None)


def _remember(kept: dict[str, Any], name: str, value: Any) -> None:
    kept.pop(name, None)
    kept[name] = value
    while len(kept) > _REMEMBERED:
        del kept[next(iter(kept))]
