"""Workers on their way out: carries out what `core.draining` says, on one scheduler.

It works on any scheduler that has the plugin, whoever started the workers. Data is moved by Dask's own retirement,
which is begun only when nothing runs there, and whose word is checked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from distributed.scheduler import Scheduler

from supreme_dask.core import reasons
from supreme_dask.core.admission import Admission
from supreme_dask.core.draining import ENDED, Drain, Facts, State, advance
from supreme_dask.core.shapes import Shape
from supreme_dask.scheduler import observe, recording
from supreme_dask.scheduler.act import Hands

log = logging.getLogger(__name__)


class Drains:
    """The drains of one scheduler.

    Parameters
    ----------
    recall
        Asks a worker to give back what it has not begun.

    Attributes
    ----------
    on_removable : callable
        Called with the name of a worker that runs nothing and holds nothing that others do not: whoever made it may
        remove it now. By default the worker is told to close.
    """

    def __init__(
        self, scheduler: Scheduler, admission: Admission, hands: Hands, recall: Callable[[str], None]
    ) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._hands = hands
        self._recall = recall
        self._drains: dict[str, Drain] = {}
        self._moves: dict[str, asyncio.Task[Any]] = {}
        self.on_removable: Callable[[str], None] = self._close

    def drain(self, names: Iterable[str], *, reason: str, deadline: float | None = None) -> dict[str, str]:
        """Let workers leave; return why, by name, for those that cannot.

        Parameters
        ----------
        names
            Names of workers, as Dask knows them. One that drains already goes on with that.
        reason
            Why, for humans.
        deadline
            Seconds after which tasks that may run again (``retries`` of `Client.submit`) are run elsewhere. All
            others are waited for.
        """
        refused = {}
        for name in map(str, names):
            address = observe.address_of(self._scheduler, name)
            if address is None:
                refused[name] = "there is no such worker"
            elif held := observe.immovable(self._scheduler, address):
                refused[name] = held
            elif address not in self._drains:
                self._begin(Drain(address, name, reason, monotonic() + (deadline or float("inf"))))
        return refused

    def cancel(self, names: Iterable[str], reason: str) -> None:
        """Keep workers after all, unless they have been told to go."""
        wanted = set(map(str, names))
        for drain in list(self._drains.values()):
            if drain.name in wanted:
                self._step(drain, self._facts(drain, bound=reason))

    def states(self) -> dict[str, State]:
        """Return how far each drain is, by the name of the worker."""
        return {drain.name: drain.state for drain in self._drains.values()}

    def keeps_closed(self, address: str) -> bool:
        """Tell whether a worker is on its way out, so that it takes no tasks though Dask lets it run."""
        return address in self._drains

    def tick(self) -> None:
        """See how far everybody is."""
        for drain in list(self._drains.values()):
            self._step(drain, self._facts(drain))

    def end(self) -> None:
        """Keep everybody, because nobody looks after them any more."""
        self.cancel(list(self.states()), "supreme-dask places no more")

    # ----------------------------------------------------------------------------------- steps
    def _begin(self, drain: Drain) -> None:
        self._note(drain)
        self._drains[drain.address] = drain
        self._cordon(drain)
        self._recall(drain.address)

    def _step(self, drain: Drain, facts: Facts) -> None:
        after, act = advance(drain, facts)
        if after.state != drain.state:
            self._note(after)
        if after.state in ENDED:
            del self._drains[drain.address]
            self._end_move(drain)
        else:
            self._drains[drain.address] = after
            if facts.present:
                self._cordon(drain)
        if act is not None:
            getattr(self, f"_{act}")(after)

    def _facts(self, drain: Drain, bound: str = "") -> Facts:
        address = drain.address
        if address not in self._scheduler.workers:
            return Facts(monotonic(), present=False)
        move = self._moves.get(address)
        return Facts(
            monotonic(),
            running=len(observe.processing(self._scheduler, address)),
            unique=observe.held_by_nobody_else(self._scheduler, address),
            bound=bound or self._bound(address),
            moved=address in _result(move) if move is not None and move.done() else None,
        )

    def _bound(self, address: str) -> str:
        """Return why a worker is needed after all: work waits that nobody else could take."""
        rows = self._admission.ledger.rows
        row = rows.get(address)
        others = [other for other in rows.values() if other.is_open]
        for shape in self._admission.queues.in_order():
            if not others:
                return reasons.last_to_go(shape.type)
            if row is not None and _permits(shape, row) and not any(_permits(shape, other) for other in others):
                return reasons.bound(shape.type)
        return ""

    def _note(self, drain: Drain) -> None:
        sentence = reasons.draining(drain.name, drain.state, drain.reason)
        log.info("%s", sentence)
        recording.record(self._scheduler, "drain", sentence, worker=drain.name, state=drain.state)

    # ------------------------------------------------------------------------------------ acts
    def _cordon(self, drain: Drain) -> None:
        row = self._admission.ledger.rows.get(drain.address)
        if row is not None and row.is_open:
            self._admission.close_worker(drain.address)
        self._hands.cordon(drain.address)

    def _open(self, drain: Drain) -> None:
        self._hands.uncordon(drain.address)

    def _cut(self, drain: Drain) -> None:
        self._hands.release(observe.retriable(self._scheduler, drain.address))

    def _move(self, drain: Drain) -> None:
        self._end_move(drain)
        retire = self._scheduler.retire_workers(workers=[drain.address], close_workers=False, remove=False)
        self._moves[drain.address] = asyncio.ensure_future(retire)

    def _end_move(self, drain: Drain) -> None:
        move = self._moves.pop(drain.address, None)
        if move is not None:
            move.cancel()

    def _remove(self, drain: Drain) -> None:
        self._end_move(drain)
        self.on_removable(drain.name)

    def _close(self, name: str) -> None:
        address = observe.address_of(self._scheduler, name)
        if address is not None:
            self._hands.close(address)


def _permits(shape: Shape, row: Any) -> bool:
    restrictions = shape.restrictions
    return restrictions is None or restrictions.loose or restrictions.permit(row.address, row.host)


def _result(move: asyncio.Task[Any]) -> Any:
    if move.cancelled() or move.exception() is not None:
        return ()
    return move.result()
