"""The only file that overrides or writes distributed's scheduler, guarded by a check of what it overrides.

Ten bound methods of the running scheduler are replaced, and handlers of messages. The transition table holds
raw functions that look these methods up on the instance, so assigning to the instance is enough, and deleting
the attribute restores what was there.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from time import time
from typing import Any, Literal

from dask.typing import Key
from distributed.active_memory_manager import (
    ActiveMemoryManagerExtension,
    ActiveMemoryManagerPolicy,
    ReduceReplicas,
    Suggestion,
    SuggestionGenerator,
)
from distributed.core import Status
from distributed.scheduler import NoValidWorkerError, NoWorkerError, Recs, Scheduler, TaskState, WorkerState

from supreme_dask.core.wire import MEASURED_KEY

log = logging.getLogger(__name__)

RECALLED = "supreme-recall"
_MOVING = "moving"

SIGNATURES = {
    "is_rootish": ("self", "ts"),
    "check_idle_saturated": ("self", "ws", "occ"),
    "decide_worker_non_rootish": ("self", "ts"),
    "stimulus_queue_slots_maybe_opened": ("self", "stimulus_id"),
    "bulk_schedule_unrunnable_after_adding_worker": ("self", "ws"),
    "_check_unrunnable_task_timeouts": ("self", "timestamp", "recommendations", "stimulus_id"),
    "_task_to_msg": ("self", "ts"),
    "handle_long_running": ("self", "key", "worker", "run_id", "compute_duration", "stimulus_id"),
    "transitions": ("self", "recommendations", "stimulus_id"),
    "transition": ("self", "key", "finish", "stimulus_id", "kwargs"),
    "handle_worker_status_change": ("self", "status", "worker", "stimulus_id"),
    "close_worker": ("self", "worker"),
    "adaptive_target": ("self", "target_duration"),
    "workers_to_close": ("self", "memory_ratio", "n", "key", "minimum", "target", "attribute"),
    "retire_workers": ("self", "workers", "names", "close_workers", "remove", "stimulus_id", "kwargs"),
    "scatter": ("self", "data", "workers", "client", "broadcast", "timeout"),
    "remove_worker": ("self", "address", "stimulus_id", "expected", "close"),
    "request_acquire_replicas": ("self", "addr", "keys", "stimulus_id"),
    "_reschedule": ("self", "key", "worker", "stimulus_id"),
}
"""What we replace and call, as we know it."""


class Hands:
    """Everything that is done to one scheduler.

    Parameters
    ----------
    scheduler
        The running scheduler.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._replacements: dict[str, Any] = {}
        self._handlers: dict[str, Any] = {}
        self._answers: dict[str, Any] = {}
        self._reduced: set[ActiveMemoryManagerPolicy] = set()
        self._cordoned: set[str] = set()
        self.scatters: set[object] = set()
        self._spared: dict[str, set[Key]] = {}

    async def prepare(self, handlers: Mapping[str, Callable[..., None]]) -> None:
        """Stop what would interfere, and replace handlers of messages from workers."""
        await self._stop_stealing()
        for op, handler in handlers.items():
            # Without a stock one: a message may still be on its way when we are gone.
            self._handlers[op] = self._scheduler.stream_handlers.get(op, _ignore)
            self._scheduler.stream_handlers[op] = handler

    def answer(self, answers: Mapping[str, Callable[..., Any]]) -> None:
        """Answer calls of clients and workers, and count data that clients scatter while it is on its way."""
        stock = self._scheduler.handlers["scatter"]

        async def scatter(**told: Any) -> Any:
            token = object()
            self.scatters.add(token)
            try:
                return await stock(**told)
            finally:
                self.scatters.discard(token)

        for op, handler in {**answers, "scatter": scatter}.items():
            self._answers[op] = self._scheduler.handlers.get(op)
            self._scheduler.handlers[op] = handler

    def install(self, replacements: Mapping[str, Callable[..., Any]]) -> None:
        """Replace methods of the scheduler."""
        self._replacements = dict(replacements)
        for name, replacement in replacements.items():
            setattr(self._scheduler, name, replacement)

    def uninstall(self) -> None:
        """Give the scheduler its own methods back."""
        for why in list(self._spared):
            self.spare_no_more(why)
        for name in self._replacements:
            self._scheduler.__dict__.pop(name, None)
        for ws in self._scheduler.workers.values():
            self._scheduler.check_idle_saturated(ws)
        self._scheduler.stream_handlers.update(self._handlers)
        for op, handler in self._answers.items():
            if handler is None:
                del self._scheduler.handlers[op]
            else:
                self._scheduler.handlers[op] = handler

    async def _stop_stealing(self) -> None:
        # Stealing moves tasks past every count of resources. `stop` waits for what is in flight.
        # It stays among the extensions: Dask's dashboard looks for it there.
        stealing = self._scheduler.extensions.get("stealing")
        if stealing is not None:
            await stealing.stop()
            for name, plugin in list(self._scheduler.plugins.items()):
                if plugin is stealing:
                    del self._scheduler.plugins[name]

    # ---------------------------------------------------------------------------------- tasks
    def place(self, keys: Iterable[Key]) -> None:
        """Let waiting tasks go through `decide_worker_non_rootish`, first key first, in one batch of messages."""
        tasks = self._scheduler.tasks
        # A validating scheduler lets no actor go on from where it waits; taken back, it is decided anew at once.
        batch: Recs = {key: "released" if tasks[key].actor else "processing" for key in reversed(list(keys))}
        self._scheduler.transitions(batch, f"supreme-place-{time()}")

    def place_all(self) -> None:
        """Let all waiting tasks be decided anew."""
        self.place([ts.key for ts in self._scheduler.unrunnable])

    def release(self, keys: Iterable[Key]) -> None:
        """Take tasks back into the queue; whoever still wants them will see them decided anew."""
        self._scheduler.transitions(dict.fromkeys(keys, "released"), f"supreme-release-{time()}")

    def recall(self, address: str, keys: Iterable[Key]) -> None:
        """Ask a worker to give back tasks that it has not started; it answers ``steal-response``."""
        comm = self._scheduler.stream_comms.get(address)
        if comm is not None:
            comm.send(*({"op": "steal-request", "key": key, "stimulus_id": RECALLED} for key in keys))

    def recalled(self, key: Key, address: str) -> None:
        """Take back a task that its worker gave up."""
        self._scheduler._reschedule(key, worker=address, stimulus_id=RECALLED)

    def time_out(self, keys: Iterable[Key], recommendations: Recs, stimulus_id: str) -> set[Key]:
        """Let waiting tasks fail as Dask's ``no-workers-timeout`` says; return them."""
        failed = set()
        timeout = self._scheduler.no_workers_timeout or 0.0
        for key in keys:
            ts = self._scheduler.tasks[key]
            error: Exception = NoWorkerError(key, timeout)
            if self._scheduler.workers:
                restrictions = set(ts.host_restrictions or ()), set(ts.worker_restrictions or ())
                resources = dict((ts.annotations or {}).get("resources") or {})
                error = NoValidWorkerError(key, *restrictions, resources, timeout)
            recommendations.update(self._err(key, error, stimulus_id))
            failed.add(key)
        return failed

    def fail(self, key: Key, error: Exception) -> None:
        """Let a waiting task fail with an error that any client can read."""
        stimulus = f"supreme-fail-{time()}"
        self._scheduler.transitions(self._err(key, error, stimulus), stimulus)

    def _err(self, key: Key, error: Exception, stimulus_id: str) -> Recs:
        ts = self._scheduler.tasks[key]
        is_actor, ts.actor = ts.actor, False  # a validating scheduler expects of no actor that it waits
        told = {"exception": pickle.dumps(error), "cause": key}
        recommendations = self._scheduler.transition(key, "erred", stimulus_id, **told)
        ts.actor = is_actor
        return recommendations

    # -------------------------------------------------------------------------------- workers
    def cordon(self, address: str) -> None:
        """Let nobody choose a worker, for tasks or for data. The worker goes on and knows nothing of it."""
        ws = self._scheduler.workers.get(address)
        if ws is not None and ws.status == Status.running:
            self._cordoned.add(address)
            self._scheduler.handle_worker_status_change(Status.closing_gracefully, ws, f"supreme-cordon-{time()}")

    def uncordon(self, address: str) -> None:
        """Let a worker be chosen again; one that somebody else lets retire goes on with that."""
        ws = self._scheduler.workers.get(address)
        if address in self._cordoned and ws is not None and ws.status == Status.closing_gracefully:
            self._scheduler.handle_worker_status_change(Status.running, ws, f"supreme-uncordon-{time()}")
        self._cordoned.discard(address)

    def gone(self, address: str) -> None:
        """Forget a worker that is gone."""
        self._cordoned.discard(address)

    def close(self, address: str) -> None:
        """Let a worker close, with its nanny."""
        self._scheduler.close_worker(address)

    async def lose(self, address: str, end: Callable[[], Awaitable[None]]) -> None:
        """Remove a worker that is lost. No task is blamed: all of them are run elsewhere.

        Parameters
        ----------
        end
            Ends its process, if that can be reached. A worker that sees its connection close first takes its nanny
            with it, and no other would be started.
        """
        comm = self._scheduler.stream_comms.get(address)
        if comm is None:
            return
        self.acquit([ts.key for ts in self._scheduler.workers[address].processing])
        await self._scheduler.remove_worker(address, close=False, stimulus_id=f"supreme-lose-{time()}")
        await end()
        # If it lives, this or the answer to its next heartbeat lets it close. Left open, the end of this connection
        # would some time remove whoever has the address by then.
        comm.abort()  # type: ignore[no-untyped-call]

    # -------------------------------------------------------------------------------- results
    def copy(self, address: str, keys: Iterable[Key], *, why: str | None = None) -> None:
        """Let a worker copy results from those that hold them; with a reason, they are spared."""
        found = [key for key in keys if self._scheduler.tasks[key].who_has]
        if address in self._scheduler.stream_comms:
            self._scheduler.request_acquire_replicas(address, found, stimulus_id=f"supreme-copy-{time()}")
            if why is not None:
                self._spare(why, found)

    def move(self, places: Iterable[tuple[Key, str]]) -> None:
        """Let workers copy results that are to be there, and no longer where they are."""
        found = list(places)
        self._spare(_MOVING, (key for key, _ in found))
        self._suggest("replicate", found)

    def moved(self, places: Iterable[tuple[Key, str]]) -> None:
        """Let workers drop results of which there is a copy now, unless they are being read there."""
        self._suggest("drop", places)

    def end_moves(self, keys: Iterable[Key]) -> None:
        """Leave to Dask what becomes of results that are being moved."""
        self._spared.get(_MOVING, set()).difference_update(keys)
        if not self._spared.get(_MOVING):
            self.spare_no_more(_MOVING)

    def spared(self, why: str) -> Set[Key]:
        """Return the results of which Dask leaves more than one copy, for a reason."""
        return self._spared.get(why, set())

    def spare_no_more(self, why: str) -> None:
        """Let Dask drop the copies that were made for a reason."""
        self._spared.pop(why, None)
        manager = self._scheduler.extensions.get("amm")
        if manager is not None and not any(self._spared.values()):
            manager.policies -= {policy for policy in manager.policies if isinstance(policy, _ReduceOthers)}
            manager.policies |= self._reduced
            self._reduced = set()

    def forget(self, key: Key) -> None:
        """Drop what is known of a task that is gone."""
        for keys in self._spared.values():
            keys.discard(key)

    def _spare(self, why: str, keys: Iterable[Key]) -> None:
        spared = self._spared.setdefault(why, set())
        spared.update(keys)
        manager = self._scheduler.extensions.get("amm")
        if spared and manager is not None and not self._reduced:
            self._reduced = {policy for policy in manager.policies if type(policy) is ReduceReplicas}
            manager.policies -= self._reduced
            if self._reduced:
                manager.add_policy(_ReduceOthers(self._spared))

    def _suggest(self, op: Literal["replicate", "drop"], places: Iterable[tuple[Key, str]]) -> None:
        # Dask's own memory manager knows what is read where, and never drops the last copy.
        workers, tasks = self._scheduler.workers, self._scheduler.tasks
        found = [Suggestion(op, tasks[key], {workers[address]}) for key, address in places if address in workers]
        if found:
            policy = _Suggest(found)
            ActiveMemoryManagerExtension(self._scheduler, {policy}, register=False, start=False).run_once()

    def acquit(self, keys: Iterable[Key]) -> None:
        """Take back, or in advance, what the death of a worker counts against its tasks."""
        for key in keys:
            ts = self._scheduler.tasks.get(key)
            if ts is not None and ts.suspicious > -1:
                ts.suspicious -= 1
                ts.prefix.suspicious -= 1

    def warn(self, sentence: str) -> None:
        """Show a warning in every client; it needs nothing of ours there."""
        log.warning("%s", sentence)
        self._scheduler.log_event("warn", {"message": pickle.dumps(sentence)})

    # ----------------------------------------------------------------------------------- state
    def note_idle(self, ws: WorkerState, occ: float = -1.0) -> None:  # noqa: ARG002  (stock code passes it)
        """Keep the scheduler's list of idle workers, in the place of its `check_idle_saturated`.

        That one is called twice per task and also finds whom to steal from and where queued tasks may go; with
        neither, an eighth of the scheduler's time was spent for nothing.
        """
        idle = self._scheduler.idle
        if ws.status == Status.running and len(ws.processing) < ws.nthreads:
            if ws.address not in idle:
                idle[ws.address] = ws
        elif ws.address in idle:
            del idle[ws.address]

    def take_restrictions(self, ts: TaskState) -> None:
        """Keep from stock Dask what a task needs."""
        ts.resource_restrictions = None

    def give_restrictions(self, ts: TaskState, resources: Mapping[str, float]) -> None:
        """Tell stock Dask what a task needs; it subtracts that again when the task ends."""
        ts.resource_restrictions = dict(resources) or None
        if ts.processing_on is not None:
            used = ts.processing_on.used_resources
            used.update({name: used.get(name, 0) + amount for name, amount in resources.items()})

    def forget_measurement(self, ts: TaskState) -> None:
        """Drop what the worker told from the metadata that the scheduler keeps per task."""
        if ts.metadata is not None and ts.metadata.pop(MEASURED_KEY, None) is not None and not ts.metadata:
            ts.metadata = None

    def ask(self, address: str, message: Mapping[str, Any]) -> None:
        """Send a message to a worker."""
        comm = self._scheduler.stream_comms.get(address)
        if comm is not None:
            comm.send(dict(message))


class _Suggest(ActiveMemoryManagerPolicy):
    """Suggestions that were made elsewhere."""

    def __init__(self, suggestions: list[Suggestion]) -> None:
        self._suggestions = suggestions

    def run(self) -> SuggestionGenerator:
        yield from (one for one in self._suggestions)  # what was decided is sent back: a list could not take it


class _ReduceOthers(ReduceReplicas):
    """Stock Dask's rule that a result is kept once, for all but some."""

    def __init__(self, spared: Mapping[str, set[Key]]) -> None:
        self._spared = spared

    def run(self) -> SuggestionGenerator:
        yield from (one for one in super().run() if not any(one.ts.key in keys for keys in self._spared.values()))


def _ignore(**_: Any) -> None:
    pass
