"""The directions in which a worker can be full: numbered, so that amounts may be plain lists of integers."""

from __future__ import annotations

from collections.abc import Sequence

from supreme_dask.core.resources import CPU, MEMORY, NETWORK

FIRST_AXES = ("threads", CPU, MEMORY, "idle", NETWORK)
"""Axes that every ledger has. ``threads`` are the worker's own; ``idle`` is 1 where nothing runs."""

THREADS_AXIS, CPU_AXIS, MEMORY_AXIS, IDLE_AXIS, NETWORK_AXIS = range(5)

UNLIMITED = 1 << 62
"""An amount that no task can use up."""
LIMITED = UNLIMITED >> 1
"""What is less than this is limited: of what is unlimited, as much as ever may have been taken."""
CORE = 1000
"""One core, in the units of the cpu axis."""

Need = tuple[tuple[int, int], ...]
"""What is asked of one worker: amounts by axis, axis numbers ascending, threads always among them."""


def add(amounts: list[int], need: Need, sign: int = 1) -> None:
    """Add a need to the vector ``amounts``, or with ``sign=-1`` take it away."""
    for axis, amount in need:
        amounts[axis] += sign * amount


def within(need: Need, amounts: Sequence[int]) -> bool:
    """Tell whether the vector ``amounts`` has at least the ``need`` on every axis."""
    for axis, amount in need:
        if amounts[axis] < amount:
            return False
    return True


def is_idle(need: Need) -> bool:
    """Tell whether a need asks for a worker on which nothing else runs."""
    return (IDLE_AXIS, 1) in need
