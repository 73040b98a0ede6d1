"""Resource-aware placement for ``dask.distributed``: tasks go where they fit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supreme_dask.adaptive import SupremeAdaptive as SupremeAdaptive
    from supreme_dask.cluster import SupremeCluster as SupremeCluster
    from supreme_dask.core.explaining import Explanation as Explanation
    from supreme_dask.core.groups import WorkerGroup as WorkerGroup
    from supreme_dask.engines.base import BaseSupremeEngine as BaseSupremeEngine
    from supreme_dask.engines.base import ResourceProfile as ResourceProfile
    from supreme_dask.engines.function import engine as engine
    from supreme_dask.orchestrator.connection import connect as connect
    from supreme_dask.orchestrator.explaining import explain as explain
    from supreme_dask.orchestrator.submission import SupremeOrchestrator as SupremeOrchestrator
    from supreme_dask.scheduler.plugin import SupremePlugin as SupremePlugin

__version__ = "0.1.0"

_HOMES = {
    "BaseSupremeEngine": "engines.base",
    "Explanation": "core.explaining",
    "ResourceProfile": "engines.base",
    "SupremeAdaptive": "adaptive",
    "SupremeCluster": "cluster",
    "SupremeOrchestrator": "orchestrator.submission",
    "SupremePlugin": "scheduler.plugin",
    "WorkerGroup": "core.groups",
    "connect": "orchestrator.connection",
    "engine": "engines.function",
    "explain": "orchestrator.explaining",
}

__all__ = [
    "BaseSupremeEngine",
    "Explanation",
    "ResourceProfile",
    "SupremeAdaptive",
    "SupremeCluster",
    "SupremeOrchestrator",
    "SupremePlugin",
    "WorkerGroup",
    "connect",
    "engine",
    "explain",
]


def __getattr__(name: str) -> Any:
    # PEP 562: importing `supreme_dask.core` must not load distributed.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
