"""The only file that reads distributed's scheduler: its states in, values of the core out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import islice, takewhile
from types import CodeType
from typing import Any

from dask.typing import Key
from distributed.core import Status
from distributed.scheduler import Scheduler, TaskState, WorkerState
from distributed.scheduler import heartbeat_interval as _interval

from supreme_dask.core.handover import Sole
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.relief import Result
from supreme_dask.core.resources import CPU, MEMORY, NETWORK, Resources, own_units, parse_amount
from supreme_dask.core.shapes import Inputs, Restrictions, Task
from supreme_dask.core.wire import Measured
from supreme_dask.errors import DemandError
from supreme_dask.task_types import name_of

_MANY = 100  # tasks that wait for one result
_LOOKS = 5  # results looked at for each that is wanted
_SAMPLE = 64  # results of a worker that are looked at to judge all of them


def task(ts: TaskState, declared: Resources | None, *, alone: bool = False) -> Task:
    """Return a task that is ready to run."""
    return Task(
        ts.key,
        task_type(ts),
        ts.priority or (0,),
        declared,
        restrictions(ts) if ts.worker_restrictions or ts.host_restrictions else None,
        _inputs(ts.dependencies) if ts.dependencies else None,
        alone,
        feeds=bool(ts.dependents),
        actor=bool(ts.actor),
    )


def task_type(ts: TaskState) -> str:
    """Return the name of what a task is a run of: measurements are shared within a type."""
    return name_of(ts.run_spec, ts.prefix.name)


def needed_by(ts: TaskState) -> list[Key]:
    """Return the tasks whose results a task needs, and that wait for a worker."""
    return [dependency.key for dependency in ts.dependencies if dependency.state == "no-worker"]


def restrictions(ts: TaskState) -> Restrictions:
    """Return where a task may run."""
    return Restrictions(
        frozenset(ts.worker_restrictions or ()),
        frozenset(ts.host_restrictions or ()),
        bool(ts.loose_restrictions),
    )


def measurement(
    startstops: Iterable[Mapping[str, Any]], measured: Measured | None, ts: TaskState
) -> Measurement | None:
    """Return what a worker told of a finished task; None if it did not even tell how long it took."""
    for step in startstops:
        if step["action"] == "compute":
            wall = max(step["stop"] - step["start"], 0.0)
            break
    else:
        return None
    result = max(ts.nbytes, 0)
    if measured is None:
        return Measurement(wall, result=result)
    inputs = sum(dependency.get_nbytes() for dependency in ts.dependencies)
    return Measurement(wall, measured.cpu, measured.memory, measured.exact, inputs, result=result)


def code_of(ts: TaskState) -> str:
    """Return what changes when the function of a task does; empty where that has no code of Python's.

    A hash of the function's own bytecode and constants, not of what it calls. Another release of Python
    compiles to other bytecode, and counts as a change.
    """
    code = getattr(getattr(ts.run_spec, "func", None), "__code__", None)
    return _hash_of(code) if isinstance(code, CodeType) else ""


def is_running(scheduler: Scheduler, address: str) -> bool:
    """Tell whether a worker is there and takes tasks."""
    ws = scheduler.workers.get(address)
    return ws is not None and ws.status == Status.running


def may_run(scheduler: Scheduler, task: Task, address: str) -> bool:
    """Tell whether a worker takes tasks, and the restrictions of this one permit it."""
    if not is_running(scheduler, address):
        return False
    return task.restrictions is None or task.restrictions.permit(address, scheduler.workers[address].host)


def capacity(ws: WorkerState, base: int, safe_fraction: float, network: int) -> dict[str, int]:
    """Return what a worker has for tasks.

    Parameters
    ----------
    base
        Bytes that its process takes when it runs nothing and stores nothing.
    safe_fraction
        Part of its memory limit that may be filled.
    network
        Bytes per second, where it does not declare them.
    """
    found = {CPU: 1000 * ws.nthreads, NETWORK: network}
    if ws.memory_limit:
        found[MEMORY] = max(int(ws.memory_limit * safe_fraction) - base, 0)
    declared, _ = _declared(ws)
    if MEMORY in declared and MEMORY in found:
        # A worker may keep memory for itself; more than its limit it does not have.
        declared[MEMORY] = min(declared[MEMORY], found[MEMORY])
    return {**found, **declared}


def misdeclared(ws: WorkerState) -> list[DemandError]:
    """Return what is wrong with the resources that a worker declares; it is taken to have none of those."""
    return _declared(ws)[1]


def counted_otherwise(scheduler: Scheduler) -> frozenset[str]:
    """Return the names of resources that read like memory, but in which a worker counts something of its own."""
    # Few names read like memory: looking through all workers for each graph would show.
    alike = {name: held for name, held in scheduler.resources.items() if held and name.lower() == MEMORY}
    return own_units({name: min(held.values()) for name, held in alike.items()})


def is_busy(ws: WorkerState) -> bool:
    """Tell whether a worker's process was computing at its last heartbeat: more than a tenth of a core."""
    percent: float = ws.metrics.get("cpu", 0.0)
    return percent > 10


def managed(ws: WorkerState) -> int:
    """Return the bytes of results that a worker holds in memory."""
    spilled: int = (ws.metrics.get("spilled_bytes") or {}).get("memory", 0)
    return max(ws.nbytes - spilled, 0)


def unmanaged(ws: WorkerState) -> int:
    """Return the bytes that a worker's process takes beside its results, at its last heartbeat."""
    return max(memory_used(ws) - managed(ws), 0)


def processing(scheduler: Scheduler, address: str) -> list[Key]:
    """Return the tasks that a worker was given and has not ended."""
    ws = scheduler.workers.get(address)
    return [ts.key for ts in ws.processing] if ws is not None else []


def redo(ws: WorkerState) -> float:
    """Return the seconds that it would take to compute again what only this worker holds, judged by a sample."""
    sample = list(islice(ws.has_what, _SAMPLE))
    seconds = sum(max(ts.prefix.duration_average, 0.0) for ts in sample if ts.who_has and len(ts.who_has) == 1)
    return seconds * len(ws.has_what) / max(len(sample), 1)


def stored(scheduler: Scheduler, address: str) -> int:
    """Return the bytes of results in a worker's memory."""
    ws = scheduler.workers.get(address)
    return managed(ws) if ws is not None else 0


def in_memory(scheduler: Scheduler, address: str | None = None) -> list[Key]:
    """Return the tasks whose results are there: on one worker, or on any."""
    if address is None:
        return [key for key, ts in scheduler.tasks.items() if ts.state == "memory"]
    ws = scheduler.workers.get(address)
    return [ts.key for ts in ws.has_what] if ws is not None else []


def unique(scheduler: Scheduler, keys: Iterable[Key], haven: str | None = None) -> list[Result]:
    """Return those of the results that only one worker holds, or that a haven lacks, and that can be copied."""
    safe = scheduler.workers.get(haven) if haven is not None else None
    found = []
    for key in keys:
        ts = scheduler.tasks.get(key)
        if ts is None or ts.actor or not ts.who_has:
            continue
        if len(ts.who_has) == 1 if safe is None else safe not in ts.who_has:
            found.append(Result(key, ts.get_nbytes(), next(iter(ts.who_has)).address))
    return found


def movable(scheduler: Scheduler, address: str, most: int) -> list[Result]:
    """Return results that one worker holds alone, and that may be somewhere else as well: at most so many.

    Nobody reads them now, and no user has said where they are to be. Of very many, only the oldest are looked at.
    """
    oldest = islice(scheduler.workers[address].has_what, _LOOKS * most)
    found = (ts for ts in oldest if _is_movable(ts))
    return [Result(ts.key, ts.get_nbytes(), address) for ts in islice(found, most)]


def holders(scheduler: Scheduler, key: Key) -> set[str]:
    """Return the workers that store a result."""
    ts = scheduler.tasks.get(key)
    return {ws.address for ws in (ts.who_has or ())} if ts is not None else set()


def heard(scheduler: Scheduler) -> dict[str, float]:
    """Return when each worker was heard of last."""
    return {address: ws.last_seen for address, ws in scheduler.workers.items()}


def heartbeat_interval(scheduler: Scheduler) -> float:
    """Return the seconds between two heartbeats of a worker."""
    return float(_interval(len(scheduler.workers)))


def nanny(scheduler: Scheduler, address: str) -> str | None:
    """Return the address of a worker's nanny, if it has one."""
    ws = scheduler.workers.get(address)
    return ws.nanny or None if ws is not None else None


def address_of(scheduler: Scheduler, name: str) -> str | None:
    """Return the address of the worker that has a name."""
    return next((address for address, ws in scheduler.workers.items() if str(ws.name) == str(name)), None)


def names(scheduler: Scheduler) -> set[str]:
    """Return the names of all workers."""
    return set(called(scheduler).values())


def called(scheduler: Scheduler) -> dict[str, str]:
    """Return what workers are called, by address."""
    return {address: str(ws.name) for address, ws in scheduler.workers.items()}


def pinned(scheduler: Scheduler) -> set[str]:
    """Return the workers that cannot leave without a loss, all that `immovable` has a reason for."""
    shuffles = getattr(scheduler.plugins.get("shuffle"), "active_shuffles", {})
    found = {address for shuffle in shuffles.values() for address in shuffle.participating_workers}
    found.update(address for address, ws in scheduler.workers.items() if ws.actors)
    return found


def elapsed(ws: WorkerState, now: float) -> float:
    """Return the seconds that the tasks running on a worker have been running, altogether.

    Parameters
    ----------
    now
        Seconds since 1970. What runs since the last heartbeat only is not counted.
    """
    since = max(now - ws.last_seen, 0.0)
    return sum(seconds + since for ts, seconds in ws.executing.items() if ts in ws.processing)


def held_alone(ws: WorkerState, looked_at: int) -> int:
    """Return the bytes of results that no other worker holds; an estimate where it holds more than `looked_at`."""
    total = alone = 0
    for ts in islice(ws.has_what, looked_at):
        nbytes = ts.get_nbytes()
        total += nbytes
        if len(ts.who_has or ()) == 1:
            alone += nbytes
    return int(ws.nbytes * alone / total) if total else 0


def cores_used(ws: WorkerState) -> float:
    """Return how many cores a worker's process kept busy, at its last heartbeat."""
    percent: float = ws.metrics.get("cpu", 0.0)
    return percent / 100


def memory_used(ws: WorkerState) -> int:
    """Return the bytes that a worker's process takes, at its last heartbeat."""
    process: int = ws.metrics.get("memory", 0)
    return process


def traffic(ws: WorkerState) -> float:
    """Return the bytes per second of the busier direction on a worker's machine, at its last heartbeat.

    Dask measures the machine, not the process: workers of one machine say the same.
    """
    moved = ws.metrics.get("host_net_io") or {}
    return float(max(moved.get("read_bps", 0.0), moved.get("write_bps", 0.0)))


def immovable(scheduler: Scheduler, address: str) -> str:
    """Return what keeps a worker from leaving without a loss; empty if nothing does."""
    if scheduler.workers[address].actors:
        return "it holds an actor, which cannot be moved"
    shuffles = getattr(scheduler.plugins.get("shuffle"), "active_shuffles", {})
    if any(address in shuffle.participating_workers for shuffle in shuffles.values()):
        return "it takes part in a shuffle, which would begin again"
    return ""


def sole(scheduler: Scheduler, address: str) -> list[Sole]:
    """Return the results of a worker that no worker holds which takes tasks."""
    running = scheduler.running
    held = (ts for ts in scheduler.workers[address].has_what if not ts.actor)
    return [Sole(ts.key, ts.get_nbytes(), _seconds(ts)) for ts in held if running.isdisjoint(ts.who_has or ())]


def moved(scheduler: Scheduler, address: str, keys: Iterable[Key]) -> list[Key]:
    """Return those of a worker's results that a worker holds which takes tasks, or that are wanted no more."""
    there, running = scheduler.workers[address].has_what, scheduler.running
    tasks = ((key, scheduler.tasks.get(key)) for key in keys)
    return [key for key, ts in tasks if ts is None or ts not in there or not running.isdisjoint(ts.who_has or ())]


def identity(scheduler: Scheduler, address: str) -> str:
    """Return what tells a worker's process from every other, also one of the same name and address."""
    return str(scheduler.workers[address].server_id)


def retriable(scheduler: Scheduler, address: str) -> list[Key]:
    """Return the tasks on a worker of which their user says that they may run again."""
    return [ts.key for ts in scheduler.workers[address].processing if ts.retries]


def held(scheduler: Scheduler) -> list[Key]:
    """Return the tasks that wait for a worker, the last in order first."""
    waiting = [*scheduler.queued, *scheduler.unrunnable]
    return [ts.key for ts in sorted(waiting, key=lambda ts: ts.priority or (), reverse=True)]


def held_since(scheduler: Scheduler, since: float) -> list[Key]:
    """Return the tasks that have waited for a worker since a time, as ``time.monotonic`` tells it."""
    return [ts.key for ts, at in takewhile(lambda one: one[1] < since, scheduler.unrunnable.items())]


def anybody_waits(scheduler: Scheduler) -> bool:
    """Tell whether tasks wait for a worker."""
    return bool(scheduler.queued or scheduler.unrunnable)


def waiting(scheduler: Scheduler, keys: Iterable[Key]) -> list[Key]:
    """Return those of the tasks that are held."""
    return [key for key in keys if key in scheduler.tasks and scheduler.tasks[key].state == "no-worker"]


def departure(scheduler: Scheduler, address: str) -> tuple[bool, int]:
    """Return whether a worker that was just removed had been told to leave, and how many tasks it had not ended."""
    for _, event in reversed(scheduler.get_events(address)):
        if event.get("action") == "remove-worker":
            return bool(event.get("expected")), len(event.get("processing-tasks", ()))
    return False, 0


def _seconds(ts: TaskState) -> float:
    """Return what it takes to compute a result again; infinite for data that nobody computed."""
    return max(ts.prefix.duration_average, 0.001) if ts.run_spec is not None else float("inf")


def _is_movable(ts: TaskState) -> bool:
    if ts.actor or len(ts.who_has or ()) != 1 or ts.state != "memory":
        return False
    if (ts.worker_restrictions or ts.host_restrictions) and not ts.loose_restrictions:
        return False
    # What very many wait for will be copied by those who use it.
    return len(ts.waiters or ()) < _MANY and not any(waiter.processing_on for waiter in ts.waiters or ())


def _hash_of(code: CodeType) -> str:
    constants = [_hash_of(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    parts = (code.co_code.hex(), *code.co_names, *constants)
    return sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()[:16]


def _declared(ws: WorkerState) -> tuple[dict[str, int], list[DemandError]]:
    amounts: dict[str, int] = {}
    errors: list[DemandError] = []
    own = own_units(ws.resources)
    for written, declared in ws.resources.items():
        try:
            name, amount = parse_amount(written, declared, own)
            amounts[name] = amount
        except DemandError as error:
            errors.append(error)
    return amounts, errors


def _inputs(dependencies: Iterable[TaskState]) -> Inputs:
    size = 0
    held: dict[str, int] = {}
    for dependency in dependencies:
        nbytes = dependency.get_nbytes()
        size += nbytes
        for ws in dependency.who_has or ():
            held[ws.address] = held.get(ws.address, 0) + nbytes
    return Inputs(size, held)
