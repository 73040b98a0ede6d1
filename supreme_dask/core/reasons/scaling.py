"""Why there are as many workers as there are."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

from supreme_dask.core.reasons.words import amount, counted, few
from supreme_dask.core.spelling import or_so

MINIMUM = "the group's minimum"


MAXIMUM = "the group's maximum"
UNCHANGED = "no rule asks for a change"


DEMAND_RETURNED = "it is needed again"


NOBODY_ASKS = "nobody asks for plans any more"


ASKED = "an autoscaler removes it"


UNKNOWN = "what a worker is will be known when one has come"


def at_work(workers: int) -> str:
    """Say that workers are needed because they work.

    Examples
    --------
    >>> at_work(2)
    '2 are at work'
    """
    return f"{workers} {'is' if workers == 1 else 'are'} at work"


def not_reported(worker: str, group: str) -> str:
    """Say that a worker counts for a group though no controller reports it.

    Examples
    --------
    >>> not_reported("small-mine", "small")
    'worker small-mine was started by no controller that reports: by its name it counts as one of group small'
    """
    return f"worker {worker} was started by no controller that reports: by its name it counts as one of group {group}"


def group_gone(group: str) -> str:
    """Say why a worker leaves whose group was removed.

    Examples
    --------
    >>> group_gone("small")
    'group small is not there any more'
    """
    return f"group {group} is not there any more"


def no_groups(groups: Sequence[str]) -> str:
    """Say that workers stay though no group is there.

    Examples
    --------
    >>> no_groups(["large", "small"])
    'no worker group is there any more: workers of large, small stay as they are'
    """
    return f"no worker group is there any more: workers of {', '.join(groups)} stay as they are"


def fuse_blown(group: str, launched: int) -> str:
    """Say that workers were launched too fast.

    Examples
    --------
    >>> fuse_blown("small", 100)
    '100 workers of group small were launched within an hour, as many as may be: no more for 60 minutes'
    """
    many = f"{launched} workers of group {group}"
    return f"{many} were launched within an hour, as many as may be: no more for 60 minutes"


def to_start(tasks: int, types: Sequence[str]) -> str:
    """Say which tasks more workers are for.

    Examples
    --------
    >>> to_start(80, ["load", "train"])
    'for 80 waiting tasks of load, train'
    """
    return f"for {counted(tasks, 'waiting task')} of {few(types, 'types')}"


def no_group(type_: str, resource: str, needed: int, found: int, known: Sequence[str] = ()) -> str:
    """Say that no worker of any group could ever run some tasks.

    Parameters
    ----------
    known
        The resources that some worker has.

    Examples
    --------
    >>> no_group("train", "GPU", 8000, 4000)
    "tasks 'train' can run on no worker of any group: they need GPU 8, the most that one has is 4"
    >>> no_group("train", "cpus", 8000, 0, ["cpu", "memory"])
    "tasks 'train' can run on no worker of any group: none declares 'cpus' (did you mean 'cpu'?)"
    """
    need, most = amount(resource, needed), amount(resource, found)
    start = f"tasks {type_!r} can run on no worker of any group"
    if known and resource not in known:
        return f"{start}: none declares {reprlib.repr(resource)}{or_so(resource, known)}"
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
    return f"{group} should have {counted(workers, 'worker')}{leave}: {reason}"


def never_joined(group: str, count: int) -> str:
    """Say that workers were asked for and did not come.

    Examples
    --------
    >>> never_joined("small", 2)
    '2 workers of small were asked for and did not join in time'
    """
    return (
        f"{counted(count, 'worker')} of {group} {'was' if count == 1 else 'were'} asked for and did not join in time"
    )


def ended_early(names: Sequence[str]) -> str:
    """Say that workers were started and ended again.

    Examples
    --------
    >>> ended_early(["small-1", "small-2"])
    'small-1, small-2 ended before joining: the log of their controller says why'
    """
    return f"{', '.join(names)} ended before joining: the log of their controller says why"


def backs_off(reason: str, seconds: float) -> str:
    """Say that a group is let alone for a while.

    Examples
    --------
    >>> backs_off("small: no such image", 20)
    'small: no such image; the next attempt is in 20 s'
    """
    return f"{reason}; the next attempt is in {seconds:g} s"
