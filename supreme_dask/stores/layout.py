"""Where the things of a system are in a store, and the form of what is kept there.

All keys of a system begin with its name, so that transactions over them stay in one place::

    systems/<system>/heads/<document>                  number and hash of a document's newest revision
    systems/<system>/revisions/<document>/<number>     its revisions, never changed
    systems/<system>/tags/<tag>                        revision numbers of all documents at one moment
    systems/<system>/nodes/<kind>/<identity>           who is there, each under a lease of its own
    systems/<system>/epoch                             of its newest scheduler
    systems/<system>/decisions/<number>                batches of the history
    systems/<system>/profiles/<type>                   what was learned of a task type
    systems/<system>/plan                              how many workers there should be, and who may be removed
    systems/<system>/progress/<controller>             how far a controller is with that
    systems/<system>/controllers/leader, …/epoch       which controller launches workers, under its lease
    systems/<system>/drains/<name>                     how far a worker is that leaves
    systems/<system>/blobs/<name>                      pointers to large things
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from supreme_dask.core.revisions import encode
from supreme_dask.errors import LimitError, StoreFormatError

SYSTEMS = "systems/"
SCHEMA = 1
"""Number of the form in which values are written; another one is refused."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """Return a name that can be part of a key, or raise `LimitError`."""
    if not _NAME.fullmatch(name):
        raise LimitError(f"name {name[:40]!r}", "1 to 100 letters, digits, points, dashes; a letter or digit first")
    return name


def prefix(system: str, room: str) -> str:
    """Return what the keys of one kind of thing of a system begin with."""
    return f"{SYSTEMS}{check_name(system)}/{room}/"


def epoch_key(system: str) -> str:
    """Return the key that counts the schedulers of a system."""
    return f"{SYSTEMS}{check_name(system)}/epoch"


def plan_key(system: str) -> str:
    """Return the key of the plan of a system."""
    return f"{SYSTEMS}{check_name(system)}/plan"


def controllers(system: str) -> str:
    """Return the name of the election of the controller that launches workers for a system."""
    return f"{SYSTEMS}{check_name(system)}/controllers"


def pack(value: Mapping[str, Any]) -> bytes:
    """Return a value as it is stored."""
    return encode({"schema": SCHEMA, **value})


def unpack(store: str, key: str, stored: bytes) -> dict[str, Any]:
    """Return a stored value.

    Raises
    ------
    StoreFormatError
        If it was written by a release that writes another form, or not by supreme-dask.
    """
    try:
        value = json.loads(stored)
        schema = value.pop("schema")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise StoreFormatError(store, f"{key!r} holds something that supreme-dask did not write") from None
    if schema != SCHEMA:
        raise StoreFormatError(
            store,
            f"{key!r} has schema {schema!r}, this release knows {SCHEMA}; use the release that wrote it",
        )
    return dict(value)
