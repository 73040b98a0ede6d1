"""The only file that overrides distributed's worker, guarded by a check of what it overrides.

One function runs every ordinary task in its thread; it is wrapped, once per process. Coroutines and actors run
elsewhere, and are not measured. One number is raised: how full a worker may be before it pauses. And where Dask's
command handles SIGTERM, what it does is put off.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from functools import cache, partial
from types import FunctionType
from typing import Any

import distributed.worker
from distributed.exceptions import Reschedule
from distributed.worker import Worker
from distributed.worker_state_machine import TaskState

from supreme_dask import compatibility
from supreme_dask.core.profiles import MEASURED_KEY
from supreme_dask.worker.children import Children
from supreme_dask.worker.measure import Measured, Meter

# Private names, so they are looked up when the meter is installed, not when this module is imported.
_RUN = "_run_task_simple"
_SIGNALS = "distributed._signals"
_THREAD_STATE = "thread_state"
_ARGUMENTS = ("task", "data", "time_delay")
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
        try:
            message, measured = meter.run(state.prefix, partial(stock, task, data, time_delay))
        finally:
            peak, ended = children.end()
        if ended and message["op"] == "task-erred":
            # Because its children were ended, not by its own fault: the scheduler decides how it is tried again.
            worker.loop.add_callback(
                worker.batched_send, {"op": "supreme-overgrown", "key": state.key, "process": ended}
            )
            message["actual_exception"] = Reschedule()
        if measured is not None:
            state.metadata[MEASURED_KEY] = corrected(measured, _stored(worker) - before, peak)
        return message

    setattr(distributed.worker, _RUN, run)
    return children


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


def _is_of_dask(handler: Any) -> bool:
    return isinstance(handler, FunctionType) and handler.__module__ == _SIGNALS


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
