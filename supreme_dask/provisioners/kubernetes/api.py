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
_FAULTS = (ServerError, APITimeoutError, httpx.HTTPError, OSError, json.JSONDecodeError)
TOO_OLD = 410
"""Code of a watch that begins with a version which the server has forgotten."""


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
            If the server ends it otherwise than in order; with the code `TOO_OLD`, list again.
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
            stream=True,
            timeout=httpx.Timeout(_TIMEOUT, read=_WATCH + _TIMEOUT),
        )
        try:
            async with asked as answer:
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
            try:
                asked = self._api.call_api(
                    method, url=path, namespace=self.namespace, params=parameters, content=content, timeout=_TIMEOUT
                )
                async with asked as answer:
                    return dict(answer.json())
            except _FAULTS as error:
                said, after = _told(error), _retry_after(error)
                if said.code not in (0, *_LATER) or monotonic() + max(pause, after) > until:
                    raise said from error
            await asyncio.sleep(max(pause, after) * random.uniform(1.0, 1.2))  # noqa: S311  not all at once
            pause = min(2 * pause, _LONGEST)


def _told(error: Exception) -> ApiServerError:
    """Return what an error of the connection, or of the server, means."""
    answer = getattr(error, "response", None) if isinstance(error, ServerError) else None
    if answer is None:
        return ApiServerError(0, f"the API server does not answer: {error or type(error).__name__}")
    try:
        said = answer.json()
    except ValueError:
        said = {}
    return _refused(answer.status_code, said if isinstance(said, dict) else {})


def _refused(code: int, status: Mapping[str, Any]) -> ApiServerError:
    return ApiServerError(code, str(status.get("message") or f"the API server answers with status {code}"))


def _retry_after(error: Exception) -> float:
    """Return the seconds that a server asks to wait for."""
    answer = getattr(error, "response", None)
    said = answer.headers.get("retry-after", "") if answer is not None else ""
    return min(float(said), _PATIENCE) if said.isdecimal() else 0.0
