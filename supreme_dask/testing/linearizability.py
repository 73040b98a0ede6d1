"""A checker of histories: can all that was seen of a key be explained by one order of its operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

Value: TypeAlias = bytes | None
"""What a key holds; None if it is not there."""


@dataclass(frozen=True, slots=True)
class Read:
    """A read that gave `value`."""

    value: Value


@dataclass(frozen=True, slots=True)
class Write:
    """A write of `value`, whatever was there."""

    value: Value


@dataclass(frozen=True, slots=True)
class Swap:
    """A compare-and-swap that found `old` and wrote `new`."""

    old: Value
    new: Value


@dataclass(frozen=True, slots=True)
class Operation:
    """What was done between two moments; without the second, nobody knows whether it was done."""

    action: Read | Write | Swap
    called: float
    returned: float = inf


def linearizable(history: Sequence[Operation], initial: Value = None) -> bool:
    """Return whether some order of the operations explains all their results.

    In that order, an operation that had returned before another was called comes before it. The search is
    that of Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with Lowe's memory of states
    seen (2017); its time is exponential only in how many operations overlap.

    Examples
    --------
    >>> one, two = Operation(Write(b"1"), 0, 1), Operation(Write(b"2"), 2, 3)
    >>> linearizable([one, two, Operation(Read(b"2"), 4, 5)])
    True
    >>> linearizable([one, two, Operation(Read(b"1"), 4, 5)])
    False
    """
    operations = sorted(history, key=lambda operation: operation.called)
    certain = sum(1 << index for index, operation in enumerate(operations) if operation.returned < inf)
    states, seen = [(0, initial)], set()
    while states:
        state = states.pop()
        done, value = state
        if done & certain == certain:
            return True
        if state not in seen:
            seen.add(state)
            states += _next_states(operations, done, value)
    return False


def _next_states(operations: Sequence[Operation], done: int, value: Value) -> Iterator[tuple[int, Value]]:
    """Give the states after each operation that may come next: no other has returned before it was called."""
    open_ones = [index for index in range(len(operations)) if not done >> index & 1]
    first_return = min(operations[index].returned for index in open_ones)
    for index in open_ones:
        if operations[index].called > first_return:
            return
        match operations[index].action:
            case Read(found) if found == value:
                yield done | 1 << index, value
            case Write(new):
                yield done | 1 << index, new
            case Swap(old, new) if old == value:
                yield done | 1 << index, new
