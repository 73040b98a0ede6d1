"""Says of one task where it is and why: what Dask knows of it, what the core says, and what scaling does about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, time
from typing import Any

from distributed.scheduler import Scheduler

from supreme_dask.core import explaining, reasons
from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import CORE
from supreme_dask.core.explaining import Explanation
from supreme_dask.core.policies.situation import Supply
from supreme_dask.core.resources import CPU, MEMORY, Resources, format_amount
from supreme_dask.core.rows import Reservation
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.whereabouts import Whereabouts, find, look, root

_SHOWN = 200  # characters of a key


class Explaining:
    """Explains the tasks of one scheduler.

    Parameters
    ----------
    scheduler, admission
        Of the plugin that it belongs to.
    supplies
        Returns the worker groups that are scaled.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, supplies: Callable[[], list[Supply]]) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._supplies = supplies

    def explain(self, key: Any) -> Explanation:
        """Return where a task is, and why.

        Parameters
        ----------
        key
            Its key; or that in words, as a person writes it: ``"('x-1', 0)"``.
        """
        found = find(self._scheduler, key)
        if found is None:
            return Explanation(str(key)[:_SHOWN], "unknown", reasons.UNKNOWN_KEY)
        here = look(self._scheduler, found, time())
        return self._STATES.get(here.state, Explaining._elsewhere)(self, here)

    # ----------------------------------------------------------------------------------- states
    def _held(self, here: Whereabouts) -> Explanation:
        ledger, queues, kinds = self._admission.ledger, self._admission.queues, self._admission.kinds
        wait = explaining.why(ledger, queues, kinds, here.key, monotonic())
        if wait is None:
            return self._say(here, reasons.OTHERS_PLACE)
        said = explaining.sentence(wait, observe.called(self._scheduler), self._supplies())
        return self._say(here, said, cause=wait.cause.value, demand=wait.demand.in_units(), ahead=wait.ahead)

    def _waiting(self, here: Whereabouts) -> Explanation:
        origin = root(self._scheduler, here.key)
        if origin == here.key:
            return self._say(here, reasons.UNSETTLED)
        why = self.explain(origin)
        said = reasons.waits_for(here.missing, here.needed, why.key, why.sentence)
        return self._say(here, said, root=why.key)

    def _processing(self, here: Whereabouts) -> Explanation:
        reservation = self._admission.ledger.reservations.get(here.key)
        if reservation is None:
            return self._say(here, reasons.runs(here.workers[0], here.seconds, None))
        amounts = self._held_by(reservation)
        said = f"{self._progress(here, reservation)}; {reasons.reserved(str(amounts), self._source(reservation))}"
        return self._say(here, said, reserved=amounts.in_units(), demand=self._demand(reservation).in_units())

    def _in_memory(self, here: Whereabouts) -> Explanation:
        return self._say(here, reasons.done(format_amount(MEMORY, here.nbytes), here.workers))

    def _erred(self, here: Whereabouts) -> Explanation:
        blamed = None if here.blamed is None else str(here.blamed)
        return self._say(here, reasons.failed(here.error, blamed, here.workers), root=blamed or "")

    def _released(self, here: Whereabouts) -> Explanation:
        return self._say(here, reasons.RELEASED)

    def _elsewhere(self, here: Whereabouts) -> Explanation:
        return self._say(here, reasons.OTHERS_PLACE)

    _STATES: Mapping[str, Callable[[Explaining, Whereabouts], Explanation]] = {
        "no-worker": _held,
        "waiting": _waiting,
        "processing": _processing,
        "memory": _in_memory,
        "erred": _erred,
        "released": _released,
    }

    # ------------------------------------------------------------------------------------- parts
    def _progress(self, here: Whereabouts, reservation: Reservation) -> str:
        """Say whether a task runs where it was sent."""
        called, row, shape = here.workers[0], reservation.row, reservation.shape
        if here.seconds is None and reservation in row.waiting:
            return reasons.waits_behind(called, row.active - row.behind)
        expected = shape.duration if shape is not None and shape.timed else None
        return reasons.runs(called, here.seconds, expected)

    def _source(self, reservation: Reservation) -> str:
        """Say where the memory comes from that is reserved."""
        shape = reservation.shape
        if reservation.lent:
            return reasons.LENT
        if shape is None or shape.declares_memory:
            return reasons.DECLARED
        return reasons.measured_in(0 if reservation.guessed else self._admission.kinds[shape.type].profile.count)

    def _held_by(self, reservation: Reservation) -> Resources:
        """Return what is set aside for a task, also the core of its lane; of one that waits there, none."""
        amounts = self._admission.ledger.amounts(reservation.need)
        in_lane = reservation.laned and reservation not in reservation.row.waiting
        return amounts.overlaid(Resources.of({CPU: CORE})) if in_lane else amounts

    def _demand(self, reservation: Reservation) -> Resources:
        shape = reservation.shape
        return self._admission.ledger.amounts(reservation.need if shape is None else shape.need)

    def _say(self, here: Whereabouts, sentence: str, **more: Any) -> Explanation:
        return Explanation(str(here.key), here.state, sentence, here.type, workers=here.workers, **more)
