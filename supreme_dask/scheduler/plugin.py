"""The scheduler plugin: event → observe → decide → act.

If anything here fails, the scheduler gets its own methods back, says so once, and goes on as plain Dask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from dask.typing import Key
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol.pickle import dumps
from distributed.scheduler import Recs, Scheduler, TaskState, WorkerState
from tornado.ioloop import PeriodicCallback

from supreme_dask import compatibility, config
from supreme_dask.core import wire
from supreme_dask.core.admission import Admission
from supreme_dask.core.profiles import RESERVED_KEY
from supreme_dask.core.rows import Reservation
from supreme_dask.errors import IncompatibleDaskError
from supreme_dask.scheduler import exchange, observe, recording, takeover
from supreme_dask.scheduler.act import RECALLED, SIGNATURES, Hands
from supreme_dask.scheduler.autoscalers import Autoscalers
from supreme_dask.scheduler.demands import Demands
from supreme_dask.scheduler.draining import Drains
from supreme_dask.scheduler.ghosts import Ghosts
from supreme_dask.scheduler.guard import guarded, or_both_fail, or_stock, safely
from supreme_dask.scheduler.inbox import Inbox, answering
from supreme_dask.scheduler.kills import MemoryKills
from supreme_dask.scheduler.memory import MemoryWatch
from supreme_dask.scheduler.placing import Placing
from supreme_dask.scheduler.rebalancing import Rebalancing
from supreme_dask.scheduler.relief import Relief
from supreme_dask.scheduler.scaling import ScalabilityEngine
from supreme_dask.scheduler.silence import SilenceWatch
from supreme_dask.scheduler.walls import Walls
from supreme_dask.scheduler.web.mounting import Web
from supreme_dask.worker.notice import NannyNotice, WorkerNotice
from supreme_dask.worker.plugin import MeterPlugin

log = logging.getLogger(__name__)

_MOVED_ON = frozenset({"released", "waiting", "memory", "erred", "forgotten"})
_LEFT_BY_ITSELF = ("task-erred", "reschedule", RECALLED)

R = TypeVar("R")


class SupremePlugin(SchedulerPlugin):
    """Places tasks where they fit.

    ``--preload supreme_dask.preload`` adds it to a scheduler; ``client.register_plugin(SupremePlugin())`` adds
    it to one that runs.

    Attributes
    ----------
    active : bool
        Whether it places tasks. Not before `start`, nor after it has retreated.
    admission : Admission
        Queues and ledger.
    drains : Drains
        Workers on their way out.
    scaling : ScalabilityEngine
        How many workers there should be.
    """

    name = "supreme"
    idempotent = True

    def __init__(self) -> None:
        self.active = False
        self.admission = Admission(config.settings())
        self._inbox = Inbox()

    # --------------------------------------------------------------------------- begin and end
    async def start(self, scheduler: Scheduler) -> None:
        """Take over placement, if this distributed is one that we know."""
        self._scheduler = scheduler
        self._hands = Hands(scheduler)
        self._demands = Demands(config.demands())
        tick = config.seconds("tick") or 0.05
        self._memory = MemoryWatch(self.admission, config.fraction("memory.safe-fraction"), config.network())
        self._ghosts = Ghosts(self.admission, self._hands)
        self._walls = Walls(self.admission, wanted=config.wall() is not None)
        self._kills = MemoryKills(scheduler, self.admission, self._demands, self._hands, self._memory.base)
        self._relief = Relief(scheduler, self.admission, self._hands, self._memory.base)
        self._rebalancing = Rebalancing(scheduler, self.admission, self._hands, config.rebalance())
        self._silence = SilenceWatch(scheduler, self._hands, self._ghosts, config.seconds("silence") or None)
        self._placing = Placing(scheduler, self.admission, self._demands, self._ghosts, self._hands)
        self._placing.guard = partial(guarded, self)
        self.drains = Drains(scheduler, self.admission, self._hands, self._placing.recall_all)
        self.scaling = ScalabilityEngine(scheduler, self.admission, self.drains, self._hands)
        self._web = Web(scheduler, self.admission, self.scaling)
        self._kills.launchable = self.scaling.largest_to_launch
        self._placing.on_held = self._held
        self._placing.is_scaled = lambda: self.scaling.wanted and self.scaling.rules.looks_at_demand
        retire = partial(Scheduler.retire_workers, scheduler)
        self._autoscalers = Autoscalers(scheduler, self.drains, self.scaling, retire)
        try:
            compatibility.check(type(scheduler), SIGNATURES)
        except IncompatibleDaskError as error:
            log.warning("This distributed is not one that supreme-dask knows; plain Dask places: %s", error)
            return
        await self._hands.prepare(self._handlers())
        await self._send_plugins(scheduler)
        # From here on nothing is awaited: the scheduler calls our hooks only after we return, and no event of
        # the tasks that we take over may be missed.
        for other in scheduler.plugins.values():
            if isinstance(other, SupremePlugin) and other.active:
                other._stop()
        self._hands.install(self._replacements())
        self._hands.answer(self._answers())
        self._pulse = PeriodicCallback(self._tick, 1000 * tick)
        self._pulse.start()
        self.active = True
        log.info("supreme-dask places the tasks of this scheduler")
        self._take_stock()
        exchange.attach(scheduler, self.scaling)
        self._web.mount()

    async def _send_plugins(self, scheduler: Scheduler) -> None:
        for plugin in (MeterPlugin(), WorkerNotice()):
            sent = dumps(plugin)  # type: ignore[no-untyped-call]
            await scheduler.register_worker_plugin(None, sent, name=plugin.name, idempotent=True)
        sent = dumps(NannyNotice())  # type: ignore[no-untyped-call]
        await scheduler.register_nanny_plugin(None, sent, name=NannyNotice.name, idempotent=True)

    async def close(self) -> None:
        """Look after the queues no more: the scheduler goes down."""
        if self.active:
            self._pulse.stop()
            self._silence.end()
            self.scaling.end()

    def retreat(self, error: BaseException) -> None:
        """Leave placement to plain Dask, because of an ``error`` in this package."""
        if not self.active:
            return
        log.error("supreme-dask failed; plain Dask places from now on", exc_info=error)
        self._hand_over()
        sentence = f"supreme-dask failed: {error!r}; plain Dask places tasks from now on"
        self._hands.warn(sentence)
        recording.record(self._scheduler, "retreat", sentence)

    def _stop(self) -> None:
        self.active = False
        self._pulse.stop()
        self._silence.end()
        self.scaling.end()
        self._web.unmount()
        self._hands.uninstall()

    def _hand_over(self) -> None:
        self._stop()
        self.drains.end()
        takeover.give_back(self._scheduler, self._demands, self._hands)
        asyncio.get_running_loop().call_soon(self._hands.place_all)

    def _replacements(self) -> dict[str, Callable[..., Any]]:
        return {
            "is_rootish": _never,
            "check_idle_saturated": self._hands.note_idle,
            "decide_worker_non_rootish": self._or_stock("decide_worker_non_rootish", self._placing.decide),
            "stimulus_queue_slots_maybe_opened": self._or_stock(
                "stimulus_queue_slots_maybe_opened", self._placing.fill
            ),
            "bulk_schedule_unrunnable_after_adding_worker": self._worker_runs,
            "_check_unrunnable_task_timeouts": self._or_stock("_check_unrunnable_task_timeouts", self._timed_out),
            "_task_to_msg": self._or_stock("_task_to_msg", self._message),
            **self._for_autoscalers(),
        }

    def _for_autoscalers(self) -> dict[str, Callable[..., Any]]:
        """Return what is both a method of the scheduler, which its HTTP routes call, and a call that it answers."""
        names = ("adaptive_target", "workers_to_close", "retire_workers")
        return {name: or_both_fail(self, self._stock(name), getattr(self._autoscalers, name)) for name in names}

    def _handlers(self) -> dict[str, Callable[..., None]]:
        hooks: dict[str, Callable[..., Any]] = {
            "steal-response": self._recall_answered,
            "supreme-done": self._thread_done,
            "supreme-hello": self._hello,
            "supreme-strain": self._strain,
            "supreme-relax": self._relax,
            "supreme-overgrown": self._overgrown,
            "supreme-stopped": self._stopped,
            "supreme-grown": self._grown,
        }
        return {**self._inbox.reading(hooks), "long-running": self._long_running}

    def _answers(self) -> dict[str, Callable[..., Any]]:
        calls: dict[str, Callable[..., Any]] = {
            "supreme_drain": self._drain,
            "supreme_undrain": self._undrain,
            "supreme_kept": self.drains.kept,
            "supreme_leave": self._leave,
        }
        return {
            **answering({call: or_stock(self, _no_more, answer) for call, answer in calls.items()}),
            **answering(self._web.answers()),
            "supreme_scale": self._scale,
            "versions": compatibility.with_version(self._scheduler.versions),
            **self._for_autoscalers(),
        }

    def _or_stock(self, name: str, ours: Callable[..., R]) -> Callable[..., R]:
        return or_stock(self, self._stock(name), ours)

    def _stock(self, name: str) -> Callable[..., Any]:
        return partial(getattr(type(self._scheduler), name), self._scheduler)

    @safely
    def _take_stock(self) -> None:
        """Take over a scheduler that has workers and tasks already."""
        parts = (self._scheduler, self.admission, self._memory, self._demands, self._hands)
        for recall in takeover.occupy(*parts):
            self._placing.carry_out(recall)
        self._hands.release(observe.held(self._scheduler))

    # --------------------------------------------------------------------------- the pulse
    @safely
    def _tick(self) -> None:
        if self not in self._scheduler.plugins.values():
            log.warning("The plugin of supreme-dask was unregistered; plain Dask places from now on")
            self._hand_over()
            return
        now = monotonic()
        self._memory.look(self._scheduler.workers.values())
        self.admission.ledger.bandwidth = self._scheduler.bandwidth
        self.drains.tick()
        self._relief.tick(now)
        for instruction in self.admission.tick(now):
            self._placing.carry_out(instruction)
        self._ghosts.audit(now)
        self._rebalancing.tick(now)
        self._silence.tick(now)
        self._placing.fill()

    def _drain(self, *, names: list[str], reason: str, deadline: float | None = None) -> dict[str, str]:
        """Let workers leave because a person wants it; return why, by name, for those that cannot."""
        return self.drains.drain(names, reason=reason, deadline=deadline, origin="person")

    def _undrain(self, *, names: list[str], reason: str) -> list[str]:
        """Keep workers because a person wants it; return the names of those that are kept."""
        return self.drains.cancel(names, reason, origin="person")

    def _leave(self, *, worker: str, seconds: float) -> bool:
        """Let a worker leave that was given notice; tell whether that is looked after."""
        return self.drains.leave(worker, seconds)

    def _scale(self, **told: Any) -> dict[str, Any] | None:
        """Return the plan for whoever makes workers; what is wrong with his question is told to him."""
        return self._autoscalers.scale(**told) if self.active else None

    # ----------------------------------------------------------------------------------- events
    @safely
    def update_graph(
        self,
        scheduler: Scheduler,
        *,
        annotations: Mapping[str, Mapping[Key, Any]],
        tasks: Collection[Key] = (),
        **_: Any,
    ) -> None:
        """Read what new tasks declare and which results they need, before any of them moves."""
        if self.scaling.wanted:
            self.scaling.graph_came()
        if declaring := annotations.get("resources"):
            own = observe.counted_otherwise(scheduler)
            for key in declaring:
                self._read_demand(scheduler.tasks[key], own)
        if self.admission.queues:
            for key in tasks:
                for needed in observe.needed_by(scheduler.tasks[key]):
                    self.admission.feeds(needed)

    def transition(self, key: Key, start: str, finish: str, *_: Any, stimulus_id: str, **told: Any) -> None:
        """Keep queues and ledger true. Called five times per task, of which two concern us."""
        if finish in _MOVED_ON:
            self._moved(key, start, finish, stimulus_id, told)

    @safely
    def _moved(self, key: Key, start: str, finish: str, stimulus_id: str, told: Mapping[str, Any]) -> None:
        if start == "processing":
            self._ended(key, finish, stimulus_id, told)
        elif start in ("waiting", "no-worker"):
            if finish != "waiting":
                self.admission.drop(key)
        elif start == "memory" and key in self.admission.ledger.reservations:  # an actor
            self.admission.finish(key, None, monotonic())
        if finish == "forgotten":
            self._demands.forget(key)
            self._kills.forget(key)
            self._hands.forget(key)

    @safely
    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Note a worker that joined; the scheduler asks for tasks for it right after."""
        self._memory.join(scheduler.workers[worker])
        self.drains.joined(worker)
        self._rebalancing.disturbed(monotonic())
        self.scaling.joined(worker)

    @safely
    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:  # noqa: ARG002
        """Forget a worker that is gone; its tasks have been decided anew before."""
        self._hands.gone(worker)
        self._ghosts.gone(worker)
        self._walls.gone(worker)
        self._memory.leave(worker)
        self._relief.gone(worker)
        self._rebalancing.disturbed(monotonic())
        self.scaling.wake()
        self._placing.fill_soon()

    def valid_workers_downscaling(self, scheduler: Scheduler, workers: list[WorkerState]) -> list[WorkerState]:
        """Return those that may be named when somebody asks Dask whom to close: nobody who works or cannot leave."""
        if not self.active:
            return workers
        return [ws for ws in workers if not ws.processing and not observe.immovable(scheduler, ws.address)]

    def log_event(self, topic: str, msg: Any) -> None:
        """Listen to nannies. Called for every event of the cluster, of which few concern us."""
        if topic == wire.KILLED:
            self._inbox.read(topic, msg, self._killed)

    @safely
    def _killed(self, *, worker: str, rss: int) -> None:
        self._relief.killed()
        self._kills.told(worker, rss)
        self._placing.fill_soon()

    @safely
    def restart(self, scheduler: Scheduler) -> None:
        """Forget tasks that the scheduler dropped without a word."""
        for key in self.admission.queues.keys() - scheduler.tasks.keys():
            self.admission.drop(key)

    def _held(self) -> None:
        if self.scaling.wanted:
            self.scaling.held()

    def _worker_runs(self, ws: WorkerState) -> dict[Key, str]:
        """Open a worker that joined or resumed. Waiting tasks come to it by `_fill`, which is called next."""
        closed = self._relief.keeps_closed(ws.address) or self.drains.keeps_closed(ws.address)
        if ws.address in self.admission.ledger.rows and not closed:
            self.admission.open_worker(ws.address)
        return {}

    def _message(self, ts: TaskState) -> dict[str, Any]:
        """Tell a worker how much memory is set aside for a task, so that it knows which one takes too much."""
        message = Scheduler._task_to_msg(self._scheduler, ts)
        reservation = self.admission.ledger.reservations.get(ts.key)
        if reservation is not None and not reservation.guessed and reservation.memory:
            shape = reservation.shape
            declared = shape is not None and shape.declares_memory
            reserved = [reservation.memory, ts.key in self._demands.last, declared]
            message["annotations"] = {**message["annotations"], RESERVED_KEY: reserved}
        return message

    def _timed_out(self, timestamp: float, recommendations: Recs, stimulus_id: str) -> set[Key]:
        """Fail tasks that have waited for Dask's ``no-workers-timeout`` and that no worker could run."""
        since = timestamp - (self._scheduler.no_workers_timeout or 0.0)
        late = [key for key in observe.held_since(self._scheduler, since) if not self.admission.has_host(key)]
        return self._hands.time_out(late, recommendations, stimulus_id)

    def _ended(self, key: Key, finish: str, stimulus_id: str, told: Mapping[str, Any]) -> None:
        reservation = self.admission.ledger.reservations.get(key)
        ts = self._scheduler.tasks[key]
        self._placing.ended(key)
        if ts.resource_restrictions:  # it was placed before we came
            self._read_demand(ts, observe.counted_otherwise(self._scheduler))
        if reservation is None or (finish == "memory" and ts.actor):
            return
        address = reservation.row.address
        if finish == "memory":
            self._done(ts, reservation, told)
        elif self._may_still_run(address, finish, stimulus_id):
            self._ghosts.add(address, key)
        else:
            if address not in self._scheduler.workers:
                self._kills.lose(reservation)
            self.admission.finish(key, None, monotonic())
        # Not every caller of a transition looks at the queues afterwards.
        if self.admission.ledger.gained and len(self.admission.queues):
            self._placing.fill_soon()

    def _done(self, ts: TaskState, reservation: Reservation, told: Mapping[str, Any]) -> None:
        measured = self._inbox.measured(told.get("metadata"))
        measurement = observe.measurement(told.get("startstops", ()), measured, ts)
        self._hands.forget_measurement(ts)
        self.admission.finish(ts.key, measurement, monotonic())
        ws = self._scheduler.workers.get(reservation.row.address)
        if ws is not None:
            self._memory.stored(ws, reservation.row, measured and measured.after)
        self._relief.done(ts.key)

    def _may_still_run(self, address: str, finish: str, stimulus_id: str) -> bool:
        return (
            finish in ("released", "waiting", "forgotten")
            and address in self._scheduler.workers
            and not stimulus_id.startswith(_LEFT_BY_ITSELF)
            and self._ghosts.can_tell(address)
        )

    def _read_demand(self, ts: TaskState, own: Collection[str]) -> None:
        self._demands.read(ts, own)
        self._hands.take_restrictions(ts)

    # --------------------------------------------------------------------- messages of workers
    def _long_running(self, *, key: Key, worker: str, run_id: int, **told: Any) -> None:
        """Give back the thread of a task that seceded, before the stock handler looks for waiting ones."""
        self._inbox.read("long-running", {"key": key, "worker": worker, "run_id": run_id}, self._secede)
        self._scheduler.handle_long_running(key=key, worker=worker, run_id=run_id, **told)

    @safely
    def _secede(self, *, key: Key, worker: str, run_id: int) -> None:
        ts = self._scheduler.tasks.get(key)
        reservation = self.admission.ledger.reservations.get(key)
        if ts is None or reservation is None or ts.run_id != run_id or reservation.row.address != worker:
            return
        self.admission.secede(key)

    @safely
    def _recall_answered(self, *, key: Key, state: str | None, worker: str) -> None:
        self._placing.recall_answered(key, state, worker)

    @safely
    def _strain(self, *, worker: str, process: int) -> None:
        for recall in self._relief.strained(worker, process):
            self._placing.carry_out(recall)

    @safely
    def _relax(self, *, worker: str) -> None:
        self._relief.relaxed(worker)
        self._placing.fill_soon()

    @safely
    def _overgrown(self, *, key: Key, worker: str, process: int) -> None:
        self._kills.overgrown(key, worker, process)

    @safely
    def _stopped(self, *, key: Key, worker: str, held: int, asked: int, free: int) -> None:
        self._kills.stopped(key, worker, held=held, asked=asked, free=free)

    @safely
    def _grown(self, *, key: Key, worker: str, held: int) -> None:
        self.admission.grown(key, worker, held)

    @safely
    def _hello(self, *, worker: str, wall: bool | None, version: int) -> None:
        self._inbox.check_release(version)
        self._ghosts.metered(worker=worker)
        self._walls.told(worker, wall)

    @safely
    def _thread_done(self, *, key: Key, worker: str) -> None:
        self._ghosts.done(key=key, worker=worker)
        self._placing.fill_soon()


def _never(_: TaskState) -> bool:
    return False


def _no_more(**_: Any) -> None:
    return None
