"""Why tasks wait, and why they cannot run."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass

from supreme_dask.core.reasons.words import amount
from supreme_dask.core.spelling import or_so

FURTHER = "for further reasons of this kind, too many to keep"
"""In the place of sentences when far more different ones come at once than anybody reads."""


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
    instead : tuple of str
        If no worker declares the resource at all: those that some worker declares.
    further : tuple of (str, int, int)
        What else that worker never has enough of: the resource, what is needed, and found.
    """

    address: str | None
    resource: str
    needed: int
    found: int
    ever: bool
    instead: tuple[str, ...] = ()
    further: tuple[tuple[str, int, int], ...] = ()


def waiting(type_: str, why: Unplaceable) -> str:
    """Say what the tasks of a type wait for.

    Examples
    --------
    >>> waiting("load", Unplaceable("tcp://a:1", "memory", 8 * 2**30, 4 * 2**30, ever=False))
    "tasks 'load' wait for a larger worker: they need memory 8.00 GiB, the largest worker has 4.00 GiB"
    >>> waiting("load", Unplaceable("tcp://a:1", "cpu", 8000, 2000, ever=False, further=(("GPU", 2000, 1000),)))
    "tasks 'load' wait for a larger worker: they need cpu 8 and GPU 2, the largest worker has 2 and 1"
    >>> waiting("load", Unplaceable("tcp://a:1", "memory", 2**30, 2**29, ever=True))
    "tasks 'load' wait for memory: they need 1.00 GiB, 512.00 MiB are free on tcp://a:1, which comes nearest"
    >>> waiting("load", Unplaceable("tcp://a:1", "cpus", 2, 0, ever=False, instead=("cpu", "memory")))
    "tasks 'load' wait for a worker that declares 'cpus' (did you mean 'cpu'?): none does"
    """
    start = f"tasks {type_!r} wait for"
    if why.resource == "worker":
        return f"{start} a worker that they may run on: none of those is there"
    if why.resource == "idle":
        return f"{start} a worker on which nothing else runs, because their memory is not known yet"
    needed, found = amount(why.resource, why.needed), amount(why.resource, why.found)
    if why.instead:
        instead = or_so(why.resource, why.instead)
        return f"{start} a worker that declares {reprlib.repr(why.resource)}{instead}: none does"
    if not why.ever:
        needs, has = needs_and_has(why)
        return f"{start} a larger worker: they need {needs}, the largest worker has {has}"
    nearest = f"{found} are free on {why.address}, which comes nearest"
    return f"{start} {why.resource}: they need {needed}, {nearest}"


def needs_and_has(why: Unplaceable) -> tuple[str, str]:
    """Return what is needed of all that lacks, and what is there of it.

    >>> needs_and_has(Unplaceable("tcp://a:1", "cpu", 8000, 2000, ever=False, further=(("GPU", 2000, 1000),)))
    ('cpu 8 and GPU 2', '2 and 1')
    """
    lacking = [(why.resource, why.needed, why.found), *why.further]
    needs = " and ".join(f"{name} {amount(name, needed)}" for name, needed, _ in lacking)
    return needs, " and ".join(amount(name, found) for name, _, found in lacking)


def further(sorts: int) -> str:
    """Say that more tasks can run nowhere than are named; the same sentence until there are ten times as many.

    Examples
    --------
    >>> further(7)
    'tasks of other types can run on no worker either'
    >>> further(4321)
    'tasks of more than 1,000 other types can run on no worker either'
    """
    ten = 10 ** (len(str(sorts)) - 1)
    return f"tasks of {f'more than {ten:,} ' if ten > 1 else ''}other types can run on no worker either"


def gave_up(seconds: float, sentence: str) -> str:
    """Say that a task failed because nothing came that could run it."""
    return f"gave up after {seconds:g} s (setting supreme.infeasible-timeout): {sentence}"
