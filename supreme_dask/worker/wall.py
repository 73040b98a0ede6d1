"""The wall of a worker: its tasks cannot take more memory than it has, and so nobody has to end it.

A thread looks at the memory of the process, keeps the limit of what may be mapped where `core.wall` says, gives what
was taken to the tasks that did something meanwhile, and raises ``MemoryError`` in the thread of one that must stop.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from distributed.core import error_message
from distributed.worker_state_machine import TaskState

from supreme_dask.core.keys import Key
from supreme_dask.core.profiles import RESERVED_KEY
from supreme_dask.core.resources import MEMORY, format_amount
from supreme_dask.core.wall import TELLING, Account, Accounts, Allowance, Footprint, Levels, Rise, pause
from supreme_dask.worker.hits import asked, hit, let_go
from supreme_dask.worker.process import DataLimit, Reader, trim

_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
_CPU = 1e-4  # seconds; less cannot fill what is worth asking about
_FRESH = 0.005  # seconds; what was seen so lately is not looked at again for a short task
_HURRY = 5e-4  # seconds that a thread keeps Python's lock while others wait; ten times as long elsewhere
_TRIM_EVERY = 0.1  # seconds; giving back what an allocator keeps costs milliseconds
_MOMENT, _MOMENTS = 0.05, 10  # seconds, times; by then what an ended task held is free, or never will be
_LONG_RUNNING = "long-running"


class Stop(NamedTuple):
    """Why a task is handed back: the bytes that it had, that it asked for, and that are free without it."""

    held: int
    asked: int
    free: int


class Ran(NamedTuple):
    """How a task ended, what it took, and if it is handed back, why."""

    message: dict[str, Any]
    account: Account
    stop: Stop | None


class Wall:
    """Guards the memory of this process from the tasks that run in it.

    Parameters
    ----------
    levels
        How far it may go.
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self._lock = threading.Lock()
        self._accounts = Accounts()
        self._states: dict[int, TaskState] = {}
        self._seen: dict[int, tuple[int, int, float]] = {}  # frame, instruction and processor time, by thread
        self._reader, self._limit = Reader(), DataLimit()
        self._is_up = True
        self._spared = 0
        self._hurries, self._interval = False, sys.getswitchinterval()
        self._memory = self._reader.read()
        self._looked = time.monotonic()
        self._footprint, self._rise = Footprint(self._memory.mapped, self._memory.held), Rise(levels)
        self._allowance = Allowance(levels)
        self._look()
        threading.Thread(target=self._watch, daemon=True, name="supreme-wall").start()

    def take_down(self) -> None:
        """Limit this process no more."""
        with self._lock:
            self._is_up = False
            self._limit.lift()

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Limit nothing meanwhile: for what the worker itself must do, and takes no more than was counted."""
        with self._lock:
            self._spared += 1
            self._limit.lift()
        try:
            yield
        finally:
            with self._lock:
                self._spared -= 1
                self._sample()

    @property
    def is_up(self) -> bool:
        """Whether it stands."""
        return self._is_up

    def grown(self) -> list[tuple[Key, int]]:
        """Return the running tasks that hold more than was told, with the bytes; they are told with that."""
        with self._lock:
            return self._accounts.grown()

    def run(self, state: TaskState, call: Callable[[], dict[str, Any]]) -> Ran:
        """Run a task in this thread; if it did not get its memory, free what it holds and say so."""
        thread, account, stop = threading.get_ident(), _account(state), None
        self._begin(thread, state, account)
        try:
            message = self._attempt(thread, call)
            if message["op"] == "task-erred":
                stop = self._judge(account, message)
        finally:
            self._end(thread)
        return Ran(message, account, stop)

    def _begin(self, thread: int, state: TaskState, account: Account) -> None:
        with self._lock:
            self._look_if_due()
            self._accounts.begin(thread, account)
            self._states[thread] = state

    def _attempt(self, thread: int, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the message of a task, whenever it is told to stop."""
        message: dict[str, Any] | None = None
        while True:
            try:
                message = message or call()
                self._forbid_stops(thread)
            except MemoryError as error:
                # The stop came late. If there is a result, it is not lost.
                message = message or _message(thread, error)
            else:
                return message

    def _forbid_stops(self, thread: int) -> None:
        with self._lock:
            self._states.pop(thread, None)
            if self._accounts[thread].stops:
                _raise_in(ctypes.c_ulong(thread), None)  # one that is still to come is called off

    def _end(self, thread: int) -> None:
        with self._lock:
            self._states.pop(thread, None)
            self._look_if_due(ending=thread, fresh=0.0 if self._accounts[thread].most > TELLING else _FRESH)
            self._accounts.end(thread)
            self._seen.pop(thread, None)

    def _judge(self, account: Account, message: dict[str, Any]) -> Stop | None:
        """Return why a task that failed is handed back; None if its error is its own."""
        failed: BaseException = message["actual_exception"]
        found = hit(failed)
        if found is None and not account.stops:
            return None
        size = asked(found) if found is not None else 0
        with self._lock:
            kept = self._accounts.is_kept(account, size, self.levels.limit)
        if kept:
            if found is failed:
                _explain(message, failed, account, self.levels.limit, self.used())
            return None
        del found
        return Stop(account.surely, size, self._freed(account, message, size))

    def _freed(self, account: Account, message: dict[str, Any], size: int) -> int:
        """Free what a task holds; return the bytes that are free then."""
        before = self.used()
        let_go(message)
        trim()
        if before - (used := self.used()) < account.surely // 2:
            gc.collect()  # what its own objects make circles of
            trim()
            used = self.used()
        if account.alone:
            used = self._settled(account.surely + size if size else self.levels.limit)
        return max(self.levels.stop - used, 0)

    def _settled(self, size: int) -> int:
        """Wait until so many bytes may be mapped, or for a moment; return the bytes that are used then."""
        used = self.used()
        for _ in range(_MOMENTS):
            if self._limit.now - self._memory.mapped >= size:
                break
            time.sleep(_MOMENT)
            used = self.used()
        return used

    def used(self) -> int:
        """Return the bytes that this process uses now, without the files that it only reads."""
        with self._lock:
            self._sample()
            return self._memory.used

    def _watch(self) -> None:
        wait = trimmed = 0.0
        while self._is_up:
            time.sleep(wait)
            with suppress(MemoryError):
                with self._lock:
                    wait = self._look()
                near = self._memory.used > self.levels.near
                self._hurry(near)
                if near and time.monotonic() - trimmed > _TRIM_EVERY:
                    trim()  # without the lock, and without Python's: tasks go on
                    trimmed, wait = time.monotonic(), 0.0
        self._hurry(False)

    def _hurry(self, near: bool) -> None:
        """Have threads give up Python's lock sooner near the wall: each that computes is one more to wait for."""
        if near != self._hurries:
            self._hurries = near
            sys.setswitchinterval(_HURRY if near else self._interval)

    def _look(self) -> float:
        """Move the limit, and stop a task when it is time to; return the seconds until the next look."""
        if not self._is_up:
            return 0.0
        change = self._sample()
        used, running = self._memory.used, len(self._accounts)
        if self._rise.look(used + self._accounts.promised):
            self._stop_one()
        return pause(self.levels.stop - used, running=running, still=not change)

    def _look_if_due(self, ending: int | None = None, fresh: float = _FRESH) -> None:
        """Give what was taken so far to those that ran so far."""
        if time.monotonic() - self._looked > fresh:
            self._sample(ending)

    def _sample(self, ending: int | None = None) -> int:
        """Give what was taken or freed since the last look to the threads that did something meanwhile; return it."""
        now = self._memory = self._reader.read()
        self._looked = time.monotonic()
        change = self._footprint.look(now.mapped, now.held, self._looked, idle=not self._accounts)
        if change and self._accounts:
            active = self._active()
            self._accounts.change(change, [ending] if ending is not None and change < 0 else active)
        if self._is_up and not self._spared:
            self._limit.set(self._allowance.look(now.mapped, now.used, self._footprint.pending, self._looked))
        return change

    def _active(self) -> list[int]:
        found = []
        for thread, (frame, instruction) in self._places().items():
            at = frame, instruction, _processor_time(thread)
            before, self._seen[thread] = self._seen.get(thread), at
            if before is None or at[:2] != before[:2] or at[2] - before[2] > _CPU:
                found.append(thread)
        return found

    def _places(self) -> dict[int, tuple[int, int]]:
        """Return where the threads of running tasks are: in which frame, at which instruction."""
        frames = sys._current_frames()
        found = {one: (id(frames.get(one)), getattr(frames.get(one), "f_lasti", 0)) for one in self._accounts}
        # Our own frame is among them and would refer to itself: what the others hold would live until a collection.
        frames.clear()
        return found

    def _stop_one(self) -> None:
        states = self._states
        unable = [one for one in self._accounts if one not in states or states[one].state == _LONG_RUNNING]
        thread = self._accounts.victim(unable)
        if thread is not None:
            self._accounts[thread].stops += 1
            _raise_in(ctypes.c_ulong(thread), ctypes.py_object(MemoryError))


def _account(state: TaskState) -> Account:
    told = (state.annotations or {}).get(RESERVED_KEY)
    reserved, last, firm = told if told is not None else (None, False, False)
    return Account(state.key, time.monotonic(), reserved, bool(last), bool(firm))


def _processor_time(thread: int) -> float:
    return time.clock_gettime(time.pthread_getcpuclockid(thread))


def _message(thread: int, error: BaseException) -> dict[str, Any]:
    """Return what Dask would have sent of an error that it did not see."""
    now = time.time()
    told = {"op": "task-erred", "actual_exception": error, "thread": thread, "start": now, "stop": now}
    return {**error_message(error), **told}


def _explain(message: dict[str, Any], error: BaseException, account: Account, limit: int, used: int) -> None:
    """Say in the error that a user sees why a task got no memory, if that says nothing: it comes out of nothing."""
    if not error.args:
        held, free, most = (format_amount(MEMORY, size) for size in (account.surely, max(limit - used, 0), limit))
        error.args = (
            f"{account.key!r} asked for more memory than was left: it held {held}, and {free} of the {most} of its"
            " worker were free: give it a larger worker, or less to do at once",
        )
        message.update({name: value for name, value in error_message(error).items() if name.startswith("exception")})
