"""Where one task goes: filter → score → pick.

Filter keeps the workers where the task fits now. A bounded number of them is scored (the "power of d
choices": Mitzenmacher 2001, and what Nomad does), so that a decision costs the same with a hundred workers
and with a thousand. Equal histories give equal decisions.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice

from supreme_dask.core.axes import CPU_AXIS, IDLE_AXIS, MEMORY_AXIS, THREADS_AXIS, Need, within
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.reasons import Unplaceable
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Inputs, Shape

_CHOICES = 8
_STILL = 1.0  # seconds without a task ending; a worker that reads what it spilled is still for some tenths
_WORTHWHILE = 0.005  # seconds; a shorter task is worth no transfer
_NEAR = 1 << 16  # bytes of inputs that are no reason to wait for a worker
_PROBE_CHOICES = 64  # a task of unknown size goes to the largest worker; it is worth looking for


def pick(ledger: Ledger, shape: Shape, inputs: Inputs | None = None, start: int = 0) -> Row | None:
    """Return the worker that suits the shape best, of those where it fits now.

    Fewest bytes to fetch first. Then a task that mostly takes cpu goes where most threads are free (threads
    of one process share the interpreter lock and the memory bus); one that mostly takes anything else goes
    where least is left of that (best fit: small remainders are of no use); one of unknown size goes to the
    largest worker. Ties go to the row found first.

    Parameters
    ----------
    start
        Number of the row to look at first; a caller that advances it spreads equals over equals.
    """
    if shape.actor:
        return _pick_for_actor(ledger, shape, inputs)
    axis = MEMORY_AXIS if shape.probing else _dominant_axis(ledger, shape.need)
    spread = shape.probing or axis in (THREADS_AXIS, CPU_AXIS)
    best, best_score = None, None
    for row in _filtered(ledger, shape, inputs, start if spread else 0):
        left = ledger.room(row)[MEMORY_AXIS] if shape.probing else _left(row, shape.need, axis)
        score = (inputs.missing(row.address) if inputs else 0, -left if spread else left)
        if best_score is None or score < best_score:
            best, best_score = row, score
    return best


def fits(ledger: Ledger, row: Row, shape: Shape, inputs: Inputs | None) -> bool:
    """Tell whether a task of a shape fits on a row now, with the inputs that it has to fetch."""
    if shape.restrictions is not None and not _is_permitted(ledger, row, shape):
        return False
    need = needed_on(ledger, row, shape, inputs)
    return need is not None and ledger.fits(row, need, shape)


def needed_on(ledger: Ledger, row: Row, shape: Shape, inputs: Inputs | None) -> Need | None:
    """Return what a task of a shape takes of a row, with the inputs to fetch; None if it is to go to another row."""
    need = with_inputs(shape.need, inputs, row)
    if inputs is not None and not ledger.could_fit(row, need):
        if not ledger.could_fit(row, shape.need) or _has_room_somewhere(ledger, shape, inputs):
            return None
        # It takes a whole worker, and its inputs are where it may not run: it must run some time.
        need = cut(need, row)
    return need


def waits_for_inputs(ledger: Ledger, row: Row, shape: Shape, inputs: Inputs, now: float) -> bool:
    """Tell whether a task waits for the worker that has its inputs, rather than have them fetched to a row.

    Only where it waits there for a thread, or for what the worker stores to be spilled, and the worker gets on with
    what it runs. Stock Dask steals by the same rule, and neither very short tasks nor unknown ones.
    """
    home = ledger.rows.get(inputs.home)
    if home is None or home is row or not home.is_open or home.promise is not None:
        return False
    away = inputs.missing(row.address) - inputs.missing(home.address)
    if away <= _NEAR or not _may_run_at(ledger, home, shape):
        return False
    fetch = away / ledger.bandwidth
    wait = 0.0
    if shape.timed and shape.duration >= _WORTHWHILE:
        turns = max(home.behind + shape.count_at(home.address), 1) / max(home.threads, 1)
        wait = shape.duration * (1 + turns)
    # While it gets its turn before long: what comes there after it may go first.
    since = max(min(home.progress, shape.since), 0.0) if shape.count else home.progress
    return wait < 1.5 * (fetch + shape.duration) and now - since < max(_STILL, fetch, 2 * wait)


def _may_run_at(ledger: Ledger, home: Row, shape: Shape) -> bool:
    if shape.actor:  # these are spread
        return False
    if shape.restrictions is not None and not shape.restrictions.permit(home.address, home.host):
        return False
    return ledger.could_fit(home, shape.need) and within(shape.rest, ledger.room(home, spilled=True))


def with_inputs(need: Need, inputs: Inputs | None, row: Row) -> Need:
    """Return `need` plus the memory of the inputs that are not yet on the row."""
    missing = inputs.missing(row.address) if inputs is not None else 0
    if not missing:
        return need
    amounts = dict(need)
    if MEMORY_AXIS in amounts:  # a task of unknown size takes all there is anyway
        amounts[MEMORY_AXIS] += missing
    return tuple(sorted(amounts.items()))


def cut(need: Need, row: Row) -> Need:
    """Return `need`, or what the row has where that is less."""
    return tuple((axis, min(amount, row.capacity[axis])) for axis, amount in need)


def refuse(ledger: Ledger, shape: Shape, inputs: Inputs | None = None) -> Unplaceable:
    """Say what lacks on the worker that comes nearest to having room, also for inputs. Walks all workers."""
    ever = hosts(ledger, shape)
    rows = ever or permitted(ledger, shape)
    if not rows:
        return Unplaceable(None, "worker", 1, 0, ever=False)
    lacking = (
        (_worst_now(ledger, row, shape, inputs) if ever else _worst(shape.need, row.capacity), row) for row in rows
    )
    (axis, needed, found), row = min(lacking, key=lambda one: _gap(one[0]))
    name = ledger.names[axis]
    if ever:
        return Unplaceable(row.address, name, needed, found, ever=True)
    others = (
        (other, amount, row.capacity[other]) for other, amount in shape.need if other not in (axis, THREADS_AXIS)
    )
    further = tuple((ledger.names[other], amount, has) for other, amount, has in others if amount > has)
    declared = () if found else tuple(_declared(ledger))
    return Unplaceable(
        row.address, name, needed, found, ever=False, instead=() if name in declared else declared, further=further
    )


def _declared(ledger: Ledger) -> list[str]:
    """Return the resources of which some worker has any."""
    rows = ledger.rows.values()
    axes = [(name, axis) for name, axis in ledger.axes.items() if axis not in (THREADS_AXIS, IDLE_AXIS)]
    return [name for name, axis in axes if any(row.capacity[axis] for row in rows)]


def hosts(ledger: Ledger, shape: Shape) -> list[Row]:
    """Return the open workers that could run the shape if nothing else ran there."""
    found = [row for row in permitted(ledger, shape) if ledger.could_fit(row, shape.need)]
    if found or not shape.is_loose:
        return found
    return [row for row in ledger.open_rows() if ledger.could_fit(row, shape.need)]


def permitted(ledger: Ledger, shape: Shape) -> list[Row]:
    """Return the open workers that the shape's restrictions allow."""
    rows = ledger.open_rows()
    restrictions = shape.restrictions
    if restrictions is None:
        return rows
    allowed = [row for row in rows if restrictions.permit(row.address, row.host)]
    return rows if restrictions.loose and not allowed else allowed


def freedom(row: Row, need: Need) -> float:
    """Return the part of `need` that is free on a row already: 1.0 where it fits."""
    return min((min(row.free[axis] / amount, 1.0) for axis, amount in need if amount), default=1.0)


def _pick_for_actor(ledger: Ledger, shape: Shape, inputs: Inputs | None) -> Row | None:
    """Return the worker with a free thread, for it is made in one, where the fewest actors live."""
    rows = [row for row in permitted(ledger, shape) if ledger.fits(row, shape.need, shape)]
    held = inputs or Inputs(0)
    return min(
        rows,
        key=lambda row: (row.free[THREADS_AXIS] <= 0, row.residents, held.missing(row.address)),
        default=None,
    )


def _is_permitted(ledger: Ledger, row: Row, shape: Shape) -> bool:
    """Tell whether restrictions let a shape run on a row; loose ones do where no preferred worker has room."""
    if shape.restrictions is None or shape.restrictions.permit(row.address, row.host):
        return True
    preferred = permitted(ledger, shape)
    return shape.restrictions.loose and (
        row in preferred or not any(ledger.fits(other, shape.need, shape) for other in preferred)
    )


def _filtered(ledger: Ledger, shape: Shape, inputs: Inputs | None, start: int) -> Iterator[Row]:
    if shape.restrictions is not None:
        yield from (row for row in permitted(ledger, shape) if fits(ledger, row, shape, inputs))
        return
    if inputs is not None:
        for address in heapq.nlargest(_CHOICES, inputs.held, key=inputs.held.__getitem__):
            row = ledger.rows.get(address)
            if row is not None and row.is_open and fits(ledger, row, shape, inputs):
                yield row
    free = (row for row in ledger.rows_fitting(shape.need, start) if fits(ledger, row, shape, inputs))
    yield from islice(free, _PROBE_CHOICES if shape.probing else _CHOICES)


def _has_room_somewhere(ledger: Ledger, shape: Shape, inputs: Inputs) -> bool:
    return any(ledger.could_fit(row, with_inputs(shape.need, inputs, row)) for row in permitted(ledger, shape))


def _dominant_axis(ledger: Ledger, need: Need) -> int:
    total = ledger.total
    return max((amount / (total[axis] or 1), -axis) for axis, amount in need if axis != IDLE_AXIS)[1] * -1


def _left(row: Row, need: Need, axis: int) -> float:
    needed = next((amount for other, amount in need if other == axis), 0)
    return (row.free[axis] - needed) / (row.capacity[axis] or 1)


def _gap(lacking: tuple[int, int, int]) -> float:
    _, needed, found = lacking
    return (needed - found) / max(needed, 1)


def _worst_now(ledger: Ledger, row: Row, shape: Shape, inputs: Inputs | None) -> tuple[int, int, int]:
    return _worst(cut(with_inputs(shape.need, inputs, row), row), ledger.room(row))


def _worst(need: Need, amounts: list[int]) -> tuple[int, int, int]:
    return max(((axis, amount, amounts[axis]) for axis, amount in need), key=_gap)
