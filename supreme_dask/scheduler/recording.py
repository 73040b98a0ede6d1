"""The door to the history of a system: what the scheduler decided that somebody may ask for later.

Whoever decides in the scheduler's process calls `record`, or `tally` for what may befall many tasks at once. It
costs some microseconds and never waits: without a store nothing is kept, and a store that is down is written to
when it is back. What happens per task on the hot path does not belong here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from time import time
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.core import reasons
from supreme_dask.errors import LimitError
from supreme_dask.scheduler import observe
from supreme_dask.stores.history import History

log = logging.getLogger(__name__)

_GATHER = 1.0  # s in which equal sentences become one entry
_MOST_SENTENCES = 100  # per gathering; the rest are only counted
_MOST_CHARACTERS = 1000  # of a sentence: an entry has 8 KiB


def record(scheduler: Scheduler, kind: str, sentence: str, **values: Any) -> None:
    """Keep a decision in the history of the scheduler's system, if it has a store.

    Only for the thread of the scheduler's event loop.

    Parameters
    ----------
    kind
        One word that tells it from other decisions, such as ``leave`` or ``scale``.
    sentence
        What was decided and why, for humans.
    **values
        The same for programs: plain values, as JSON has them.
    """
    if (recorder := _of(scheduler)) is not None:
        recorder.record(kind, sentence, **values)


def tally(scheduler: Scheduler, kind: str, sentence: str) -> None:
    """Keep a decision on one task; equal ones of the same second become one entry with the number of ``tasks``."""
    if (recorder := _of(scheduler)) is not None:
        recorder.tally(kind, sentence)


class Recorder(SchedulerPlugin):
    """Writes the history of a scheduler's system, beginning with which workers come and go.

    Parameters
    ----------
    store
        Address of the store.
    system
        Name of the system.
    """

    name = "supreme-recorder"
    idempotent = True

    def __init__(self, store: str, system: str) -> None:
        self._store = store
        self._system = system
        self._history: History | None = None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._names: dict[str, str] = {}  # of the workers that are there, by address

    async def start(self, scheduler: Scheduler) -> None:
        """Begin to write, in the background."""
        self._names = observe.called(scheduler)
        self._history = History(self._store, self._system)
        self._history.start()

    async def close(self) -> None:
        """Write what waits, if the store takes it soon."""
        self._write_counts()
        if self._history is not None:
            await self._history.stop()

    def record(self, kind: str, sentence: str, **values: Any) -> None:
        """Keep a decision; see `record` of this module."""
        if self._history is None:
            return
        try:
            self._history.record({**values, "time": time(), "what": kind, "reason": sentence[:_MOST_CHARACTERS]})
        except LimitError as error:  # a decision that cannot be kept is still carried out
            log.warning("Not in the history, %s: %s", kind, error)

    def tally(self, kind: str, sentence: str) -> None:
        """Count a decision on one task; see `tally` of this module."""
        if not self._counts:
            asyncio.get_running_loop().call_later(_GATHER, self._write_counts)
        known = (kind, sentence) in self._counts or len(self._counts) < _MOST_SENTENCES
        self._counts[kind, sentence if known else reasons.FURTHER] += 1

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Record who came."""
        ws = scheduler.workers[worker]
        name = self._names[worker] = str(ws.name)
        sentence = reasons.joined(name, worker, ws.nthreads)
        self.record("join", sentence, worker=worker, name=name, threads=ws.nthreads)

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        """Record who is gone, and whether that was wanted."""
        told, running = observe.departure(scheduler, worker)
        expected = told or _was_leaving(scheduler, worker)
        name = self._names.pop(worker, worker)
        sentence = reasons.left(name, worker, running, expected=expected)
        self.record("leave", sentence, worker=worker, name=name, expected=expected, tasks=running)

    def _write_counts(self) -> None:
        counts, self._counts = self._counts, Counter()
        for (kind, sentence), tasks in counts.items():
            self.record(kind, sentence, tasks=tasks)


def _was_leaving(scheduler: Scheduler, address: str) -> bool:
    """Tell whether a worker that is gone was on its way out, so that whoever made it could remove it."""
    drains = getattr(scheduler.plugins.get("supreme"), "drains", None)
    return drains is not None and bool(drains.keeps_closed(address))


def _of(scheduler: Scheduler) -> Recorder | None:
    recorder = scheduler.plugins.get(Recorder.name)
    return recorder if isinstance(recorder, Recorder) else None
