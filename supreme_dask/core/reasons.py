"""The sentences: why a task waits, why it cannot run. One wording for log, client, command line and page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from supreme_dask.core.resources import format_amount

FURTHER = "for further reasons of this kind, too many to keep"
"""In the place of sentences when far more different ones come at once than anybody reads."""


_NAMED = 3  # types that a sentence names


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """Why a shape fits nowhere now.

    Attributes
    ----------
    address : str or None
        The worker that comes nearest; None if no worker is allowed or there.
    resource : str
        What lacks there: a resource, ``idle`` (nothing else may run there), or ``worker``.
    needed, found : int
        In the units of `Resources`.
    ever : bool
        Whether it would fit if nothing else ran.
    """

    address: str | None
    resource: str
    needed: int
    found: int
    ever: bool


def waiting(type_: str, why: Unplaceable) -> str:
    """Say what the tasks of a type wait for.

    Examples
    --------
    >>> waiting("load", Unplaceable("tcp://a:1", "memory", 8 * 2**30, 4 * 2**30, ever=False))
    "tasks 'load' wait for a larger worker: they need memory 8.00 GiB, the largest worker has 4.00 GiB"
    >>> waiting("load", Unplaceable("tcp://a:1", "memory", 2**30, 2**29, ever=True))
    "tasks 'load' wait for memory: they need 1.00 GiB, 512.00 MiB are free on tcp://a:1, which comes nearest"
    """
    start = f"tasks {type_!r} wait for"
    if why.resource == "worker":
        return f"{start} a worker that they may run on: none of those is there"
    if why.resource == "idle":
        return f"{start} a worker on which nothing else runs, because their memory is not known yet"
    needed, found = _amount(why.resource, why.needed), _amount(why.resource, why.found)
    if not why.ever:
        return f"{start} a larger worker: they need {why.resource} {needed}, the largest worker has {found}"
    nearest = f"{found} are free on {why.address}, which comes nearest"
    return f"{start} {why.resource}: they need {needed}, {nearest}"


def gave_up(seconds: float, sentence: str) -> str:
    """Say that a task failed because nothing came that could run it."""
    return f"gave up after {seconds:g} s (setting supreme.infeasible-timeout): {sentence}"


def actor_refused(why: Unplaceable) -> str:
    """Say why an actor was not created."""
    if why.resource == "worker":
        return "no worker is there that this actor may live on; create it when one is"
    needed, found = _amount(why.resource, why.needed), _amount(why.resource, why.found)
    return (
        f"no worker has room for this actor now, and actors cannot wait: it needs {why.resource} {needed}, "
        f"{found} are free on {why.address}, which comes nearest; create it later, or with less"
    )


def joined(address: str, threads: int) -> str:
    """Say that a worker came.

    Examples
    --------
    >>> joined("tcp://a:1", 1)
    'worker tcp://a:1 joined, with 1 thread'
    """
    return f"worker {address} joined, with {_counted(threads, 'thread')}"


def left(address: str, running: int, *, expected: bool) -> str:
    """Say that a worker is gone, and that it had not ended so many of its tasks.

    To the scheduler, one that closes by itself looks like one that dies.

    Examples
    --------
    >>> left("tcp://a:1", 0, expected=True)
    'worker tcp://a:1 left, as it was told to'
    >>> left("tcp://a:1", 2, expected=False)
    'worker tcp://a:1 is gone and was not told to leave: it closed or died, 2 tasks there had not ended'
    """
    if expected:
        return f"worker {address} left, as it was told to"
    unended = f", {_counted(running, 'task')} there had not ended" if running else ""
    return f"worker {address} is gone and was not told to leave: it closed or died{unended}"


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


MINIMUM = "the group's minimum"
MAXIMUM = "the group's maximum"


def at_work(workers: int) -> str:
    """Say that workers are needed because they work.

    Examples
    --------
    >>> at_work(2)
    '2 are at work'
    """
    return f"{workers} {'is' if workers == 1 else 'are'} at work"


def to_start(tasks: int, types: Sequence[str]) -> str:
    """Say which tasks more workers are for.

    Examples
    --------
    >>> to_start(80, ["load", "train"])
    'for 80 waiting tasks of load, train'
    """
    named = ", ".join(types[:_NAMED]) + (f" and {len(types) - _NAMED} more types" if len(types) > _NAMED else "")
    return f"for {_counted(tasks, 'waiting task')} of {named}"


def no_group(type_: str, resource: str, needed: int, found: int) -> str:
    """Say that no worker of any group could ever run some tasks.

    Examples
    --------
    >>> no_group("train", "GPU", 8000, 4000)
    "tasks 'train' can run on no worker of any group: they need GPU 8, the most that one has is 4"
    """
    need, most = _amount(resource, needed), _amount(resource, found)
    start = f"tasks {type_!r} can run on no worker of any group"
    return f"{start}: they need {resource} {need}, the most that one has is {most}"


def crossed(metric: str, limit: float, *, above: bool, seconds: float) -> str:
    """Say that a threshold was crossed.

    Examples
    --------
    >>> crossed("cpu", 80.0, above=True, seconds=30.0)
    'cpu was above 80 for 30 s'
    """
    return f"{metric} was {'above' if above else 'below'} {limit:g} for {seconds:g} s"


def idle(seconds: float) -> str:
    """Say that workers are idle for long.

    Examples
    --------
    >>> idle(10.0)
    'nothing to do for 10 s'
    """
    return f"nothing to do for {seconds:g} s"


def scheduled(rule: str) -> str:
    """Say that a schedule holds.

    Examples
    --------
    >>> scheduled("nights")
    "schedule 'nights'"
    """
    return f"schedule {rule!r}"


def spent(cost: float, total: float) -> str:
    """Say that a budget is used up.

    Examples
    --------
    >>> spent(100.2, 100)
    '100.20 of a budget of 100 are spent'
    """
    return f"{cost:.2f} of a budget of {total:g} are spent"


def within_budget(per_hour: float) -> str:
    """Say that a budget allows no more.

    Examples
    --------
    >>> within_budget(12)
    'no more for a budget of 12 per hour'
    """
    return f"no more for a budget of {per_hour:g} per hour"


def at_rate(workers: int, seconds: float) -> str:
    """Say that more would be launched at once than is allowed.

    Examples
    --------
    >>> at_rate(20, 60)
    'no more than 20 may be launched in 60 s'
    """
    return f"no more than {workers} may be launched in {seconds:g} s"


def blocked(reason: str) -> str:
    """Say that more are wanted and cannot be had.

    Examples
    --------
    >>> blocked("quota exceeded")
    'more are wanted and cannot be had: quota exceeded'
    """
    return f"more are wanted and cannot be had: {reason}"


def scaled(group: str, workers: int, reason: str, victims: int = 0) -> str:
    """Say how many workers a group should have.

    Examples
    --------
    >>> scaled("small", 5, "2 tasks wait")
    'small should have 5 workers: 2 tasks wait'
    >>> scaled("small", 1, "idle for 10 s", victims=2)
    'small should have 1 worker, and 2 leave: idle for 10 s'
    """
    leave = f", and {victims} leave{'s' if victims == 1 else ''}" if victims else ""
    return f"{group} should have {_counted(workers, 'worker')}{leave}: {reason}"


DEMAND_RETURNED = "it is needed again"
NOBODY_ASKS = "nobody asks for plans any more"
ASKED = "an autoscaler removes it"
UNKNOWN = "what a worker is will be known when one has come"


def never_joined(group: str, count: int) -> str:
    """Say that workers were asked for and did not come.

    Examples
    --------
    >>> never_joined("small", 2)
    '2 workers of small were asked for and did not join in time'
    """
    return (
        f"{_counted(count, 'worker')} of {group} {'was' if count == 1 else 'were'} asked for and did not join in time"
    )


def ended_early(names: Sequence[str]) -> str:
    """Say that workers were started and ended again.

    Examples
    --------
    >>> ended_early(["small-1", "small-2"])
    'small-1, small-2 ended before joining: see the logs'
    """
    return f"{', '.join(names)} ended before joining: see the logs"


def backs_off(reason: str, seconds: float) -> str:
    """Say that a group is let alone for a while.

    Examples
    --------
    >>> backs_off("small: no such image", 20)
    'small: no such image; the next attempt is in 20 s'
    """
    return f"{reason}; the next attempt is in {seconds:g} s"


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


def relieved(address: str, process: int) -> str:
    """Say what is done for a worker that is about to be killed for its memory.

    Examples
    --------
    >>> relieved("tcp://a:1", 3 << 30)
    'worker tcp://a:1 holds 3.00 GiB, more than was reserved there: it gets no tasks, others copy its results'
    """
    held = _amount("memory", process)
    return f"worker {address} holds {held}, more than was reserved there: it gets no tasks, others copy its results"


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


def overgrown(key: str, held: int) -> str:
    """Say that the processes that a task started were ended, and the worker goes on.

    Examples
    --------
    >>> overgrown("load-7", 3 << 30)
    'the processes of load-7 were ended at 3.00 GiB, before their worker was: it gets more next time'
    """
    held_then = _amount("memory", held)
    return f"the processes of {key} were ended at {held_then}, before their worker was: it gets more next time"


def too_large(key: str, peak: int, tried: Sequence[int], largest: int) -> str:
    """Say that a task needs more memory than any worker has.

    Examples
    --------
    >>> too_large("load-7", 3 << 30, [1 << 30, 2 << 30], 2 << 30).partition("; ")[0]
    'load-7 needs more memory than any worker has: it held 3.00 GiB when it was killed last'
    """
    sizes = ", ".join(_amount("memory", size) for size in tried)
    return (
        f"{key} needs more memory than any worker has: it held {_amount('memory', peak)} when it was killed last; "
        f"expected were {_amount('memory', tried[0])}, tried {sizes}, and the largest worker has "
        f"{_amount('memory', largest)} for tasks. Add a larger worker, or give the task less to do at once"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _amount(resource: str, amount: int) -> str:
    return str(amount) if resource in ("threads", "idle", "worker") else format_amount(resource, amount)
