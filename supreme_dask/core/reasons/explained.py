"""Why one task is where it is, for the person who asks."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

from supreme_dask.core.reasons.tasks import Unplaceable, needs_and_has
from supreme_dask.core.reasons.words import counted, few
from supreme_dask.core.spelling import or_so


def lacks(why: Unplaceable, called: str) -> str:
    """Say what a task needs, and how much of it the worker has that comes nearest.

    Examples
    --------
    >>> lacks(Unplaceable("tcp://a:1", "memory", 6 * 2**30, 2**30, ever=True), "w3")
    'it needs memory 6.00 GiB; the most that is free is 1.00 GiB, on worker w3'
    >>> lacks(Unplaceable("tcp://a:1", "threads", 1, 0, ever=True), "w3")
    'it needs a thread, and all are in use'
    >>> lacks(Unplaceable("tcp://a:1", "cpu", 8000, 2000, ever=False, further=(("GPU", 2000, 1000),)), "w3")
    'it needs cpu 8 and GPU 2; no worker has as much, the largest (worker w3) has 2 and 1'
    >>> lacks(Unplaceable("tcp://a:1", "cpus", 2, 0, ever=False, instead=("cpu", "memory")), "w3")
    "it needs 'cpus' (did you mean 'cpu'?), which no worker declares"
    """
    if why.resource == "threads":
        return "it needs a thread, and all are in use"
    if why.resource == "idle":
        return "it needs a worker on which nothing else runs, because its memory is not known yet"
    if why.instead:
        return f"it needs {reprlib.repr(why.resource)}{or_so(why.resource, why.instead)}, which no worker declares"
    needs, has = needs_and_has(why)
    if why.ever:
        return f"it needs {needs}; the most that is free is {has}, on worker {called}"
    return f"it needs {needs}; no worker has as much, the largest (worker {called}) has {has}"


def no_worker(there: int, allowed: Sequence[str] = ()) -> str:
    """Say that no worker may run a task.

    Parameters
    ----------
    there
        How many workers there are.
    allowed
        Workers and hosts to which it is restricted.

    Examples
    --------
    >>> no_worker(0)
    'no worker is there'
    >>> no_worker(2)
    'none of the 2 workers takes tasks now: each is paused or leaves'
    >>> no_worker(2, ["tcp://a:1", "b"])
    'it may run on tcp://a:1, b only, and no worker there takes tasks now'
    """
    if allowed:
        return f"it may run on {few(allowed)} only, and no worker there takes tasks now"
    if not there:
        return "no worker is there"
    return f"none of the {counted(there, 'worker')} takes tasks now: each is paused or leaves"


def its_turn(called: str) -> str:
    """Say that a task is about to be placed.

    Examples
    --------
    >>> its_turn("w3")
    'there is room for it on worker w3: it is placed in its turn'
    """
    return f"there is room for it on worker {called}: it is placed in its turn"


def for_inputs(called: str) -> str:
    """Say that a task stays where its inputs are.

    Examples
    --------
    >>> for_inputs("w3")
    'its inputs are on worker w3, where it starts sooner than they could be fetched'
    """
    return f"its inputs are on worker {called}, where it starts sooner than they could be fetched"


def room_kept(called: str, type_: str) -> str:
    """Say that room is kept for another task.

    Examples
    --------
    >>> room_kept("w3", "train")
    "the room on worker w3 is kept for a task 'train', which has waited longer"
    """
    return f"the room on worker {called} is kept for a task {type_!r}, which has waited longer"


def on_trial(type_: str) -> str:
    """Say that a type is being measured.

    Examples
    --------
    >>> on_trial("train")
    "few tasks 'train' run at once until one has been measured"
    """
    return f"few tasks {type_!r} run at once until one has been measured"


def ahead(tasks: int, *, exact: bool) -> str:
    """Say how many tasks go first.

    Examples
    --------
    >>> ahead(1, exact=True), ahead(123456, exact=False)
    ('1 task goes before it', 'about 123,456 tasks go before it')
    """
    return f"{'' if exact else 'about '}{tasks:,} {'task goes' if tasks == 1 else 'tasks go'} before it"


def on_the_way(group: str, workers: int, startup: float) -> str:
    """Say that workers are starting which could run a task.

    Examples
    --------
    >>> on_the_way("big", 2, 20.0)
    '2 workers of group big are starting, which takes about 20 s'
    """
    are = "is" if workers == 1 else "are"
    return f"{counted(workers, 'worker')} of group {group} {are} starting, which takes about {startup:g} s"


def may_grow(group: str) -> str:
    """Say that a group could have more workers, if its policy wants them.

    Examples
    --------
    >>> may_grow("big")
    'group big may have more workers, as its policy decides'
    """
    return f"group {group} may have more workers, as its policy decides"


def cannot_grow(group: str, reason: str) -> str:
    """Say why no more workers of a group can be had.

    Examples
    --------
    >>> cannot_grow("big", "quota exceeded")
    'no more workers of group big can be had now: quota exceeded'
    """
    return f"no more workers of group {group} can be had now: {reason}"


def at_maximum(group: str, maximum: int) -> str:
    """Say that a group has all the workers that it may have.

    Examples
    --------
    >>> at_maximum("big", 4)
    'group big has its maximum of 4 workers'
    """
    return f"group {group} has its maximum of {counted(maximum, 'worker')}"


def no_group_large_enough(group: str, room: str) -> str:
    """Say that scaling cannot help.

    Examples
    --------
    >>> no_group_large_enough("big", "memory 14.00 GiB")
    'no worker group is large enough: a worker of big, the largest, has memory 14.00 GiB for tasks'
    """
    return f"no worker group is large enough: a worker of {group}, the largest, has {room} for tasks"


def runs(called: str, seconds: float | None, expected: float | None) -> str:
    """Say where a task runs, for how long it has, and how long such tasks take.

    Examples
    --------
    >>> runs("w3", 3.24, 4.0)
    'it has been running on worker w3 for 3.2 s; such tasks take about 4.0 s'
    >>> runs("w3", None, None)
    'it is on worker w3, which has not told yet that it runs'
    """
    if seconds is None:
        return f"it is on worker {called}, which has not told yet that it runs"
    usual = f"; such tasks take about {expected:.1f} s" if expected is not None else ""
    return f"it has been running on worker {called} for {seconds:.1f} s{usual}"


def waits_behind(called: str, running: int) -> str:
    """Say that a task waits on its worker.

    Examples
    --------
    >>> waits_behind("w3", 4)
    'it is on worker w3 and waits there for a thread, behind 4 tasks'
    """
    return f"it is on worker {called} and waits there for a thread, behind {counted(running, 'task')}"


def reserved(amounts: str, source: str) -> str:
    """Say what is set aside for a task, and how its memory was found.

    Examples
    --------
    >>> reserved("cpu 1, memory 1.00 GiB", measured_in(12))
    'reserved: cpu 1, memory 1.00 GiB (memory as measured in 12 runs)'
    """
    return f"reserved: {amounts} ({source})"


def measured_in(runs: int) -> str:
    """Say how an amount of memory was learned.

    Examples
    --------
    >>> measured_in(1), measured_in(0)
    ('memory as measured in 1 run', 'memory is a guess: no such task has been measured')
    """
    if runs:
        return f"memory as measured in {counted(runs, 'run')}"
    return "memory is a guess: no such task has been measured"


DECLARED = "memory as declared"
LENT = "memory that it does not hold is lent to others, since it takes longer than such tasks do"


def done(size: str, workers: Sequence[str]) -> str:
    """Say that a result is there.

    Examples
    --------
    >>> done("1.00 MiB", ["w1", "w2"])
    'it is done: its result of 1.00 MiB is on worker w1, w2'
    """
    return f"it is done: its result of {size} is on worker {few(workers)}"


def failed(error: str, blamed: str | None = None, workers: Sequence[str] = ()) -> str:
    """Say why a task failed.

    Parameters
    ----------
    blamed
        The key of the task that failed first, if it is another.

    Examples
    --------
    >>> failed("ZeroDivisionError: division by zero", None, ["w1"])
    'it failed on worker w1: ZeroDivisionError: division by zero'
    >>> failed("ZeroDivisionError: division by zero", "load-1")
    "it failed because 'load-1' did, whose result it needs: ZeroDivisionError: division by zero"
    """
    if blamed is not None:
        return f"it failed because {blamed!r} did, whose result it needs: {error}"
    where = f" on worker {few(workers)}" if workers else ""
    return f"it failed{where}: {error}"


def waits_for(missing: int, needed: int, root: str, why: str) -> str:
    """Say that a task waits for results, and for which of all that are not there yet.

    Examples
    --------
    >>> waits_for(2, 3, "load-1", "it needs a thread, and all are in use")
    "it waits for 2 of the 3 results that it needs, in the end for 'load-1': it needs a thread, and all are in use"
    """
    of = f"{missing} of the {counted(needed, 'result')} that it needs"
    return f"it waits for {of}, in the end for {root!r}: {why}"


UNSETTLED = "all results that it needs are there: it is about to be placed"
RELEASED = "it is not computed now: no future asks for its result"
UNKNOWN_KEY = "the scheduler has no task of this key: it was never submitted, or no future asks for it any more"
OTHERS_PLACE = "it waits for a worker, and plain Dask places tasks: supreme-dask is not active on this scheduler"
