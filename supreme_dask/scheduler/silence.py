"""Workers that are not heard of are asked, and removed if they are lost.

Stock Dask waits five minutes for every one of them. Whether a silent worker is lost or computes is decided by
`core.silence`, by what it and its nanny answer.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from distributed.scheduler import Scheduler

from supreme_dask.core import reasons
from supreme_dask.core.silence import Answers, Loss, Silence, judge
from supreme_dask.scheduler import observe, recording
from supreme_dask.scheduler.act import Hands
from supreme_dask.scheduler.asking import end_process, greet, inquire
from supreme_dask.scheduler.ghosts import Ghosts

log = logging.getLogger(__name__)

_EVERY = 0.25  # seconds between two looks
_BEATS = 3  # heartbeats that may fail to come
_AT_ONCE = 20  # workers that are asked at once
_TO_END = 30.0  # seconds in which a nanny has ended a process


class SilenceWatch:
    """Watches for silent workers of one scheduler.

    Parameters
    ----------
    ghosts
        What was cancelled and computes still, which may silence its worker as well.
    patience
        Seconds of silence after which a worker is asked. It has half as many to answer, and as many again to be
        heard of. None to leave all that to Dask.
    """

    def __init__(self, scheduler: Scheduler, hands: Hands, ghosts: Ghosts, patience: float | None) -> None:
        self._scheduler = scheduler
        self._hands = hands
        self._ghosts = ghosts
        self._connection = {"connection_args": scheduler.connection_args}
        # Who has told Dask to wait for every worker for ever means it.
        self._patience = patience if scheduler.worker_ttl else None
        self._silence = Silence()
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._next = 0.0

    def tick(self, now: float) -> None:
        """See who is silent."""
        if self._patience is None or now < self._next:
            return
        self._next = now + _EVERY
        beats = _BEATS * observe.heartbeat_interval(self._scheduler)
        for address in self._silence.look(now, observe.heard(self._scheduler), max(self._patience, beats)):
            if address not in self._asked:
                self._asked[address] = asyncio.ensure_future(self._ask(address, self._patience / 2))
                self._asked[address].add_done_callback(partial(self._answered, address))

    def end(self) -> None:
        """Ask nobody any more."""
        for task in self._asked.values():
            task.cancel()

    def _answered(self, address: str, task: asyncio.Task[None]) -> None:
        del self._asked[address]
        if not task.cancelled() and task.exception() is not None:
            log.error("Worker %s is silent and could not be asked", address, exc_info=task.exception())

    async def _ask(self, address: str, patience: float) -> None:
        heard = observe.heard(self._scheduler).get(address)
        nanny = observe.nanny(self._scheduler, address)
        answers = await self._answers(address, nanny, patience)
        loss = judge(answers)
        if loss == "cut":  # or it has just ended to compute, and will be heard of
            await asyncio.sleep(max(patience, _BEATS * observe.heartbeat_interval(self._scheduler) / 2))
        if loss is None or observe.heard(self._scheduler).get(address) != heard:
            log.debug("Worker %s was silent and is not lost: %s", address, answers)
            return
        self._note(address, loss)
        reachable = nanny if answers.nanny != "nothing" else None
        await self._hands.lose(address, partial(end_process, reachable, _TO_END, **self._connection))

    async def _answers(self, address: str, nanny: str | None, patience: float) -> Answers:
        async with self._turn:
            worker, word = await asyncio.gather(
                greet(address, patience, **self._connection), inquire(nanny, address, patience, **self._connection)
            )
        busy = bool(observe.processing(self._scheduler, address)) or self._ghosts.any_on(address)
        return Answers(worker, word, busy)

    def _note(self, address: str, loss: Loss) -> None:
        sentence = reasons.lost(address, loss)
        log.warning("%s", sentence)
        recording.record(self._scheduler, "lose", sentence, worker=address)
