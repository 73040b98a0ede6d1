"""Resource-aware placement for ``dask.distributed``: tasks go where they fit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supreme_dask.orchestrator.connection import connect as connect

__version__ = "0.1.0"

_HOMES = {
    "connect": "orchestrator.connection",
}

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    # PEP 562: importing `supreme_dask.core` must not load distributed.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
