"""Begin on a scheduler that has workers and tasks already, and end so that plain Dask can go on."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from distributed.scheduler import Scheduler, WorkerState

from supreme_dask.core.admission import Admission
from supreme_dask.core.instructions import Recall
from supreme_dask.core.resources import Resources
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.act import Hands
from supreme_dask.scheduler.demands import Demands
from supreme_dask.scheduler.memory import MemoryWatch


def occupy(
    scheduler: Scheduler, admission: Admission, memory: MemoryWatch, demands: Demands, hands: Hands
) -> Iterator[Recall]:
    """Enter into the ledger who is there and what runs; return what each worker is asked to give back.

    Stock Dask sends more than fits. What has not started comes back; what has, the worker keeps.
    """
    for ws in scheduler.workers.values():
        memory.join(ws)
    own = observe.counted_otherwise(scheduler)
    for ts in scheduler.tasks.values():
        if demands.is_annotated(ts):
            demands.read(ts, own)
            if ts.state != "processing":  # stock Dask subtracts what it has counted when such a task ends
                hands.take_restrictions(ts)
    for ws in scheduler.workers.values():
        _occupy(ws, admission, demands)
        yield Recall(ws.address, [ts.key for ts in ws.processing if ts not in ws.long_running])


def give_back(scheduler: Scheduler, demands: Demands, hands: Hands) -> None:
    """Tell stock Dask what tasks need, in its own terms."""
    for ts in scheduler.tasks.values():
        if not ts.resource_restrictions:
            hands.give_restrictions(ts, demands.as_dask(ts.key, scheduler.resources))


def _occupy(ws: WorkerState, admission: Admission, demands: Demands) -> None:
    for ts in ws.has_what:
        if ts.actor:
            admission.keep_actor(ts.key, demands.of(ts) or Resources(), ws.address)
    for ts in ws.processing:
        admission.occupy(observe.task(ts, demands.of(ts)), ws.address, monotonic())
        if ts in ws.long_running:
            admission.secede(ts.key)
