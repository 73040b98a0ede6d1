"""Workers on their way out: carries out what `core.draining` says, on one scheduler.

It works on any scheduler that has the plugin, whoever started the workers. Where the scheduler has a store, each step
is stored before it is acted on, and what is seen is looked at again once the store has answered. With a store that is
down, workers stay as they are and nobody is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from time import monotonic, time

from distributed.scheduler import Scheduler

from supreme_dask.core import reasons
from supreme_dask.core.admission import Admission
from supreme_dask.core.draining import ENDED, Drain, Facts, Origin, State, advance, must_be_stored
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Shape
from supreme_dask.scheduler import observe, recording
from supreme_dask.scheduler.act import Hands
from supreme_dask.scheduler.handover import NOTICE, Results
from supreme_dask.scheduler.journal import DrainJournal
from supreme_dask.stores.drains import Departure

log = logging.getLogger(__name__)

_RETURN = 60.0  # s in which workers come back to a scheduler that starts
_RESERVE = 0.2  # of a notice, for the results of the tasks that were let end
_MOST_KEPT = 1000  # reasons that are remembered


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
        remove it now. By default the worker is told to close; one that was given notice always is.
    """

    def __init__(
        self, scheduler: Scheduler, admission: Admission, hands: Hands, recall: Callable[[str], None]
    ) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._hands = hands
        self._recall = recall
        self._drains: dict[str, _Leaving] = {}
        self._kept: dict[str, str] = {}  # why, by name, those that were to leave last stay
        self._left: dict[str, Departure] | None = None
        self._left_until = 0.0
        self._open_rows: list[Row] | None = None
        self.on_removable: Callable[[str], None] = self._close

    def drain(
        self, names: Iterable[str], *, reason: str, deadline: float | None = None, origin: Origin = "plan"
    ) -> dict[str, str]:
        """Let workers leave; return why, by name, for those that cannot.

        Parameters
        ----------
        names
            Names of workers, as Dask knows them. One that drains already goes on with that, from now on for a person
            if it is one who asks, and by his deadline if that is earlier.
        reason
            Why, for humans.
        deadline
            Seconds after which tasks that may run again (``retries`` of `Client.submit`) are run elsewhere. All
            others are waited for.
        origin
            Who wants it; see `core.draining.Drain`.
        """
        refused = {}
        for name in map(str, names):
            address = observe.address_of(self._scheduler, name)
            if address is None:
                refused[name] = "no worker has this name"
            elif held := observe.immovable(self._scheduler, address):
                refused[name] = held
            else:
                until = float("inf") if deadline is None else monotonic() + deadline
                self._begin_or_join(Drain(address, name, reason, until, origin))
        return refused

    def leave(self, address: str, seconds: float) -> bool:
        """Let a worker leave whose machine goes away in so many seconds.

        Return whether it is to wait for that: not if it is unknown here, or has nothing left to hand over.
        """
        leaving = self._drains.get(address)
        if address not in self._scheduler.workers or (leaving is not None and leaving.drain.state == "leaving"):
            return False
        until = monotonic() + (1 - _RESERVE) * seconds
        name = str(self._scheduler.workers[address].name)
        asked = Drain(address, name, reasons.noticed(seconds), until, "notice")
        if leaving is None:
            self._begin(asked)
        else:
            leaving.join(asked)
            leaving.is_storing = False  # it does not wait for that any more
        return True

    def cancel(self, names: Iterable[str], reason: str, *, origin: Origin = "plan") -> list[str]:
        """Keep workers after all; return the names of those that are kept.

        A worker that has been told to go, or was given notice, goes. What a person wants to leave, no plan keeps.
        """
        wanted = set(map(str, names))
        kept = []
        for leaving in list(self._drains.values()):
            drain = leaving.drain
            if drain.name in wanted and not (origin == "plan" and drain.origin == "person"):
                self._step(leaving, reason)
                kept += [drain.name] * (leaving.drain.state == "kept")
        return kept

    def states(self) -> dict[str, State]:
        """Return how far each drain is, by the name of the worker."""
        return {leaving.drain.name: leaving.drain.state for leaving in self._drains.values()}

    def kept(self, names: Iterable[str]) -> dict[str, str]:
        """Return why, by name, those of some workers stay that were to leave and do not any more."""
        return {name: self._kept[name] for name in names if name in self._kept}

    def returnable(self) -> set[str]:
        """Return the names of those that a plan may have back."""
        drains = (leaving.drain for leaving in self._drains.values())
        return {drain.name for drain in drains if drain.origin == "plan" and drain.state != "leaving"}

    def keeps_closed(self, address: str) -> bool:
        """Tell whether a worker is on its way out, so that it takes no tasks though Dask lets it run."""
        leaving = self._drains.get(address)
        return leaving is not None and leaving.drain.state != "asked"

    def tick(self) -> None:
        """See how far everybody is."""
        self._open_rows = None
        self._take_over()
        for leaving in list(self._drains.values()):
            self._step(leaving)

    def end(self) -> None:
        """Keep everybody, because nobody looks after them any more."""
        self.cancel(list(self.states()), "supreme-dask places no more", origin="person")

    # ----------------------------------------------------------------------------------- steps
    def _begin(self, drain: Drain) -> None:
        results = Results(self._scheduler, self._admission, self._hands, drain.address)
        leaving = self._drains[drain.address] = _Leaving(drain, results, frozenset(self._hands.scatters))
        self._kept.pop(drain.name, None)
        self._step(leaving)

    def _begin_or_join(self, asked: Drain) -> None:
        """Begin a drain; where a worker drains already, let a person want it who asks for it too."""
        leaving = self._drains.get(asked.address)
        if leaving is None:
            self._begin(asked)
        elif asked.origin == "person" and leaving.drain.origin != "notice":
            leaving.join(asked)
            leaving.is_storing, leaving.stored = False, None  # what is there, or on its way there, says otherwise
            if leaving.drain.state != "asked":
                self._is_stored(leaving, leaving.drain)

    def _step(self, leaving: _Leaving, wanted: str = "") -> None:
        """Do what is to be done now, unless that must be stored first."""
        drain = leaving.drain
        if self._drains.get(drain.address) is not leaving:
            return
        after, act = advance(drain, self._facts(leaving, wanted))
        if must_be_stored(drain, after) and not self._is_stored(leaving, after):
            return
        leaving.drain = after
        if after.state != drain.state:
            self._note(after)
        if after.state in ENDED:
            self._ended(after)
        elif after.state != "asked":
            self._shut(drain.address)
        if act is not None:
            getattr(self, f"_{act}")(leaving)

    def _ended(self, drain: Drain) -> None:
        del self._drains[drain.address]
        if drain.state == "kept":
            self._kept[drain.name] = drain.reason
            if len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        self._forget(drain.name)
        self._keep_once()

    def _is_stored(self, leaving: _Leaving, after: Drain) -> bool:
        """Tell whether a step is stored, where there is a store; see to it that it will be."""
        journal = self._journal()
        if journal is None or leaving.stored == after.step:
            return True
        if not leaving.is_storing:
            leaving.is_storing = True
            journal.keep(_at_rest(self._scheduler, after), partial(_stored, leaving, after))
        return False

    def _forget(self, name: str) -> None:
        journal = self._journal()
        if journal is not None:
            journal.forget(name)

    def _keep_once(self) -> None:
        if not any(leaving.drain.origin == NOTICE for leaving in self._drains.values()):
            self._hands.spare_no_more(NOTICE)

    def _facts(self, leaving: _Leaving, wanted: str) -> Facts:
        drain = leaving.drain
        if drain.address not in self._scheduler.workers:
            return Facts(monotonic(), present=False)
        running = len(observe.processing(self._scheduler, drain.address))
        unique = leaving.unmoved(self._hands.scatters) if drain.state == "moving" and not running else 0
        return Facts(
            monotonic(),
            running=running,
            unique=unique,
            # Until the store has answered, nobody knows whether takers are needed.
            takers=not unique or leaving.is_storing or bool(leaving.results.rooms()),
            bound=wanted or self._bound(drain),
        )

    def _bound(self, drain: Drain) -> str:
        """Return why a worker is needed after all, such as work that waits and that nobody else could do."""
        if drain.origin == "notice" or drain.state in ("asked", "leaving"):
            return ""
        if held := observe.immovable(self._scheduler, drain.address):
            return held
        row = self._admission.ledger.rows.get(drain.address)
        others = self._all_open()
        for shape in self._admission.queues.in_order():
            if not others:
                return reasons.last_to_go(shape.type)
            if row is not None and self._could(shape, row) and not any(self._could(shape, one) for one in others):
                return reasons.bound(shape.type)
        return ""

    def _all_open(self) -> list[Row]:
        if self._open_rows is None:
            self._open_rows = self._admission.ledger.open_rows()
        return self._open_rows

    def _could(self, shape: Shape, row: Row) -> bool:
        where = shape.restrictions
        permitted = where is None or where.loose or where.permit(row.address, row.host)
        return permitted and self._admission.ledger.could_fit(row, shape.need)

    def _note(self, drain: Drain) -> None:
        sentence = reasons.draining(drain.name, drain.state, drain.reason)
        log.info("%s", sentence)
        recording.record(self._scheduler, "drain", sentence, worker=drain.name, state=drain.state)

    def _journal(self) -> DrainJournal | None:
        journal = self._scheduler.plugins.get(DrainJournal.name)
        return journal if isinstance(journal, DrainJournal) else None

    # ---------------------------------------------------------------------- of earlier schedulers
    def joined(self, address: str) -> None:
        """Let a worker go on to leave that an earlier scheduler had told to, before it is given tasks."""
        one = self._left.pop(observe.identity(self._scheduler, address), None) if self._left else None
        if one is not None and address not in self._drains:
            until = float("inf") if one.deadline is None else monotonic() + one.deadline - time()
            # What it held is here anew: it is looked at from the beginning.
            self._begin(Drain(address, one.name, one.reason, until, one.origin, is_cut=one.is_cut))

    def _take_over(self) -> None:
        """Read what an earlier scheduler had begun; forget those that do not come back."""
        journal = self._journal()
        if journal is None or journal.left is None:
            return
        if self._left is None:
            self._left = {one.identity: one for one in journal.left}
            self._left_until = monotonic() + _RETURN
            for address in list(self._scheduler.workers):
                self.joined(address)
        if self._left and monotonic() > self._left_until:
            for one in self._left.values():
                if one.name not in self.states():
                    journal.forget(one.name)
            self._left.clear()

    # ------------------------------------------------------------------------------------ acts
    def _cordon(self, leaving: _Leaving) -> None:
        leaving.scatters = frozenset(self._hands.scatters)
        self._recall(leaving.drain.address)

    def _shut(self, address: str) -> None:
        row = self._admission.ledger.rows.get(address)
        if row is not None and row.is_open:
            self._admission.close_worker(address)
            self._open_rows = None
        self._hands.cordon(address)

    def _open(self, leaving: _Leaving) -> None:
        self._open_rows = None
        self._hands.uncordon(leaving.drain.address)

    def _cut(self, leaving: _Leaving) -> None:
        self._hands.release(observe.retriable(self._scheduler, leaving.drain.address))

    def _move(self, leaving: _Leaving) -> None:
        leaving.results.move(keep=leaving.drain.origin == NOTICE)

    def _remove(self, leaving: _Leaving) -> None:
        self.on_removable(leaving.drain.name)
        if leaving.drain.origin == "notice":
            self._close(leaving.drain.name)

    def _close(self, name: str) -> None:
        address = observe.address_of(self._scheduler, name)
        if address is not None:
            self._hands.close(address)


class _Leaving:
    """One worker on its way out: how far it is, and how far that is stored."""

    __slots__ = ("drain", "is_storing", "results", "scatters", "stored")

    def __init__(self, drain: Drain, results: Results, scatters: frozenset[object]) -> None:
        self.drain = drain
        self.results = results
        self.scatters = scatters
        self.stored: tuple[State, bool] | None = None
        self.is_storing = False

    def join(self, asked: Drain) -> None:
        """Go on for somebody else who asks for the same, by his deadline if that is earlier."""
        until = min(asked.deadline, self.drain.deadline)
        self.drain = replace(self.drain, reason=asked.reason, deadline=until, origin=asked.origin)

    def unmoved(self, scatters: set[object]) -> int:
        """Return how many results only it holds, at least, or how many are on their way there."""
        if self.is_storing:
            return 1  # looked at when the store has answered
        return self.results.left() or len(self.scatters & scatters)


def _stored(leaving: _Leaving, after: Drain) -> None:
    leaving.is_storing = False
    leaving.stored = after.step
    leaving.results.look_again()  # at the next tick


def _at_rest(scheduler: Scheduler, drain: Drain) -> Departure:
    return Departure(
        drain.name,
        observe.identity(scheduler, drain.address),
        drain.reason,
        drain.origin,
        drain.state,
        drain.is_cut,
        None if drain.deadline == float("inf") else time() + drain.deadline - monotonic(),
    )
