"""Extensions by name: what an installed distribution offers under an entry point of ours.

A distribution that brings an engine says so in its ``pyproject.toml``::

    [project.entry-points."supreme_dask.engines"]
    thumbnails = "my_package.engines:Thumbnails"
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from supreme_dask.errors import UnknownExtensionError


def find(kind: str, name: str) -> Any:
    """Return what is installed under a name.

    Whatever its import raises is passed on: an extension that is broken is not one that is absent.

    Parameters
    ----------
    kind
        Plural noun, such as ``"engines"``: the last part of the entry point group.

    Raises
    ------
    UnknownExtensionError
        If nothing of that kind has this name.
    """
    found = entry_points(group=_group(kind), name=name)
    if not found:
        raise UnknownExtensionError(kind, name, installed(kind))
    return next(iter(found)).load()


def installed(kind: str) -> list[str]:
    """Return the names that `find` knows, in order.

    Parameters
    ----------
    kind
        Plural noun, such as ``"engines"``, as for `find`.
    """
    return sorted({entry.name for entry in entry_points(group=_group(kind))})


def _group(kind: str) -> str:
    return f"supreme_dask.{kind}"
