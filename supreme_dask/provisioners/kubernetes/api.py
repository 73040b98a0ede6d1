"""The pods of one system, as the API server has them: create, delete, list, watch.

kr8s gives credentials, their renewal and the connection. What is asked is written here: its own watch asks again for
ever once what it asks for is too old, and its delete cannot say which pod of a name it means (docs/decisions/0010).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx
import kr8s
import kr8s.asyncio
from kr8s import APITimeoutError, ServerError

from supreme_dask.errors import ApiServerError

if TYPE_CHECKING:
    from kr8s._api import Api  # what `kr8s.asyncio.api` returns; the one that kr8s shows blocks

_TIMEOUT = 10.0  # s for one answer
_PATIENCE = 20.0  # s for an answer that is none, asked again and again
_FIRST, _LONGEST = 0.1, 2.0  # s between two tries
_WATCH = 30  # s; then the server ends a watch, and one that has ended without a word is noticed
_LATER = (429, 500, 502, 503, 504)
_ABSENT, _CONFLICT = 404, 409
_CONFLICTS = 3  # times that a pod is there and is not
# The last one is that of a connection which kr8s has closed for all, since one of them had to renew its credentials.
_FAULTS = (ServerError, APITimeoutError, httpx.HTTPError, OSError, json.JSONDecodeError, RuntimeError)
EXPIRED, TOO_OLD = 401, 410
"""Codes of a watch: its credentials have to be renewed, which a list does; its version is forgotten."""


class PodsApi:
    """Asks about the pods of one namespace that have certain labels.

    Parameters
    ----------
    api
        Connection of kr8s.
    namespace
        Where the pods are.
    selector
        Labels of the pods, such as ``system=blue``.
    """

    def __init__(self, api: Api, namespace: str, selector: str) -> None:
        self.namespace = namespace
        self._api = api
        self._selector = selector

    @classmethod
    async def connect(cls, namespace: str | None, selector: str) -> PodsApi:
        """Return one that is ready, with the credentials of the pod that this is, or of a kubeconfig.

        Parameters
        ----------
        namespace
            None for that of the credentials.
        selector
            As for the class.

        Raises
        ------
        ApiServerError
            If there are no credentials, or they are of no use.
        """
        try:
            api = await kr8s.asyncio.api(namespace=namespace)
        except _FAULTS as error:
            raise _told(error) from error
        except Exception as error:  # a file that is damaged makes kr8s raise anything
            where = os.environ.get("KUBECONFIG", "~/.kube/config")
            problem = f"no credentials for an API server in this pod or in {where}: {type(error).__name__}: {error}"
            raise ApiServerError(0, problem) from error
        return cls(api, api.namespace, selector)

    async def create(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create a pod, and return it. One that is there counts as created: an answer may have been lost.

        Parameters
        ----------
        manifest
            The pod, with its name.

        Raises
        ------
        ApiServerError
            If it cannot be had.
        """
        refused: ApiServerError | None = None
        for _ in range(_CONFLICTS):
            try:
                return await self._ask("POST", "pods", manifest)
            except ApiServerError as error:
                if error.code != _CONFLICT:
                    raise
                refused = error
            try:
                return await self._ask("GET", f"pods/{manifest['metadata']['name']}")
            except ApiServerError as error:
                if error.code != _ABSENT:
                    raise
        raise ApiServerError(_CONFLICT, str(refused))

    async def delete(self, name: str, uid: str) -> None:
        """Let a pod end. It is no error if it is not there, or another one has its name.

        Parameters
        ----------
        name, uid
            Which one is meant.

        Raises
        ------
        ApiServerError
            If that is refused.
        """
        try:
            await self._ask("DELETE", f"pods/{name}", {"preconditions": {"uid": uid}})
        except ApiServerError as error:
            if error.code not in (_ABSENT, _CONFLICT):
                raise

    async def list(self) -> tuple[list[Mapping[str, Any]], str]:
        """Return all pods, and the version of that list.

        Raises
        ------
        ApiServerError
            If they cannot be read.
        """
        answer = await self._ask("GET", "pods", patience=0.0, labelSelector=self._selector)
        return answer["items"], answer["metadata"]["resourceVersion"]

    async def watch(self, version: str) -> AsyncGenerator[tuple[str, Mapping[str, Any]]]:
        """Give what happens to pods after a version, until the server ends it: what, and the pod.

        A bookmark has the version alone. The first comes once the server has begun to answer.

        Parameters
        ----------
        version
            Of a list, or of the last event.

        Raises
        ------
        ApiServerError
            If the server ends it otherwise than in order; with the code `EXPIRED` or `TOO_OLD`, list again.
        """
        parameters = {
            "labelSelector": self._selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH),
        }
        asked = self._api.call_api(
            "GET",
            url="pods",
            namespace=self.namespace,
            params=parameters,
            raise_for_status=False,
            stream=True,
            timeout=httpx.Timeout(_TIMEOUT, read=_WATCH + _TIMEOUT),
        )
        try:
            async with asked as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                yield "BOOKMARK", {"metadata": {"resourceVersion": version}}
                async for line in answer.aiter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _refused(event["object"].get("code", 0), event["object"])
                    yield event["type"], event["object"]
        except _FAULTS as error:
            raise _told(error) from error

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        patience: float = _PATIENCE,
        **parameters: str,
    ) -> Mapping[str, Any]:
        """Return an answer; while the server is away, overloaded or at fault, ask again for a while."""
        content = None if body is None else json.dumps(body)
        until, pause = monotonic() + patience, _FIRST
        while True:
            after = 0.0
            try:
                answer = await self._answer(method, path, content, parameters)
                if not answer.is_error:
                    return dict(answer.json())
                said, after = _refusal(answer), _retry_after(answer)
            except _FAULTS as error:
                said = _told(error)
            if said.code not in (0, *_LATER) or monotonic() + max(pause, after) > until:
                raise said
            await asyncio.sleep(max(pause, after) * random.uniform(1.0, 1.2))  # noqa: S311  not all at once
            pause = min(2 * pause, _LONGEST)

    async def _answer(
        self, method: str, path: str, content: str | None, parameters: Mapping[str, str]
    ) -> httpx.Response:
        """Return what the server answers, whatever it is; credentials that have expired are renewed."""
        ask = partial(
            self._api.call_api,
            method,
            url=path,
            namespace=self.namespace,
            params=parameters,
            content=content,
            timeout=_TIMEOUT,
        )
        # To renew them is to close all connections; where it may raise, kr8s does at each refusal, as of a quota.
        async with ask(raise_for_status=False) as answer:
            if answer.status_code != EXPIRED:
                return answer
        async with ask() as answer:
            return answer


def _told(error: Exception) -> ApiServerError:
    """Return what an error of kr8s, or of the connection, means."""
    answer = error.response if isinstance(error, ServerError) else None
    if answer is not None:
        return _refusal(answer)
    return ApiServerError(0, f"the API server does not answer: {error or type(error).__name__}")


def _refusal(answer: httpx.Response) -> ApiServerError:
    try:
        said = answer.json()
    except ValueError:
        said = {}
    return _refused(answer.status_code, said if isinstance(said, dict) else {})


def _refused(code: int, status: Mapping[str, Any]) -> ApiServerError:
    return ApiServerError(code, str(status.get("message") or f"the API server answers with status {code}"))


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds that a server asks to wait for."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), _PATIENCE) if said.isdecimal() else 0.0
