"""What ran once, to be run again in virtual time: jobs, and the tables that they are read from.

A table is recognised by its columns:

========== ==================================== ==============================================================
format     recognised by                        what it is
========== ==================================== ==============================================================
own        ``type``, ``duration``               see below
nf-core    ``process``, ``realtime``            a Nextflow trace; what users asked for is declared
openb      ``cpu_milli``, ``gpu_milli``         pods of Alibaba's cluster-trace-gpu-v2023; CPU, memory, GPU shares
========== ==================================== ==============================================================

The columns of our own, of which all but the first two may be missing, or empty in a row:

============ =================================================================================================
``type``     what runs alike, as the prefix of a task's name
``duration`` seconds that it runs
``key``      its name; by default its row
``arrival``  in seconds; 0 by default
``memory``   peak bytes that it really takes (``2 GiB``); by default nobody knows, and it is never killed
``cpu``      cores that it really keeps busy; 1 by default
``inputs``   bytes of its dependencies (``300 MB``)
``after``    keys of the jobs whose results it takes, separated by blanks
``demand:…`` what it declares of a resource, such as ``demand:memory`` and ``demand:GPU``
============ =================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter

from supreme_dask.core.resources import CPU, MEMORY, Resources, parse_amount
from supreme_dask.core.spelling import or_so
from supreme_dask.errors import DemandError, TraceError

_OWN = ("type", "duration")
_DEMAND = "demand:"


@dataclass(frozen=True, slots=True)
class Job:
    """One task of a trace.

    Attributes
    ----------
    key, type : str
        Its name, and what runs alike.
    arrival : float
        Seconds after the start of the trace when it could run, if it waited for no other.
    duration : float
        Seconds that it runs, without fetching its inputs.
    declared : Resources or None
        What its user says that it needs.
    cpu : float
        Cores that it really keeps busy.
    memory : int or None
        Peak bytes that it really takes; None if nobody knows.
    inputs : int
        Bytes of its dependencies.
    after : tuple of str
        Keys of the jobs whose results it takes.
    """

    key: str
    type: str
    arrival: float
    duration: float
    declared: Resources | None = None
    cpu: float = 1.0
    memory: int | None = None
    inputs: int = 0
    after: tuple[str, ...] = ()


def read(rows: Iterable[Mapping[str, str]]) -> tuple[Job, ...]:
    """Return the jobs of a table, by arrival, of which the first is at 0.

    Parameters
    ----------
    rows
        As `csv.DictReader` gives them.

    Raises
    ------
    TraceError
        If the table is empty or of no known format, a row cannot be understood, a key is there twice, or a job
        waits for one that is not there or for itself.

    Examples
    --------
    >>> read([{"type": "load", "duration": "2", "demand:memory": "1 GiB"}])[0].declared
    Resources(amounts=(('memory', 1073741824),))
    """
    table = []
    for number, row in enumerate(rows, 1):
        if None in row:  # where `csv.DictReader` keeps what is beyond the last column
            raise TraceError(number, f"it has more values than the {len(row) - 1} columns of the table")
        table.append({column: text or "" for column, text in row.items()})  # None where a row ends early
    if not table:
        raise TraceError(None, "it has no rows")
    reader = _reader(table[0])
    jobs = [job for number, row in enumerate(table, 1) if (job := _read_row(reader, row, number)) is not None]
    if not jobs:
        raise TraceError(None, "none of its rows is a task that ran to its end")
    _check_dependencies(jobs)
    jobs.sort(key=attrgetter("arrival"))
    return tuple(replace(job, arrival=job.arrival - jobs[0].arrival) for job in jobs)


def squeezed(jobs: Sequence[Job], *, span: float | None = None, longest: float | None = None) -> tuple[Job, ...]:
    """Return jobs that arrive in their order within `span` seconds, evenly, and of which none takes longer.

    Traces of production clusters last for months, most of which nothing happens in.
    """
    step = None if span is None else span / max(len(jobs), 1)
    return tuple(
        replace(
            job,
            arrival=job.arrival if step is None else number * step,
            duration=job.duration if longest is None else min(job.duration, longest),
        )
        for number, job in enumerate(jobs)
    )


def undeclared(jobs: Iterable[Job], resource: str = MEMORY) -> tuple[Job, ...]:
    """Return the jobs as if nobody had said how much they need of a resource, so that it has to be learned."""
    return tuple(
        replace(job, declared=Resources.of({name: job.declared[name] for name in job.declared if name != resource}))
        if job.declared is not None
        else job
        for job in jobs
    )


_Reader = Callable[[Mapping[str, str], int], Job | None]


def _reader(row: Mapping[str, str]) -> _Reader:
    if row.keys() >= set(_OWN):
        return _own
    if {"process", "realtime"} <= row.keys():
        return _nfcore
    if {"cpu_milli", "gpu_milli"} <= row.keys():
        return _openb
    found = ", ".join(name + or_so(name, _OWN) for name in map(str, row))
    raise TraceError(None, f"it needs the columns {' and '.join(map(repr, _OWN))}; it has {found}")


def _read_row(reader: _Reader, row: Mapping[str, str], number: int) -> Job | None:
    try:
        job = reader(row, number)
    except KeyError as error:
        raise TraceError(number, f"there is no column {error}") from None
    except ValueError as error:
        raise TraceError(number, str(error)) from None
    if job is not None and min(job.arrival, job.duration) < 0:
        raise TraceError(number, f"it arrives at {job.arrival:g} s and takes {job.duration:g} s")
    return job


def _own(row: Mapping[str, str], number: int) -> Job:
    demands = {name.removeprefix(_DEMAND): amount for name, amount in row.items() if name.startswith(_DEMAND)}
    declared = {name: amount for name, amount in demands.items() if amount}
    return Job(
        row.get("key") or str(number),
        row["type"],
        _number(row, "arrival", 0),
        _number(row, "duration"),
        Resources.parse(declared) if declared else None,
        _number(row, "cpu", 1),
        _bytes(row, "memory"),
        _bytes(row, "inputs") or 0,
        tuple((row.get("after") or "").split()),
    )


def _nfcore(row: Mapping[str, str], number: int) -> Job | None:
    if row["status"] != "COMPLETED":
        return None
    busy, peak = _measured(row, "%cpu"), _measured(row, "peak_rss")
    return Job(
        str(number),
        row["process"].rpartition(":")[2],
        _number(row, "submit") / 1000,
        _number(row, "realtime") / 1000,
        Resources.parse({CPU: row["cpus"], MEMORY: row["memory"]}),
        1.0 if busy is None else busy / 100,
        None if peak is None else int(peak),
    )


def _openb(row: Mapping[str, str], number: int) -> Job | None:  # noqa: ARG001
    if not row["deletion_time"]:
        return None
    created = _number(row, "creation_time")
    amounts = {CPU: int(_number(row, "cpu_milli")), MEMORY: int(_number(row, "memory_mib")) << 20}
    if gpus := int(_number(row, "num_gpu")) * int(_number(row, "gpu_milli")):
        amounts["GPU"] = gpus
    return Job(
        row["name"],
        "pod",
        created,
        max(_number(row, "deletion_time") - _number(row, "scheduled_time", created), 1.0),
        Resources.of(amounts),
        amounts[CPU] / 1000,
    )


def _number(row: Mapping[str, str], column: str, default: float | None = None) -> float:
    """Return a number of a row; a default may stand in for one that is empty or has no column."""
    text = row[column] if default is None else row.get(column, "")
    if not text and default is not None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{column}={text!r}: expected a number")
    return number


def _bytes(row: Mapping[str, str], column: str) -> int | None:
    text = row.get(column)
    try:
        return parse_amount(MEMORY, text)[1] if text else None
    except DemandError as error:
        raise ValueError(f"column {column}: {error}") from None


def _measured(row: Mapping[str, str], column: str) -> float | None:
    return None if row[column] in ("", "-") else _number(row, column)  # Nextflow's "-": it could not be measured


def _check_dependencies(jobs: Sequence[Job]) -> None:
    by_key = {job.key: job for job in jobs}
    if len(by_key) < len(jobs):
        keys = sorted(job.key for job in jobs)
        raise TraceError(None, f"{next(one for one, other in pairwise(keys) if one == other)!r} is there twice")
    lacking = next(((job.key, key) for job in jobs for key in job.after if key not in by_key), None)
    if lacking is not None:
        raise TraceError(None, f"{lacking[0]!r} waits for {lacking[1]!r}, which is not there")
    if cycle := _in_cycle(jobs):
        raise TraceError(None, f"{cycle!r} waits for itself, or for one that does")


def _in_cycle(jobs: Sequence[Job]) -> str | None:
    """Return the key of a job that could never start, or None."""
    lacking = {job.key: len(set(job.after)) for job in jobs}
    dependents: dict[str, list[str]] = {}
    for job in jobs:
        for key in set(job.after):
            dependents.setdefault(key, []).append(job.key)
    ready = [key for key, count in lacking.items() if not count]
    while ready:
        key = ready.pop()
        del lacking[key]
        for dependent in dependents.get(key, ()):
            lacking[dependent] -= 1
            if not lacking[dependent]:
                ready.append(dependent)
    return next(iter(lacking), None)
