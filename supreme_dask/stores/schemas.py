"""What documents may say: a JSON Schema for each kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from supreme_dask import extensions
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.policies import Policy, read_policy, unknown_groups
from supreme_dask.core.policies.schedule import DAYS
from supreme_dask.core.policies.thresholds import METRICS, WINDOWS
from supreme_dask.core.revisions import Content, encode
from supreme_dask.errors import DemandError, DocumentError, LimitError, PolicyError
from supreme_dask.stores.offences import offences

POLICY, GROUPS = "policy/default", "groups/default"
"""The documents by which a system is scaled."""
MOST_BYTES = 64 * 1024
"""Largest size of a document, in bytes of its JSON."""
_find = partial(extensions.find, "policies")

_COUNT = {"type": "integer", "minimum": 0, "maximum": 100_000}
_PRICE = {"type": "number", "minimum": 0}
_AMOUNT = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^\s*(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*[A-Za-z]*\s*(/\s*s)?\s*$"},
    ],
    "description": "amount above zero, such as 2 or '4 GiB'",
}
_SECONDS = {"type": "number", "minimum": 0}
_NAME = {"type": "string", "minLength": 1}
_CLOCK = {
    "type": "string",
    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "description": "time of the day, such as '08:30'",
}
_COUNTS = {"type": "object", "additionalProperties": _COUNT}
_RULES: dict[str, dict[str, Any]] = {
    "threshold": {
        "properties": {
            "threshold": {"type": "number"},
            "action": {"enum": ["add_node", "remove_node"]},
            "metric": {"enum": list(METRICS)},
            "for-seconds": _SECONDS,
            "step": {"type": "integer", "minimum": 1},
            "group": _NAME,
            "window": {"enum": list(WINDOWS)},
        },
        "required": ["threshold", "action"],
    },
    "demand": {"properties": {"within-seconds": {"type": "number", "exclusiveMinimum": 0}}},
    "idle": {"properties": {"after-seconds": _SECONDS}},
    "schedule": {
        "properties": {
            "from": _CLOCK,
            "to": _CLOCK,
            "days": {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1},
            "time-zone": _NAME,
            "outside": _NAME,
            "minimum": _COUNTS,
            "maximum": _COUNTS,
        },
        "anyOf": [{"required": ["minimum"]}, {"required": ["maximum"]}],
        "description": "schedule: say minimum, maximum or both, by group",
    },
    "budget": {
        "properties": {"per-hour": _PRICE, "total": _PRICE},
        "anyOf": [{"required": ["per-hour"]}, {"required": ["total"]}],
        "description": "budget: say per-hour, total or both, in the unit of the groups' cost",
    },
    "rate": {
        "properties": {
            "add": {"type": "integer", "minimum": 1},
            "per-seconds": {"type": "number", "exclusiveMinimum": 0},
        },
        "required": ["add", "per-seconds"],
    },
    "extension": {"properties": {"name": _NAME, "options": {"type": "object"}}, "required": ["name"]},
}
"""What a rule of each kind may say; `core.policies` says what it means."""


def _if_of_kind(kind: str) -> dict[str, Any]:
    fields = {**_RULES[kind]["properties"], "kind": True}
    named: dict[str, Any] = {"properties": {"kind": {"const": kind}}}
    if kind != "threshold":  # which is what a rule is that does not say
        named["required"] = ["kind"]
    return {"if": named, "then": {**_RULES[kind], "properties": fields, "additionalProperties": False}}


_RULE = {
    "type": "object",
    "properties": {"kind": {"enum": list(_RULES)}},
    "allOf": [_if_of_kind(kind) for kind in _RULES],
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
        "pod": {
            "type": "object",
            "properties": {"metadata": {"type": "object"}, "spec": {"type": "object"}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "policy": {
        "title": "Rules by name",
        "type": "object",
        "propertyNames": {"type": "string"},
        "additionalProperties": _RULE,
    },
    "groups": {
        "title": "Worker groups by name",
        "type": "object",
        "propertyNames": {
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
            "description": "name of a group: letters, digits, '.', '_' and '-'",
        },
        "additionalProperties": _GROUP,
    },
}
"""By kind of document."""


def check(document: str, kind: str, content: Content) -> None:
    """Raise unless a document may be published; None, its removal, may.

    Parameters
    ----------
    document
        Name of the document, such as ``"policy/default"``.
    kind
        ``policy`` or ``groups``.
    content
        Names with values; None for a removal.

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
    problems = _problems(kind, content)
    if problems:
        raise DocumentError(document, problems)
    _check_size(document, content)


def policy(content: Mapping[str, Any], groups: Collection[str] | None = None) -> Policy:
    """Return the policy that a document describes.

    Parameters
    ----------
    content
        Options by the name of the rule.
    groups
        Names of all groups that there will be; None if they are not known.

    Raises
    ------
    PolicyError
        With the path of each offence, and its reason.
    """
    problems = _problems("policy", content, groups)
    if problems:
        raise PolicyError(problems)
    return read_policy(content, _find)


def groups(content: Mapping[str, Any]) -> list[WorkerGroup]:
    """Return the worker groups that a document describes.

    Parameters
    ----------
    content
        Options by the name of the group.

    Raises
    ------
    DocumentError
        With the path of each offence, and its reason.
    """
    problems = _problems("groups", content)
    if problems:
        raise DocumentError("groups", problems)
    return [WorkerGroup(str(name), **fields) for name, fields in content.items()]


def _problems(kind: str, content: Mapping[str, Any], groups: Collection[str] | None = None) -> list[str]:
    """Return what is wrong with the form, and what only our own types can tell of the entries that have theirs."""
    found = offences(SCHEMAS[kind], content)
    problems, malformed = [str(one) for one in found], {one.entry for one in found}
    if None in malformed:  # these are no entries by name
        return problems
    formed = {name: one for name, one in content.items() if name not in malformed}
    if kind == "groups":
        problems += _group_problems(formed)
    if kind == "policy":
        problems += _policy_problems(content, malformed)
        problems += unknown_groups(formed, groups) if groups is not None else []
    return problems


def _policy_problems(content: Mapping[str, Any], malformed: Collection[object]) -> list[str]:
    try:
        read_policy(content, _find, malformed)
    except PolicyError as error:
        return error.problems
    return []


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
