"""What a failed call means: pure decisions on what the server, or gRPC, said."""

from __future__ import annotations

from enum import Enum, auto

from supreme_dask.errors import (
    CompactedError,
    FutureRevisionError,
    LeaseLostError,
    StoreAccessError,
    StoreFullError,
)
from supreme_dask.errors import StoreError as _StoreError
from supreme_dask.stores.values import Revision


class Fault(Enum):
    """Kinds of failure, by what to do about them."""

    TOKEN = auto()
    """Authenticate again and repeat; it was not applied."""
    ELSEWHERE = auto()
    """Try another member; it was not applied."""
    DOUBT = auto()
    """Whether it was applied nobody can say."""
    REFUSED = auto()
    """The certificates do not fit; another member may differ."""
    FULL = auto()
    """No space; a write may have been the last that found some, which is applied although this is the answer."""
    FINAL = auto()
    """The server's answer."""


_TOKEN = ("invalid auth token", "auth store is old", "revision of auth store", "user name is empty")
_NOT_APPLIED = (
    "failed to connect",
    "no leader",
    "not a primary lessor",
    "too many requests",
    "connection refused",
    "name resolution",
    "dns resolution",
)
_CERTIFICATES = ("handshake", "certificate")
HOW_TO_MAKE_ROOM = "delete what is not needed, compact, defragment, then `etcdctl alarm disarm`"
_DOUBTFUL_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN", "INTERNAL", "ABORTED"})


def classify(code: str, details: str) -> Fault:
    """Return what kind of failure a gRPC status is.

    Examples
    --------
    >>> classify("UNAVAILABLE", "failed to connect to all addresses").name
    'ELSEWHERE'
    >>> classify("DEADLINE_EXCEEDED", "Deadline Exceeded").name
    'DOUBT'
    >>> classify("NOT_FOUND", "etcdserver: requested lease not found").name
    'FINAL'
    """
    text = details.lower()
    if code == "RESOURCE_EXHAUSTED" and "space" in text:
        return Fault.FULL
    if any(phrase in text for phrase in _TOKEN):
        return Fault.TOKEN
    if code == "UNAVAILABLE" and any(phrase in text for phrase in _CERTIFICATES):
        return Fault.REFUSED
    if any(phrase in text for phrase in _NOT_APPLIED):
        return Fault.ELSEWHERE
    return Fault.DOUBT if code in _DOUBTFUL_CODES else Fault.FINAL


def answer_error(store: str, code: str, details: str, *, revision: Revision = 0, lease: int = 0) -> _StoreError:
    """Return the error of ours for a final answer; `revision` and `lease` are what was asked about."""
    text = details.removeprefix("etcdserver: ")
    match code:
        case "OUT_OF_RANGE" if "compacted" in text:
            return CompactedError(revision, 0)
        case "OUT_OF_RANGE":
            return FutureRevisionError(revision)
        case "NOT_FOUND" if "lease" in text:
            return LeaseLostError(lease)
        case "RESOURCE_EXHAUSTED" if "space" in text:
            return StoreFullError(store, HOW_TO_MAKE_ROOM)
        case "PERMISSION_DENIED" | "UNAUTHENTICATED" | "INVALID_ARGUMENT" | "FAILED_PRECONDITION":
            return StoreAccessError(store, text)
        case _:
            return _StoreError(f"{store}: {text} ({code})")
