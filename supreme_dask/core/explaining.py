"""Why a task waits: what binds it, with the figures of the worker that comes nearest, and what would help.

The order of the questions is that of admission: may it run anywhere, could a worker hold it, may its type start one
more, does it fit now, may it have that room, and does it stay for its inputs. The first answered with no binds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any

from supreme_dask.core import placement, reasons
from supreme_dask.core.axes import within
from supreme_dask.core.keys import Key
from supreme_dask.core.kinds import Kinds
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.policies.situation import Supply
from supreme_dask.core.queues import Queues
from supreme_dask.core.reasons import Unplaceable
from supreme_dask.core.resources import MEMORY, Resources
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Inputs, Shape

_COUNTED = 10_000  # waiting tasks of one shape that are counted for a place in the queue; of more, a sample is


class Cause(StrEnum):
    """What keeps a task waiting."""

    NO_WORKER = "no-worker"
    """No worker takes tasks that may run it."""
    TOO_LARGE = "too-large"
    """No worker could hold it, even if nothing else ran there."""
    LACKS = "lacks"
    """No worker has enough of something left."""
    TRIAL = "trial"
    """Few tasks of its type run at once until one has been measured."""
    PROMISED = "promised"
    """The room that is left is kept for a task that has waited longer."""
    INPUTS = "inputs"
    """The worker that holds its inputs has no room now, and will have sooner than they could be fetched."""
    TURN = "turn"
    """There is room: it is placed with the tasks before it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a task waits.

    Attributes
    ----------
    type : str
        Its type.
    cause : Cause
        What binds it.
    demand : Resources
        What it needs, as far as it is known; without threads.
    lacking : Unplaceable or None
        The figures, where an amount binds.
    worker : str
        Address of the worker that comes nearest, or that holds its inputs; empty if there is none.
    kept_for : str
        The type of the task for which room is kept; empty if `cause` is another.
    allowed : tuple of str
        Workers and hosts that it may run on; empty if any will do.
    there : int
        How many workers there are.
    ahead : int
        Waiting tasks that go before it.
    exact : bool
        Whether these were counted. Of very many it is an estimate.
    """

    type: str
    cause: Cause
    demand: Resources
    lacking: Unplaceable | None = None
    worker: str = ""
    kept_for: str = ""
    allowed: tuple[str, ...] = ()
    there: int = 0
    ahead: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one task is, and why. As a string, it is the sentence.

    Attributes
    ----------
    key : str
        Its key.
    state : str
        Its state in Dask, such as ``"no-worker"`` or ``"processing"``; ``"unknown"`` if the scheduler has none.
    sentence : str
        All of it in words.
    type : str
        What it is a run of: its function, or the prefix of its key.
    cause : str
        What keeps it waiting, a value of `Cause`; empty unless it waits for a worker.
    demand : mapping of str to float
        What it needs, as far as that is known: cores, bytes, bytes per second, and what workers declare.
    reserved : mapping of str to float
        What is set aside for it on its worker.
    workers : tuple of str
        Names of the workers that have it, or its result.
    ahead : int
        Waiting tasks that go before it.
    root : str
        Key of the task for which it waits in the end; empty if it waits for no other.

    Examples
    --------
    >>> print(Explanation("load-1", "no-worker", "it needs a thread, and all are in use", cause="lacks"))
    it needs a thread, and all are in use
    """

    key: str
    state: str
    sentence: str
    type: str = ""
    cause: str = ""
    demand: Mapping[str, float] = field(default_factory=dict)
    reserved: Mapping[str, float] = field(default_factory=dict)
    workers: tuple[str, ...] = ()
    ahead: int = 0
    root: str = ""

    def __str__(self) -> str:
        return self.sentence

    def to_wire(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Explanation:
        """Return what `to_wire` was asked for; what another release adds is left aside.

        Parameters
        ----------
        wire
            What `to_wire` returned.
        """
        known = {name: value for name, value in wire.items() if name in cls.__slots__}
        return cls(**{**known, "workers": tuple(known.get("workers", ()))})


def why(ledger: Ledger, queues: Queues, kinds: Kinds, key: Key, now: float) -> Wait | None:
    """Return why a task waits at the time `now`; None if it does not. Walks all workers."""
    shape = queues.shape_of(key)
    if shape is None:
        return None
    binding = _Binding(ledger, kinds, shape, shape.entry(key).inputs, now).find()
    ahead, exact = _ahead(queues, shape, key)
    return replace(binding, allowed=_allowed(shape), there=len(ledger.rows), ahead=ahead, exact=exact)


def sentence(wait: Wait, names: Mapping[str, str], supplies: Sequence[Supply] = ()) -> str:
    """Return it in words: what binds it, how many go before it, and what is on the way.

    Parameters
    ----------
    names
        What workers are called, by address.
    supplies
        The worker groups that can be scaled.
    """
    called = names.get(wait.worker, wait.worker)
    if wait.cause is Cause.TURN:
        said = reasons.its_turn(called)
    elif wait.cause is Cause.INPUTS:
        said = reasons.for_inputs(called)
    elif wait.cause is Cause.PROMISED:
        said = reasons.room_kept(called, wait.kept_for)
    elif wait.cause is Cause.TRIAL:
        said = reasons.on_trial(wait.type)
    elif wait.lacking is not None:
        said = reasons.lacks(wait.lacking, called)
    else:
        said = reasons.no_worker(wait.there, wait.allowed)
    parts = [said, reasons.ahead(wait.ahead, exact=wait.exact) if wait.ahead else "", _what_helps(wait, supplies)]
    return "; ".join(part for part in parts if part)


class _Binding:
    """Asks the questions of one waiting task, in order."""

    def __init__(self, ledger: Ledger, kinds: Kinds, shape: Shape, inputs: Inputs | None, now: float) -> None:
        self._ledger, self._kinds, self._shape, self._inputs, self._now = ledger, kinds, shape, inputs, now

    def find(self) -> Wait:
        """Return the cause, with its figures."""
        ledger, shape = self._ledger, self._shape
        permitted = placement.permitted(ledger, shape)
        if not permitted:
            return self._wait(Cause.NO_WORKER)
        if not placement.hosts(ledger, shape):
            return self._lacks(Cause.TOO_LARGE)
        if not self._kinds.may_start(shape):
            return self._wait(Cause.TRIAL)
        rows = ledger.open_rows() if shape.is_loose else permitted
        roomy = [row for row in rows if self._has_room(row)]
        return self._among(roomy) if roomy else self._lacks(Cause.LACKS)

    def _among(self, rows: Sequence[Row]) -> Wait:
        """Return what keeps it from the workers that have room for it."""
        ledger, shape, inputs = self._ledger, self._shape, self._inputs
        free = [row for row in rows if placement.fits(ledger, row, shape, inputs)]
        for row in rows if not free else ():
            if row.promise is not None:
                return self._wait(Cause.PROMISED, row.address, kept_for=row.promise.shape.type)
        if (
            free
            and inputs is not None
            and all(placement.waits_for_inputs(ledger, row, shape, inputs, self._now) for row in free)
        ):
            return self._wait(Cause.INPUTS, inputs.home)
        return self._wait(Cause.TURN, (free or rows)[0].address)

    def _lacks(self, cause: Cause) -> Wait:
        lacking = placement.refuse(self._ledger, self._shape, self._inputs)
        return self._wait(cause, lacking.address or "", lacking=lacking)

    def _wait(self, cause: Cause, worker: str = "", **more: Any) -> Wait:
        return Wait(self._shape.type, cause, self._ledger.amounts(self._shape.need), worker=worker, **more)

    def _has_room(self, row: Row) -> bool:
        need = placement.needed_on(self._ledger, row, self._shape, self._inputs)
        return need is not None and within(need, self._ledger.room(row))


def _allowed(shape: Shape) -> tuple[str, ...]:
    only = shape.restrictions
    return tuple(sorted(only.addresses | only.hosts)) if only is not None and not only.loose else ()


def _ahead(queues: Queues, shape: Shape, key: Key) -> tuple[int, bool]:
    """Return how many tasks go before one, and whether they were counted."""
    before = 0
    for other in queues.in_order():
        if other is shape:
            break
        if other.infeasible_since is None:  # the others keep nothing from it
            before += other.count
    entry = shape.entry(key)
    looked_at = list(islice(shape.entries(), _COUNTED))
    first = sum(other < entry for other in looked_at)
    if len(looked_at) < shape.count:
        return before + first * shape.count // len(looked_at), False
    return before + first, True


def _what_helps(wait: Wait, supplies: Sequence[Supply]) -> str:
    """Return which group could run it, and why it does not yet; empty if none is there, or none is needed."""
    if wait.cause not in (Cause.NO_WORKER, Cause.TOO_LARGE, Cause.LACKS) or wait.allowed or not supplies:
        return ""
    able = [supply for supply in supplies if wait.demand.fits(supply.room)]
    if not able:
        largest = max(supplies, key=lambda supply: supply.room[MEMORY])
        lacking = {name: largest.room[name] for name, needed in wait.demand.items() if largest.room[name] < needed}
        return reasons.no_group_large_enough(largest.group.name, str(Resources.of(lacking)))
    launching = max(able, key=lambda supply: len(supply.view.launching))
    if launching.view.launching:
        return reasons.on_the_way(launching.group.name, len(launching.view.launching), launching.group.startup)
    growing = next((supply for supply in able if supply.growth != 0), None)
    if growing is not None:
        return reasons.may_grow(growing.group.name)
    first = able[0]
    if first.view.blocked:
        return reasons.cannot_grow(first.group.name, first.view.blocked)
    return reasons.at_maximum(first.group.name, first.group.maximum or 0)
