"""What was learned of task types, kept for the next scheduler of the system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast
from urllib.parse import quote

from jsonschema import Draft202012Validator

from supreme_dask.core.profiles import Profile
from supreme_dask.errors import DocumentError, StoreFormatError
from supreme_dask.stores.base import Store
from supreme_dask.stores.layout import pack, prefix, unpack

_NUMBERS = {"type": "array", "items": {"type": ["number", "boolean"]}}
_ROWS = {"type": "array", "items": _NUMBERS}
_NUMBER = {"type": "number", "minimum": 0}
_WIRE = {
    "count": {"type": "integer", "minimum": 1},
    "version": _NUMBER,
    "periods": {**_ROWS, "minItems": 2, "maxItems": 2},
    "waiting": _ROWS,
    "learned": _NUMBER,
    "largest": _NUMBER,
    "runs": {"type": "array", "items": {**_NUMBERS, "minItems": 3, "maxItems": 3}},
    "kills": _ROWS,
    "bounds": _ROWS,
    "drift": {**_NUMBERS, "minItems": 3, "maxItems": 3},
    "alarm": _NUMBER,
    "surprises": _NUMBER,
    "doubt": _NUMBER,
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "minLength": 1, "maxLength": 300},
        "code": {"type": "string"},
        "wire": {"type": "object", "properties": _WIRE, "required": list(_WIRE), "additionalProperties": False},
    },
    "required": ["type", "code", "wire"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Learned:
    """A profile at rest.

    Attributes
    ----------
    type : str
        Task type, as Dask's prefix of its keys.
    code : str
        Version of the code that was measured; it fits no other.
    wire : mapping
        As `Profile.to_wire` gives it.
    """

    type: str
    code: str
    wire: Mapping[str, Any]

    @classmethod
    def checked(cls, value: object) -> Learned:
        """Return what a value of JSON describes.

        Raises
        ------
        DocumentError
            With the path of each offence and its reason.
        """
        found = sorted(Draft202012Validator(_SCHEMA).iter_errors(value), key=lambda error: error.json_path)
        if found:
            raise DocumentError("profile", [f"{error.json_path}: {error.message[:200]}" for error in found])
        learned = cls(**cast("dict[str, Any]", value))
        try:
            learned.profile().memory()
        except (TypeError, ValueError, IndexError) as error:
            raise DocumentError("profile", [f"$.wire: {error}"]) from None
        return learned

    def profile(self) -> Profile:
        """Return the profile, which estimates exactly as the one that was kept."""
        return Profile.from_wire(dict(self.wire))


class Profiles:
    """The profiles of one system; `store` is open."""

    def __init__(self, store: Store, system: str) -> None:
        self._store = store
        self._prefix = prefix(system, "profiles")

    async def all(self) -> list[Learned]:
        """Return what is kept, by type.

        Raises
        ------
        StoreFormatError
            If something there is no profile.
        """
        listing = await self._store.list(self._prefix)
        address = self._store.address
        found = []
        for kv in listing.items:
            try:
                found.append(Learned.checked(unpack(address, kv.key, kv.value)))
            except DocumentError as error:
                raise StoreFormatError(address, f"{kv.key!r} holds no profile: {'; '.join(error.problems)}") from None
        return sorted(found, key=lambda learned: learned.type)

    async def put(self, learned: Learned) -> None:
        """Keep a profile in the place of what was known of its type."""
        await self._store.put(self._key(learned.type), pack(asdict(learned)))

    async def drop(self, name: str) -> None:
        """Keep nothing of a type any more."""
        await self._store.delete(self._key(name))

    def _key(self, name: str) -> str:
        return self._prefix + quote(name, safe="")
