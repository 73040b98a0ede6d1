"""Tasks find their workers: what the core admits is sent, what it holds waits, and what it takes back comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from dask.typing import Key
from distributed.scheduler import Scheduler, TaskState, WorkerState

from supreme_dask.core.admission import Admission
from supreme_dask.core.instructions import Fail, Instruction, Recall, Warn
from supreme_dask.core.shapes import Task
from supreme_dask.scheduler import observe, recording
from supreme_dask.scheduler.act import Hands
from supreme_dask.scheduler.demands import Demands
from supreme_dask.scheduler.ghosts import Ghosts

_NOT_STARTED = ("ready", "constrained", "waiting")


class Placing:
    """Places the tasks of one scheduler.

    Attributes
    ----------
    guard : callable
        Makes of a function one whose failure leaves plain Dask running.
    on_held : callable
        Called for each task that has to wait.
    is_scaled : callable
        Tells whether workers are made for what waits, by somebody who says himself what none could ever run.
    """

    def __init__(
        self, scheduler: Scheduler, admission: Admission, demands: Demands, ghosts: Ghosts, hands: Hands
    ) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._demands = demands
        self._ghosts = ghosts
        self._hands = hands
        self._decided: dict[Key, WorkerState] = {}
        self._recalled: dict[Key, str] = {}  # the worker that was asked for it and has not answered
        self._fill_planned = False
        self.guard: Callable[[Callable[..., None]], Callable[..., None]] = lambda call: call
        self.on_held: Callable[[], None] = lambda: None
        self.is_scaled: Callable[[], bool] = lambda: False

    # --------------------------------------------------------------------------------- one task
    def decide(self, ts: TaskState) -> WorkerState | None:
        """Return the worker of a task that is ready, or None to hold it."""
        decided = self._decided.pop(ts.key, None)
        if decided is not None or ts.state == "no-worker":
            return decided
        if ts.key in self._demands.errors:
            error = self._demands.errors[ts.key]
            self._fail_soon(ts.key, str(error), MemoryError if isinstance(error, MemoryError) else ValueError)
            return None
        task = observe.task(ts, self._demands.of(ts), alone=ts.key in self._demands.alone)
        address = self._ghosts.home(ts.key)
        if address is not None and observe.may_run(self._scheduler, task, address):
            # Its cancelled run is still going on there; the worker will take it up again.
            self._ghosts.resume(ts.key)
            return self._scheduler.workers[address]
        return self._place(task)

    def _place(self, task: Task) -> WorkerState | None:
        while (address := self._admission.arrive(task, monotonic())) is not None:
            if observe.is_running(self._scheduler, address):
                return self._scheduler.workers[address]
            # It is leaving, or paused, and nobody has told us yet.
            self._admission.finish(task.key, None, monotonic())
            self._admission.close_worker(address)
        if self._admission.ledger.gained:
            self.fill_soon()
        self.on_held()
        return None

    def _fail_soon(self, key: Key, sentence: str, kind: type[Exception] = ValueError) -> None:
        # Not now: the scheduler is in the middle of a transition of this very task. A built-in error, because
        # a client without this package could not read one of ours.
        asyncio.get_running_loop().call_soon(self.guard(self._fail_held), key, kind(sentence))

    def _fail_held(self, key: Key, error: Exception) -> None:
        ts = self._scheduler.tasks.get(key)
        if ts is not None and ts.state == "no-worker":
            self._hands.fail(key, error)
            recording.tally(self._scheduler, "reject", str(error))

    # ------------------------------------------------------------------------------- all that wait
    def fill(self, *, stimulus_id: str = "") -> None:  # noqa: ARG002  (the scheduler passes it)
        """Send waiting tasks to the workers that gained room."""
        ledger = self._admission.ledger
        if not ledger.gained:
            return
        # Closing one may let others gain.
        while closed := [row for row in ledger.gained if not observe.is_running(self._scheduler, row.address)]:
            for row in closed:
                self._admission.close_worker(row.address)
        placed = self._admission.fill(monotonic())
        if placed:
            workers = self._scheduler.workers
            self._decided.update((key, workers[address]) for key, address in placed)
            self._hands.place([key for key, _ in placed])

    def fill_soon(self) -> None:
        """Do that when the scheduler has done what it is doing."""
        if not self._fill_planned:
            self._fill_planned = True
            asyncio.get_running_loop().call_soon(self.guard(self._fill_now))

    def _fill_now(self) -> None:
        self._fill_planned = False
        self.fill()

    # --------------------------------------------------------------------------------- taking back
    def carry_out(self, instruction: Instruction) -> None:
        """Do what the core asks for."""
        match instruction:
            case Recall(address, keys):
                unasked = [key for key in keys if self._recalled.get(key) != address]
                self._recalled.update(dict.fromkeys(unasked, address))
                self._hands.recall(address, unasked)
            case Warn(_, bound) if self.is_scaled() and not bound:
                pass  # a larger worker is on its way, or scaling says that there can be none
            case Warn(sentence):
                self._hands.warn(sentence)
                recording.record(self._scheduler, "hold", sentence)
            case Fail(keys, sentence):
                recording.record(self._scheduler, "reject", sentence, tasks=len(keys))
                for key in keys:
                    self._hands.fail(key, TimeoutError(sentence))

    def recall_all(self, address: str) -> None:
        """Ask a worker to give back all that it has not begun."""
        self.carry_out(Recall(address, observe.processing(self._scheduler, address)))

    def recall_answered(self, key: Key, state: str | None, worker: str) -> None:
        """Take in what a worker answered; `state` is the one in which it had the task."""
        if self._recalled.get(key) == worker:  # another may answer what it was asked long ago
            del self._recalled[key]
            if state in _NOT_STARTED:
                self._hands.recalled(key, worker)
                self.fill_soon()

    def ended(self, key: Key) -> None:
        """Note that a task is no longer on the worker that was asked for it."""
        self._recalled.pop(key, None)
