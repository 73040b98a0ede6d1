"""Who comes, who leaves, who is lost."""

from __future__ import annotations

from supreme_dask.core.reasons.words import counted


def joined(name: str, address: str, threads: int) -> str:
    """Say that a worker came.

    Examples
    --------
    >>> joined("small-1", "tcp://a:1", 1)
    'worker small-1 (tcp://a:1) joined, with 1 thread'
    """
    return f"worker {_called(name, address)} joined, with {counted(threads, 'thread')}"


def left(name: str, address: str, running: int, *, expected: bool) -> str:
    """Say that a worker is gone, and that it had not ended so many of its tasks.

    To the scheduler, one that closes by itself looks like one that dies.

    Examples
    --------
    >>> left("small-1", "tcp://a:1", 0, expected=True)
    'worker small-1 (tcp://a:1) left, as it was told to'
    >>> left("tcp://a:1", "tcp://a:1", 2, expected=False)
    'worker tcp://a:1 is gone and was not told to leave: it closed or died, 2 tasks there had not ended'
    """
    called = _called(name, address)
    if expected:
        return f"worker {called} left, as it was told to"
    unended = f", {counted(running, 'task')} there had not ended" if running else ""
    return f"worker {called} is gone and was not told to leave: it closed or died{unended}"


def _called(name: str, address: str) -> str:
    """Return what people call a worker, and where it is; Dask names it after that if nobody did."""
    return address if name == address else f"{name} ({address})"


def draining(name: str, state: str, reason: str) -> str:
    """Say how far a worker is that leaves.

    Examples
    --------
    >>> draining("small-1", "finishing", "nothing to do")
    'worker small-1 takes no more tasks and ends those it has: nothing to do'
    >>> draining("small-1", "kept", "demand returned")
    'worker small-1 stays: demand returned'
    """
    return f"worker {name} {_DRAINING[state]}: {reason}"


_DRAINING = {
    "finishing": "takes no more tasks and ends those it has",
    "moving": "hands over what only it holds",
    "leaving": "has nothing left and may be removed",
    "kept": "stays",
    "gone": "is gone",
}


def noticed(seconds: float) -> str:
    """Say that a worker's machine goes away.

    Examples
    --------
    >>> noticed(25.0)
    'its process was told to end, in 25 s'
    """
    return f"its process was told to end, in {seconds:g} s"


def bound(type_: str) -> str:
    """Say that work waits which only certain workers may do.

    Examples
    --------
    >>> bound("load")
    'tasks of load wait that may run on no other worker'
    """
    return f"tasks of {type_} wait that may run on no other worker"


def last_to_go(type_: str) -> str:
    """Say that work waits while no worker stays.

    Examples
    --------
    >>> last_to_go("load")
    'tasks of load wait, and no other worker is there'
    """
    return f"tasks of {type_} wait, and no other worker is there"


def lost(address: str, loss: str) -> str:
    """Say why a worker that is not heard of is removed.

    Examples
    --------
    >>> lost("tcp://a:1", "stopped")
    'worker tcp://a:1 is not heard of and lost: its process is stopped; what it had is done elsewhere'
    """
    return f"worker {address} is not heard of and lost: {_LOSSES[loss]}; what it had is done elsewhere"


_LOSSES = {
    "stopped": "its process is stopped",
    "gone": "its process is gone",
    "cut": "it answers, but nothing that it sends by itself arrives",
    "unreachable": "nobody answers there",
    "frozen": "it has nothing to do and does not answer",
}


def rebalancing(workers: int) -> str:
    """Say why results are moved.

    Examples
    --------
    >>> rebalancing(4)
    'workers came or went: results are moved until all 4 workers store alike for their memory'
    """
    return f"workers came or went: results are moved until all {workers} workers store alike for their memory"


def rebalanced(workers: int) -> str:
    """Say that results need no more moving.

    Examples
    --------
    >>> rebalanced(4)
    'all 4 workers store alike for their memory'
    """
    return f"all {workers} workers store alike for their memory"
