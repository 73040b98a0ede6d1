"""Puts pages and JSON on the scheduler's HTTP server, and takes them off again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from distributed.scheduler import Scheduler
from tornado import web
from tornado.ioloop import IOLoop

from supreme_dask.core.admission import Admission
from supreme_dask.scheduler.explaining import Explaining
from supreme_dask.scheduler.scaling import ScalabilityEngine
from supreme_dask.scheduler.web import api
from supreme_dask.scheduler.web.view import View

log = logging.getLogger(__name__)

_ENTRY = "supreme"


class Web:
    """What one scheduler shows: over HTTP, and to the clients and commands that ask it.

    Parameters
    ----------
    scheduler, admission, scaling
        Of the plugin that it belongs to.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, scaling: ScalabilityEngine) -> None:
        self._scheduler = scheduler
        self._view = View(scheduler, admission, scaling)
        self._explaining = Explaining(scheduler, admission, scaling.supplies)
        self._served: list[Any] = []
        self._navigation: list[str] = []

    def answers(self) -> dict[str, Callable[..., Any]]:
        """Return what answers calls, by name."""
        return {"supreme_explain": self._explain, "supreme_look": self._view.look}

    def mount(self) -> None:
        """Serve from now on. What cannot be served is left out, with a warning: tasks are placed all the same."""
        if getattr(self._scheduler, "http_application", None) is None:
            return
        try:
            self._serve_json()
            self._serve_pages()
        except Exception as error:  # noqa: BLE001  (pages are made by other packages)
            log.warning("Not all pages of supreme-dask are served: %r", error)

    def unmount(self) -> None:
        """Serve no more. Open pages stay as they are."""
        self._view.end()
        for served in self._served:
            self._scheduler.http_application.applications.remove(served)
            if hasattr(served, "app_paths"):  # bokeh's: it looks after open pages every few seconds
                served.stop()
        self._served.clear()
        if _ENTRY in self._navigation:
            self._navigation.remove(_ENTRY)

    def _explain(self, key: Any) -> dict[str, Any]:
        return self._explaining.explain(key).to_wire()

    def _serve_json(self) -> None:
        self._add(api.application(_prefix(self._scheduler), self._view, self._explain))

    def _serve_pages(self) -> None:
        stock = _dashboard(self._scheduler)
        if stock is None:  # without bokeh, or not wanted
            return
        from distributed.dashboard.core import BokehApplication
        from distributed.dashboard.scheduler import template_variables

        from supreme_dask.scheduler.web.pages import documents

        variables = template_variables(self._scheduler)
        pages: Any = BokehApplication(  # type: ignore[no-untyped-call]
            documents(self._view), self._scheduler, prefix=stock.prefix, template_variables=variables
        )
        self._add(pages)
        pages.initialize(IOLoop.current())
        pages.start()
        self._offer()
        self._navigation = variables["pages"]  # the same list that stock pages show
        if _ENTRY not in self._navigation:
            self._navigation.insert(self._navigation.index("workers") + 1, _ENTRY)

    def _offer(self) -> None:
        """Name our pages where JupyterLab asks which there are: Dask names only those of its own application."""
        from distributed.http.scheduler.info import IndividualPlots

        applications = self._scheduler.http_application.applications

        class Plots(IndividualPlots):
            def write(self, chunk: Any) -> None:
                super().write({**chunk, **_individual(applications)} if isinstance(chunk, dict) else chunk)

        route = (f"{_prefix(self._scheduler)}individual-plots.json", Plots, {"dask_server": self._scheduler})
        self._scheduler.http_application.add_handlers(".*$", [route])

    def _add(self, application: web.Application) -> None:
        self._scheduler.http_application.add_application(application)
        self._served.append(application)


def _dashboard(scheduler: Scheduler) -> Any:
    """Return the application that serves Dask's own pages; None if there is none."""
    return next((one for one in scheduler.http_application.applications if hasattr(one, "app_paths")), None)


def _individual(applications: Iterable[Any]) -> dict[str, str]:
    """Return the pages of all applications that show one thing each, by name."""
    paths = (path for application in applications for path in getattr(application, "app_paths", ()))
    found = (path for path in paths if path.startswith("/individual-") and not path.endswith(".json"))
    return {path.strip("/").replace("-", " ").title(): path for path in found}


def _prefix(scheduler: Scheduler) -> str:
    """Return what all paths begin with, with a slash at its end: the scheduler keeps it in its routes only."""
    if (stock := _dashboard(scheduler)) is not None:
        return "/" + f"{stock.prefix.strip('/')}/".lstrip("/")
    rules = scheduler.http_application.wildcard_router.rules
    for pattern in (getattr(getattr(rule.matcher, "regex", None), "pattern", "") for rule in rules):
        prefix, found, _ = pattern.partition("health")
        if found:
            return prefix
    return "/"
