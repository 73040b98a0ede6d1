"""What documents may say: a JSON Schema for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.revisions import Content, encode
from supreme_dask.errors import DemandError, DocumentError, LimitError

MOST_BYTES = 64 * 1024

_COUNT = {"type": "integer", "minimum": 0}
_PRICE = {"type": "number", "minimum": 0}
_AMOUNT = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^\s*(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*[A-Za-z]*\s*(/\s*s)?\s*$"},
    ]
}
_RULE = {
    "type": "object",
    "properties": {"threshold": {"type": "number"}, "action": {"type": "string", "minLength": 1}},
    "required": ["threshold", "action"],
}
_GROUP = {
    "type": "object",
    "properties": {
        "cpu": {"type": "number", "exclusiveMinimum": 0},
        "memory": _AMOUNT,
        "count": _COUNT,
        "minimum": _COUNT,
        "maximum": {"type": ["integer", "null"], "minimum": 0},
        "cost": _PRICE,
        "startup": _PRICE,
        "interruptions": _PRICE,
        "resources": {"type": "object", "additionalProperties": _AMOUNT},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}
_PLAIN = {"type": ["string", "number", "boolean", "null", "object", "array"]}

SCHEMAS: dict[str, dict[str, Any]] = {
    "policy": {
        "title": "Rules by name; or another policy by its name, with its options",
        "type": "object",
        "properties": {"policy": {"type": "string", "minLength": 1}, "options": {"type": "object"}},
        "additionalProperties": _RULE,
    },
    "groups": {
        "title": "Worker groups by name",
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
        "additionalProperties": _GROUP,
    },
    "settings": {
        "title": "Settings by name, as in the section `supreme` of Dask's config",
        "type": "object",
        "propertyNames": {"pattern": "^[a-z][a-z0-9.-]*$"},
        "additionalProperties": _PLAIN,
    },
}
"""By kind of document."""


def check(document: str, kind: str, content: Content) -> None:
    """Raise unless a document may be published; None, its removal, may.

    Raises
    ------
    DocumentError
        With the path of each offence and its reason.
    LimitError
        If there is no such kind, or the document is too large.
    """
    if kind not in SCHEMAS:
        raise LimitError(f"document of kind {kind!r}", ", ".join(sorted(SCHEMAS)))
    if content is None:
        return
    found = Draft202012Validator(SCHEMAS[kind]).iter_errors(content)
    problems = [f"{error.json_path}: {error.message}" for error in sorted(found, key=lambda one: one.json_path)]
    if kind == "groups" and not problems:
        problems = _group_problems(content)
    if problems:
        raise DocumentError(document, problems)
    _check_size(document, content)


def _group_problems(content: Mapping[str, Any]) -> list[str]:
    """Return what of worker groups only their own type can tell: amounts that are none, limits that contradict."""
    problems = []
    for name, fields in content.items():
        try:
            WorkerGroup(str(name), **fields)
        except DemandError as error:
            problems.append(f"$.{name}: {error}")
    return problems


def _check_size(document: str, content: Content) -> None:
    try:
        size = len(encode(content))
    except (ValueError, TypeError) as error:
        raise DocumentError(document, [f"$: JSON has no such value: {error}"]) from None
    if size > MOST_BYTES:
        raise LimitError(
            f"{document} of {size} bytes", f"up to {MOST_BYTES}", "Keep large things as blobs and name them."
        )
