"""What follows where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

from supreme_dask.core.reasons.words import amount, counted


def relieved(address: str, process: int, results: int) -> str:
    """Say what is done for a worker that is about to be killed for its memory, and holds so many results alone.

    Examples
    --------
    >>> relieved("tcp://a:1", 3 << 30, 0)
    'worker tcp://a:1 holds 3.00 GiB, more than was reserved there: it gets no tasks until it holds less'
    >>> relieved("tcp://a:1", 3 << 30, 2).partition("until it holds less")[2]
    ', and others copy what only it has: 2 results'
    """
    held = amount("memory", process)
    copied = f", and others copy what only it has: {counted(results, 'result')}" if results else ""
    return (
        f"worker {address} holds {held}, more than was reserved there: it gets no tasks until it holds less{copied}"
    )


def killed(address: str, running: int, blamed: str | None) -> str:
    """Say what follows from a worker that was killed for its memory.

    Examples
    --------
    >>> killed("tcp://a:1", 1, "load-7")
    'worker tcp://a:1 was killed for its memory: load-7 took too much and gets more next time'
    >>> killed("tcp://a:1", 3, None)
    'worker tcp://a:1 was killed for its memory: which of 3 tasks took too much nobody can tell; each runs alone next'
    """
    follows = (
        f"{blamed} took too much and gets more next time"
        if blamed is not None
        else f"which of {running} tasks took too much nobody can tell; each runs alone next"
    )
    return f"worker {address} was killed for its memory: {follows}"


def stopped(key: str, address: str, held: int, asked: int) -> str:
    """Say that a task was stopped because it would have taken more than its worker has.

    Examples
    --------
    >>> stopped("load-7", "tcp://a:1", 300 << 20, 500 << 20)
    'load-7 was stopped on tcp://a:1: it held 300.00 MiB and asked for 500.00 MiB more; it runs again with more'
    >>> stopped("load-7", "tcp://a:1", 300 << 20, 0)
    'load-7 was stopped on tcp://a:1: it held 300.00 MiB and grew; it runs again with more'
    """
    more = f"asked for {amount('memory', asked)} more" if asked else "grew"
    return f"{key} was stopped on {address}: it held {amount('memory', held)} and {more}; it runs again with more"


def overgrown(key: str, held: int) -> str:
    """Say that the processes that a task started were ended, and the worker goes on.

    Examples
    --------
    >>> overgrown("load-7", 3 << 30)
    'the processes of load-7 were ended at 3.00 GiB, before their worker was: it gets more next time'
    """
    held_then = amount("memory", held)
    return f"the processes of {key} were ended at {held_then}, before their worker was: it gets more next time"


def too_large(key: str, peak: int, tried: Sequence[int], largest: int) -> str:
    """Say that a task needs more memory than any worker has.

    Examples
    --------
    >>> too_large("load-7", 3 << 30, [1 << 30, 2 << 30], 2 << 30).partition("; ")[0]
    'load-7 needs more memory than any worker has: it held 3.00 GiB when it was killed last'
    """
    sizes = ", ".join(amount("memory", size) for size in tried)
    return (
        f"{key} needs more memory than any worker has: it held {amount('memory', peak)} when it was killed last; "
        f"expected were {amount('memory', tried[0])}, tried {sizes}, and the largest worker has "
        f"{amount('memory', largest)} for tasks. Add a larger worker, or give the task less to do at once"
    )
