"""The only file that overrides distributed's worker, guarded by a check of what it overrides.

One function runs every ordinary task in its thread; it is wrapped, once per process. Coroutines and actors run
elsewhere, and are not measured. One number is raised: how full a worker may be before it pauses. And where Dask's
command handles SIGTERM, what it does is put off.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from time import time
from types import FunctionType
from typing import Any

import distributed.worker
from dask.typing import Key
from distributed.core import Status
from distributed.exceptions import Reschedule
from distributed.nanny import Nanny
from distributed.protocol.pickle import loads
from distributed.spill import Slow
from distributed.worker import Worker
from distributed.worker_state_machine import GatherDepBusyEvent, GatherDepFailureEvent, StateMachineEvent, TaskState

from supreme_dask import compatibility
from supreme_dask.core.wall import Account, Levels, Patience
from supreme_dask.core.wire import MEASURED_KEY
from supreme_dask.task_types import name_of
from supreme_dask.worker.children import Children
from supreme_dask.worker.measure import Measured, Meter
from supreme_dask.worker.process import can_be_limited, data_files, is_limited, resident
from supreme_dask.worker.wall import Stop, Wall

log = logging.getLogger(__name__)

walls: list[Wall] = []
"""Of this process: at most one."""

# Private names, so they are looked up when the meter is installed, not when this module is imported.
_RUN = "_run_task_simple"
_SIGNALS = "distributed._signals"
_THREAD_STATE = "thread_state"
_ARGUMENTS = ("task", "data", "time_delay")
_FETCHING = ("self", "worker", "to_gather", "total_nbytes", "stimulus_id")
_NOISE = 1 << 20  # bytes that a worker may store or drop beside a task that counts as having run alone


@cache
def install_meter() -> Children:
    """Measure every task that this process runs from now on; return those that they start.

    Raises
    ------
    IncompatibleDaskError
        If this distributed runs tasks in another way.
    """
    compatibility.check(distributed.worker, {_RUN: _ARGUMENTS})
    stock = getattr(distributed.worker, _RUN)
    meter, children = Meter(), Children()

    def run(task: Any, data: Any, time_delay: float) -> Any:
        worker, state = _running()
        if state is None:
            return stock(task, data, time_delay)
        before = _stored(worker)
        children.begin()
        call, ran = partial(stock, task, data, time_delay), None
        try:
            if walls:
                ran, measured = meter.run(name_of(task, state.prefix), partial(walls[0].run, state, call))
                message = ran.message
            else:
                message, measured = meter.run(name_of(task, state.prefix), call)
        finally:
            peak, ended = children.end()
        if ended and message["op"] == "task-erred":
            # Because its children were ended, not by its own fault: the scheduler decides how it is tried again.
            worker.loop.add_callback(
                worker.batched_send, {"op": "supreme-overgrown", "key": state.key, "process": ended}
            )
            message["actual_exception"] = Reschedule()
        elif ran is not None and ran.stop is not None:
            _hand_back(worker, state.key, ran.stop, measured)
            message["actual_exception"] = Reschedule()
        if measured is not None:
            own = measured if ran is None else attributed(measured, ran.account)
            state.metadata[MEASURED_KEY] = corrected(own, _stored(worker) - before, peak)
        return message

    setattr(distributed.worker, _RUN, run)
    return children


def _hand_back(worker: Worker, key: Key, stop: Stop, measured: Measured | None) -> None:
    """Tell the scheduler why a task did not get its memory, before it hears that the task is to run again."""
    held, asked, free = stop
    if measured is not None and measured[1] is not None and measured[2]:
        held = max(held, measured[1])
    told = {"op": "supreme-stopped", "key": key, "held": held, "asked": asked, "free": free}
    worker.loop.add_callback(worker.batched_send, told)


def put_up_wall(worker: Worker, fraction: float | None) -> bool | None:
    """Limit the memory of this process, if it is the worker's own; return whether it is limited.

    None: it needs no limit, since nobody would end it, or can have none, since others use it too.
    """
    limit = worker.memory_manager.memory_limit
    if not limit:
        return None
    if not is_alone(worker):
        if walls:
            log.warning("Another worker runs in the process of %s: its memory is limited no more", worker.address)
            walls.pop().take_down()
        return False if worker.nanny else None
    if fraction is None or not can_be_limited():
        return False if worker.nanny else None
    if not walls:
        walls.append(Wall(Levels.of(limit, fraction)))
    spare_spilling(worker)
    return True


def retry_inputs(worker: Worker) -> None:
    """Have inputs that find no room asked for again: Dask would wait for them for ever.

    Raises
    ------
    IncompatibleDaskError
        If this distributed fetches inputs in another way.
    """
    compatibility.check(type(worker), {"gather_dep": _FETCHING})
    fetch = worker.gather_dep

    async def gather_dep(source: str, to_gather: Any, total_nbytes: int, *, stimulus_id: str) -> StateMachineEvent:
        event = await fetch(source, to_gather, total_nbytes, stimulus_id=stimulus_id)
        if not isinstance(event, GatherDepFailureEvent) or not _lacked_memory(event):
            return event
        log.info("There is no room for inputs from %s yet; they are asked for again", source)
        # What was not read to its end is in the way of the next answer on that connection.
        worker.rpc.remove(source)
        # As if the other worker had been busy: it is asked again in a moment.
        return GatherDepBusyEvent(worker=source, total_nbytes=total_nbytes, stimulus_id=f"supreme-no-room-{time()}")

    vars(worker)["gather_dep"] = gather_dep


def _lacked_memory(event: GatherDepFailureEvent) -> bool:
    failed = getattr(event.exception, "data", None)
    return isinstance(loads(failed) if isinstance(failed, bytes) else failed, MemoryError)  # type: ignore[no-untyped-call]


class _Spilling(Slow):
    """What a worker has spilled, read and written whatever its wall: what is not read back is lost."""

    def __getitem__(self, key: Key) -> object:
        with _without_wall():
            return super().__getitem__(key)

    def __setitem__(self, key: Key, value: object) -> None:
        with _without_wall():
            super().__setitem__(key, value)


def spare_spilling(worker: Worker) -> None:
    """Let a worker spill and read back what it spilled, however near its wall it is."""
    slow = getattr(getattr(worker.data, "slow", None), "data", None)
    if type(slow) is Slow:
        slow.__class__ = _Spilling


def _without_wall() -> AbstractContextManager[None]:
    return walls[0].spared() if walls else nullcontext()


def spare_walled(nanny: Nanny) -> None:
    """Let a nanny end its worker later where that has a wall, and not for files that it only reads.

    Raises
    ------
    IncompatibleDaskError
        If this distributed looks after its workers in another way.
    """
    manager = nanny.memory_manager
    watch = nanny.periodic_callbacks.get("memory_monitor")
    if manager is None or watch is None or not manager.memory_limit:
        return  # it never ends its worker
    compatibility.check(type(manager), {"memory_monitor": ("self", "nanny")})
    first, patience = manager.memory_terminate_fraction or 1.0, Patience(manager.memory_limit)

    def look() -> None:
        process = nanny.pid
        walled = process is not None and is_limited(process)
        manager.memory_terminate_fraction = max(first, patience.end) if walled else first
        if process is None or not walled or patience.is_over(_memory(process, patience.near)):
            manager.memory_monitor(nanny)

    watch.callback = look


def _memory(process: int, near: int) -> int:
    """Return the bytes that a process takes: if they are more than `near`, without the files that it only reads."""
    held = resident(process)
    return held - data_files(process) if held > near else held


def is_alone(worker: Worker) -> bool:
    """Tell whether a process is for this worker only: that of a nanny, or of Dask's command."""
    others = [
        one for one in Worker._instances if one is not worker and one.status not in (Status.closed, Status.failed)
    ]
    return not others and (bool(worker.nanny) or _is_of_dask(signal.getsignal(signal.SIGTERM)))


def pause_late(worker: Worker, fraction: float) -> None:
    """Do not pause a worker before its memory is filled to `fraction`: the scheduler counts what goes there."""
    manager = worker.memory_manager
    if manager.memory_pause_fraction is not False:
        manager.memory_pause_fraction = max(manager.memory_pause_fraction, fraction)


def put_off_termination(begin: Callable[[Callable[[], None]], None]) -> bool:
    """Call `begin` on the running event loop when SIGTERM comes, with what Dask's command would have done.

    The next SIGTERM does that at once, and so does SIGINT. Return False where nothing was changed: in processes that
    Dask's command does not run, such as that of a user's own program, or that of a worker with a nanny, which ends
    it in this way if it takes too much memory.
    """
    stock: Any = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not _is_of_dask(stock):
        return False
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: Any) -> None:
        # As in Dask's own handler: nothing may be printed in here.
        signal.signal(number, stock)
        loop.call_soon_threadsafe(begin, partial(stock, number, frame))

    signal.signal(signal.SIGTERM, handle)
    return True


def leave_interrupts_to_the_command() -> None:
    """Let Ctrl-C do nothing where SIGINT was blocked when this process was started, as `dask supreme up` does.

    A terminal sends it to all processes, of which each would print where it was. Here that is for the command, which
    ends this process. A handler rather than a block, since programs that tasks start would inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def _is_of_dask(handler: Any) -> bool:
    return isinstance(handler, FunctionType) and handler.__module__ in (_SIGNALS, __name__)


def attributed(measured: Measured, account: Account) -> Measured:
    """Return what a task took that others overlapped: exactly, if all of it could be told from theirs."""
    cpu, memory, exact, after = measured
    if exact or memory is None:
        return measured
    if account.exact:
        return cpu, account.peak, True, after
    return cpu, min(memory, account.bound), False, after


def corrected(measured: Measured, gained: int, children: int = 0) -> Measured:
    """Return what a task took with its children, though its worker `gained` stored bytes meanwhile, or lost some.

    What was dropped or spilled hides as much of what the task took; what was fetched looks as if the task took it.
    """
    cpu, memory, exact, after = measured
    if memory is None:
        return measured
    is_quiet = abs(gained) <= _NOISE
    return cpu, memory + children + (0 if is_quiet else max(-gained, 0)), exact and is_quiet, after


def _stored(worker: Worker) -> int:
    """Return the bytes of results in a worker's memory."""
    spilled = getattr(worker.data, "spilled_total", None)
    return worker.state.nbytes - (spilled.memory if spilled is not None else 0)


def _running() -> tuple[Worker, TaskState | None]:
    """Return the worker that this thread belongs to, and its state of the task that the thread runs."""
    running: Any = getattr(distributed.worker, _THREAD_STATE)
    worker: Worker = running.execution_state["worker"]
    return worker, worker.state.tasks.get(running.key)
