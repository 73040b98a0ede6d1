"""What no store takes, so that code tried on the embedded store does not fail on a cluster.

etcd refuses requests over 1.5 MiB and transactions over 128 operations. The margins are for
a prefix before each key and for what the protocol adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from supreme_dask.errors import LimitError
from supreme_dask.stores.operations import Compare, Delete, DeletePrefix, Operation, Put, ValueIs

KEY_BYTES = 1024
VALUE_BYTES = 256 * 1024
TRANSACTION_BYTES = 1024 * 1024
TRANSACTION_PARTS = 100
TTL_SECONDS = 24 * 3600

_SPLIT = "Split it into several."


def check_key(key: str) -> int:
    """Return the length of a key in bytes, or raise `LimitError`."""
    size = _encoded_size(key)
    if not 0 < size <= KEY_BYTES:
        raise LimitError(f"key {key[:40]!r} of {size} bytes", f"1 to {KEY_BYTES} bytes")
    return size


def check_prefix(prefix: str) -> int:
    """Return the length of a prefix in bytes, or raise `LimitError`; it may be empty."""
    return check_key(prefix) if prefix else 0


def check_revision(at: int | None) -> None:
    """Raise `LimitError` for a revision that no store ever had; None means now."""
    if at is not None and at < 1:
        raise LimitError(f"revision {at}", "1 or greater")


def check_ttl(ttl: int) -> None:
    """Raise `LimitError` unless a lease may live that many seconds."""
    if not 1 <= ttl <= TTL_SECONDS:
        raise LimitError(f"lease of {ttl} s", f"1 to {TTL_SECONDS} s")


def check_transaction(compares: Sequence[Compare], operations: Sequence[Operation]) -> None:
    """Raise `LimitError` unless every store takes this transaction."""
    if len(operations) == 1 and not compares:
        operation_size(operations[0])  # one operation alone cannot be too much; most calls are of this kind
        return
    for parts, name in ((compares, "compares"), (operations, "operations")):
        if len(parts) > TRANSACTION_PARTS:
            raise LimitError(f"transaction of {len(parts)} {name}", f"up to {TRANSACTION_PARTS}", _SPLIT)
    size = sum(map(_compare_size, compares)) + sum(map(operation_size, operations))
    if size > TRANSACTION_BYTES:
        raise LimitError(f"transaction of {size} bytes", f"up to {TRANSACTION_BYTES}", _SPLIT)
    _check_each_key_once(operations)


def operation_size(operation: Operation) -> int:
    """Return the bytes of an operation's key and value, or raise `LimitError`."""
    match operation:
        case Put(key, value):
            return check_key(key) + _check_value(key, value)
        case Delete(key):
            return check_key(key)
        case DeletePrefix(prefix):
            return check_key(prefix)


def _encoded_size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise LimitError(f"key {text[:40]!r}", "text that UTF-8 can encode") from None


def _check_value(key: str, value: bytes) -> int:
    if len(value) > VALUE_BYTES:
        raise LimitError(
            f"value of {len(value)} bytes for {key!r}",
            f"up to {VALUE_BYTES}",
            "Keep large things elsewhere and store where they are.",
        )
    return len(value)


def _compare_size(compare: Compare) -> int:
    size = check_key(compare.key)
    return size + _check_value(compare.key, compare.value) if isinstance(compare, ValueIs) else size


def _check_each_key_once(operations: Sequence[Operation]) -> None:
    """Refuse what would depend on the order inside the transaction."""
    cleared: tuple[str, ...] = ()
    for prefix in sorted(op.prefix for op in operations if isinstance(op, DeletePrefix)):
        _check_untouched(prefix, prefix.startswith(cleared))
        cleared += (prefix,)
    seen: set[str] = set()
    for op in operations:
        if not isinstance(op, DeletePrefix):
            _check_untouched(op.key, op.key in seen or op.key.startswith(cleared))
            seen.add(op.key)


def _check_untouched(what: str, touched: bool) -> None:
    if touched:
        raise LimitError(f"two operations of one transaction on key {what!r}", "one")
