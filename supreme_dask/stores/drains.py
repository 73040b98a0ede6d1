"""Who is on the way out of a system: each step of a drain is here before it is acted on.

A scheduler that starts finds what its predecessor had begun. Whoever was overtaken by a later scheduler writes
nothing any more: its writes compare the epoch of the system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator

from supreme_dask.core.draining import Origin, State
from supreme_dask.errors import OvertakenError, StoreFormatError
from supreme_dask.stores.base import Store
from supreme_dask.stores.layout import epoch_key, pack, prefix, unpack
from supreme_dask.stores.operations import Delete, Operation, Put, ValueIs
from supreme_dask.stores.values import Refused

_TEXT = {"type": "string"}
_PROPERTIES: Mapping[str, Any] = {
    "name": _TEXT,
    "identity": _TEXT,
    "reason": _TEXT,
    "origin": {"enum": ["plan", "person", "notice"]},
    "state": {"enum": ["finishing", "moving", "leaving"]},
    "is_cut": {"type": "boolean"},
    "deadline": {"type": ["number", "null"]},
}
_SCHEMA = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Departure:
    """A drain at rest.

    Attributes
    ----------
    name : str
        Of the worker, in Dask.
    identity : str
        Tells its process from an earlier or later one of the same name.
    reason, origin, state, is_cut
        As in `core.draining.Drain`.
    deadline : float or None
        When tasks are cut that may run again, in seconds since 1970; None for never.
    """

    name: str
    identity: str
    reason: str
    origin: Origin
    state: State
    is_cut: bool = False
    deadline: float | None = None


class Departures:
    """The drains of one system; `store` is open."""

    def __init__(self, store: Store, system: str) -> None:
        self._store = store
        self._system = system
        self._prefix = prefix(system, "drains")

    async def all(self) -> list[Departure]:
        """Return what is kept.

        Raises
        ------
        StoreFormatError
            If something there is no drain.
        """
        listing = await self._store.list(self._prefix)
        return [_departure(self._store.address, kv.key, kv.value) for kv in listing.items]

    async def write(self, steps: Iterable[tuple[str, Departure | None]], epoch: int) -> None:
        """Keep the newest steps of workers, by name, and forget those that have none: all or nothing.

        Raises
        ------
        OvertakenError
            If a later scheduler of the system has begun. Nothing was written.
        """
        operations: list[Operation] = [
            Delete(self._key(name)) if one is None else Put(self._key(name), pack(asdict(one))) for name, one in steps
        ]
        fence = ValueIs(epoch_key(self._system), b"%d" % epoch)
        if isinstance(await self._store.transact((fence,), operations), Refused):
            raise OvertakenError(self._store.address, self._system, epoch)

    def _key(self, name: str) -> str:
        return self._prefix + quote(name, safe="")


def _departure(address: str, key: str, stored: bytes) -> Departure:
    value = unpack(address, key, stored)
    problems = [error.message[:200] for error in Draft202012Validator(_SCHEMA).iter_errors(value)]
    if problems:
        raise StoreFormatError(address, f"{key!r} holds no drain: {'; '.join(problems)}")
    return Departure(**value)
