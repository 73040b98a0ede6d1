"""The worker plugin: measures tasks, and tells the scheduler when a cancelled one has really ended.

The scheduler plugin sends it to every worker by itself.
"""

from __future__ import annotations

import logging
from typing import Any

from dask.typing import Key
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.worker import Worker
from tornado.ioloop import PeriodicCallback

from supreme_dask import config
from supreme_dask.compatibility import with_version
from supreme_dask.core.relief import Pressure
from supreme_dask.core.wire import VERSION
from supreme_dask.errors import IncompatibleDaskError
from supreme_dask.worker.act import install_meter, pause_late, put_up_wall, retry_inputs, walls
from supreme_dask.worker.children import Children

log = logging.getLogger(__name__)

_LOOK = 100  # milliseconds, as often as a nanny looks
_ENDED = (None, "released", "forgotten", "memory", "error")
_WAS_DONE = ("memory", "released", "error", "forgotten", "missing")


class MeterPlugin(WorkerPlugin):
    """Our part of a worker."""

    name = "supreme-meter"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Begin to measure, and tell the scheduler that it can rely on us."""
        self._worker = worker
        self._children: Children | None = None
        try:
            self._children = install_meter()
            retry_inputs(worker)
        except IncompatibleDaskError as error:
            log.warning("Tasks are not measured on this worker: %s", error)
        pause = config.pause()
        if pause is not None:
            pause_late(worker, pause)
        limit = worker.memory_manager.memory_limit or 0
        self._pressure = Pressure(limit)
        self._most = limit * config.terminate()
        self._watch = PeriodicCallback(self._look, _LOOK)
        self._watch.start()
        worker.stream_handlers["supreme-audit"] = self._audit
        worker.handlers["versions"] = with_version(worker.versions)
        wall = put_up_wall(worker, config.wall() if self._children is not None else None)
        worker.batched_send({"op": "supreme-hello", "wall": wall, "version": VERSION})

    def teardown(self, worker: Worker) -> None:
        """Look no more."""
        self._watch.stop()
        worker.handlers["versions"] = worker.versions

    def _look(self) -> None:
        """Tell the scheduler of memory that fills, and of memory that was given back."""
        process = walls[0].used() if walls else self._worker.monitor.get_process_memory()
        if self._children is not None and (held := self._children.look()):
            process += held
            if process > self._most > 0:
                log.warning("Processes that a task started are ended: with them this worker exceeds its memory")
                self._children.end_largest()
        for key, held in walls[0].grown() if walls else ():
            self._worker.batched_send({"op": "supreme-grown", "key": key, "held": held})
        match self._pressure.look(process):
            case True:
                self._worker.batched_send({"op": "supreme-strain", "process": process})
            case False:
                self._worker.batched_send({"op": "supreme-relax"})

    def transition(self, key: Key, start: str, finish: str, **_: Any) -> None:
        """Tell the scheduler of a task that ended without a result."""
        # `finish` is what was asked for: a task that is released while it executes is in fact `cancelled`,
        # and a cancelled one that comes to its end goes to `memory` or `error`, but is in fact released.
        asked = finish in ("released", "forgotten") and start not in _WAS_DONE
        if (asked or start == "cancelled") and self._has_ended(key):
            self._worker.batched_send({"op": "supreme-done", "key": key})

    def _audit(self, *, key: Key) -> None:
        """Answer whether a task has ended: the message that said so may have been lost."""
        if self._has_ended(key):
            self._worker.batched_send({"op": "supreme-done", "key": key})

    def _has_ended(self, key: Key) -> bool:
        task = self._worker.state.tasks.get(key)
        return task is None or task.state in _ENDED
