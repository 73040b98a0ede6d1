"""Who is told what scaling decides, and what keeps it from that: log, clients, history and pages."""

from __future__ import annotations

import logging
from time import time

from distributed.scheduler import Scheduler

from supreme_dask.core import reasons
from supreme_dask.core.plans import Target
from supreme_dask.core.timeline import Timeline
from supreme_dask.scheduler import recording
from supreme_dask.scheduler.act import Hands

log = logging.getLogger(__name__)

_MOST_SENTENCES = 1000


class Announcements:
    """Tells what scaling does.

    Parameters
    ----------
    timeline
        Keeps the decisions for pages.
    """

    def __init__(self, scheduler: Scheduler, hands: Hands, timeline: Timeline) -> None:
        self._scheduler = scheduler
        self._hands = hands
        self._timeline = timeline
        self._said: set[str] = set()

    def decided(self, target: Target) -> None:
        """Tell how many workers a group should have, and why."""
        sentence = reasons.scaled(target.group, target.workers, target.reason, len(target.victims))
        log.info("%s", sentence)
        self._timeline.tell(sentence, time())
        values = {"group": target.group, "workers": target.workers, "victims": list(target.victims)}
        recording.record(self._scheduler, "scale", sentence, **values)

    def warn(self, sentence: str) -> None:
        """Warn in the log, and keep it in the history."""
        log.warning("%s", sentence)
        recording.record(self._scheduler, "scaling", sentence)

    def once(self, sentence: str) -> None:
        """Warn clients, of each thing once."""
        if sentence not in self._said and len(self._said) < _MOST_SENTENCES:
            self._said.add(sentence)
            self._hands.warn(sentence)
            recording.record(self._scheduler, "scaling", sentence)
