"""JSON below ``supreme/api/v1/`` of the scheduler's HTTP server, and text for Prometheus. They only read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tornado import web

from supreme_dask.scheduler.web import metrics
from supreme_dask.scheduler.web.view import View

PATH = "supreme/api/v1/"
METRICS = "supreme/metrics"


class _Answer(web.RequestHandler):
    """Answers with what a function returns for the arguments of the request."""

    def initialize(self, answer: Callable[[web.RequestHandler], Any]) -> None:
        self._answer = answer

    def get(self) -> None:
        """Write the answer as JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(self._answer(self), ensure_ascii=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002  (tornado passes it)
        """Write what is wrong as JSON, in one sentence."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        said = error.reason if isinstance(error, web.HTTPError) and error.reason else self._reason
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps({"error": said}))


class _Metrics(web.RequestHandler):
    """Answers a scrape of Prometheus."""

    def initialize(self, view: View) -> None:
        self._view = view

    def get(self) -> None:
        """Write the figures."""
        self.set_header("Content-Type", metrics.TYPE)
        self.finish(metrics.text(self._view.look(parts=metrics.PARTS)))


def application(prefix: str, view: View, explain: Callable[[str], dict[str, Any]]) -> web.Application:
    """Return what answers.

    Parameters
    ----------
    prefix
        Of all paths of the scheduler's HTTP server, with a slash at its end.
    view
        The values of all parts.
    explain
        Returns where the task of a key is, and why.
    """

    def of_key(request: web.RequestHandler) -> dict[str, Any]:
        key = request.get_argument("key", None, strip=False)
        if not key:
            raise web.HTTPError(400, reason="name a task: explain?key=KEY")
        return explain(key)

    answers: dict[str, Callable[[web.RequestHandler], Any]] = {
        "": lambda _: {"paths": sorted([*view.parts, "explain"])},
        "explain": of_key,
        **{name: _of(part) for name, part in view.parts.items()},
    }
    routes: list[Any] = [(f"{prefix}{PATH}{name}", _Answer, {"answer": answer}) for name, answer in answers.items()]
    return web.Application([*routes, (f"{prefix}{METRICS}", _Metrics, {"view": view})])


def _of(part: Callable[[], Any]) -> Callable[[web.RequestHandler], Any]:
    return lambda _: part()
