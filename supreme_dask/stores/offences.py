"""What is wrong with the form of a document, in sentences: those of jsonschema tell what, not what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from reprlib import repr as shown
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from supreme_dask.core.spelling import or_so


@dataclass(frozen=True, slots=True)
class Offence:
    """Something that a schema does not allow.

    Attributes
    ----------
    path : str
        Where, as a JSON path.
    sentence : str
        What is wrong.
    entry : object
        The name of the entry of the document in which it is; None if it is the whole.
    """

    path: str
    sentence: str
    entry: object

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}"


def offences(schema: Mapping[str, Any], content: object) -> list[Offence]:
    """Return what a schema does not allow, by path.

    A ``description`` in the schema says what was expected, where a value does not match or nothing fits.
    """
    found = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda one: one.json_path)
    return [*(Offence(one.json_path, _sentence(one), _entry(one)) for one in found), *_not_finite(content)]


def _not_finite(content: object, path: tuple[object, ...] = ()) -> Iterator[Offence]:
    """Yield the numbers that no comparison refuses, and with which none can be made."""
    if isinstance(content, float) and not isfinite(content):
        yield Offence(".".join(map(str, ("$", *path))), f"{content} is no number", path[0] if path else None)
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _not_finite(value, (*path, name))


def _entry(error: ValidationError) -> object:
    if error.absolute_path:
        return error.absolute_path[0]
    return error.instance if "propertyNames" in error.absolute_schema_path else None


def _sentence(error: ValidationError) -> str:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    value: Any = error.instance
    if error.validator in ("anyOf", "pattern", "type") and "description" in schema:
        return f"{shown(value)} is no {schema['description']}"
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        unknown = (f"{name!r}{or_so(str(name), known)}" for name in value if name not in known)
        return f"unknown {', '.join(unknown)}; known are {', '.join(known)}"
    if error.validator == "required" and "kind" in schema.get("properties", ()) and "kind" not in value:
        return f"{error.message}, for a rule that names no kind is a threshold"
    return error.message
