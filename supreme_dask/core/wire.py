"""What workers, nannies and clients tell the scheduler plugin, beside what they tell Dask.

It is read here and nowhere else, whatever was sent: another release, a damaged worker or a program of a user
must not be able to turn placement off for all. A field that is not known is left out, since a later release may say
more; one that is missing or of another kind makes a message unreadable, and the plugin goes on without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from supreme_dask.core.axes import UNLIMITED
from supreme_dask.errors import MessageError

VERSION = 1
"""Of all of these messages together; a worker says its own in ``supreme-hello``."""

MEASURED_KEY = "supreme"
"""In the metadata that a worker sends with a result: what `measured` reads."""
KILLED = "worker-restart-memory"
"""Topic under which Dask's nannies log that they end their worker for its memory."""


class Measured(NamedTuple):
    """What a task took.

    Attributes
    ----------
    cpu : float
        Processor seconds.
    memory : int or None
        Peak bytes; None if they were not measured.
    exact : bool
        Whether these are the task's own.
    after : int or None
        What the process held afterwards, in bytes; None if others ran.
    """

    cpu: float
    memory: int | None
    exact: bool
    after: int | None


def read(message: str, told: object) -> dict[str, Any]:
    """Return the fields of a message.

    Parameters
    ----------
    message
        Which one, such as ``supreme-hello``.
    told
        What came: values by name.

    Raises
    ------
    MessageError
        If it is not as this release writes it.
    """
    if not isinstance(told, Mapping):
        raise MessageError(message, "", told, "expected values by name")
    return {name: field.of(message, name, told) for name, field in _MESSAGES[message].items()}


def measured(metadata: object) -> Measured | None:
    """Return what a worker measured of a task that has ended; None if it says nothing of it.

    Raises
    ------
    MessageError
        If it says something else.
    """
    told = metadata.get(MEASURED_KEY) if isinstance(metadata, Mapping) else None
    if told is None:
        return None
    if not isinstance(told, (tuple, list)) or len(told) < len(Measured._fields):
        raise MessageError(MEASURED_KEY, "", told, f"expected {', '.join(Measured._fields)}")
    values = dict(zip(Measured._fields, told, strict=False))
    return Measured(**{name: field.of(MEASURED_KEY, name, values) for name, field in _MEASURED.items()})


class _Unfit(Exception):  # noqa: N818  it never leaves this module
    pass


class _Field(NamedTuple):
    """How one value is read, what it should be, and what it is if it is missing."""

    check: Callable[[Any], Any]
    expected: str
    default: Any = _Unfit

    def of(self, message: str, name: str, told: Mapping[Any, Any]) -> Any:
        if name not in told:
            if self.default is _Unfit:
                raise MessageError(message, name, None, f"is missing: expected {self.expected}")
            return self.default
        try:
            return self.check(told[name])
        except _Unfit:
            raise MessageError(message, name, told[name], f"expected {self.expected}") from None

    def or_none(self) -> _Field:
        return _Field(lambda value: None if value is None else self.check(value), f"{self.expected}, or null", None)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unfit
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise _Unfit
    return [_text(one) for one in value]


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Unfit
    return value


def _bytes(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Unfit
    return min(max(value, 0), UNLIMITED >> 2)  # no worker has more


def _seconds(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise _Unfit
    return float(value)


def _key(value: Any) -> Any:
    if not isinstance(value, (str, bytes, int, float, tuple)):
        raise _Unfit
    for part in value if isinstance(value, tuple) else ():
        _key(part)
    return value


_KEY, _TEXT, _BYTES = _Field(_key, "a key"), _Field(_text, "a string"), _Field(_bytes, "bytes")
_FLAG, _SECONDS, _NAMES = _Field(_flag, "true or false"), _Field(_seconds, "seconds"), _Field(_texts, "names")
_MEASURED = {"cpu": _SECONDS, "memory": _BYTES.or_none(), "exact": _FLAG, "after": _BYTES.or_none()}
_OF_TASK = {"key": _KEY, "worker": _TEXT}
_MESSAGES: Mapping[str, Mapping[str, _Field]] = {
    "supreme-hello": {"worker": _TEXT, "wall": _FLAG.or_none(), "version": _BYTES._replace(default=0)},
    "supreme-strain": {"worker": _TEXT, "process": _BYTES},
    "supreme-relax": {"worker": _TEXT},
    "supreme-done": _OF_TASK,
    "supreme-overgrown": {**_OF_TASK, "process": _BYTES},
    "supreme-stopped": {**_OF_TASK, "held": _BYTES, "asked": _BYTES, "free": _BYTES},
    "supreme-grown": {**_OF_TASK, "held": _BYTES},
    # Dask's own, of which the plugin takes these fields.
    "long-running": {**_OF_TASK, "run_id": _Field(_bytes, "a number")},
    "steal-response": {**_OF_TASK, "state": _TEXT.or_none()},
    KILLED: {"worker": _TEXT, "rss": _BYTES},
    # Calls, which are answered with the error.
    "supreme_drain": {"names": _NAMES, "reason": _TEXT, "deadline": _SECONDS.or_none()},
    "supreme_undrain": {"names": _NAMES, "reason": _TEXT},
    "supreme_explain": {"key": _KEY},
    "supreme_look": {"parts": _NAMES},
    "supreme_kept": {"names": _NAMES},
    "supreme_leave": {"worker": _TEXT, "seconds": _SECONDS},
}
