"""How a worker leaves without anything being lost: a state machine, with its transitions as a table.

A worker that is to leave takes no new tasks (it is cordoned), ends those that run there, hands over the results that
only it holds, and is removed when all of that has been seen to be true. Until then it can be had back.

=========== ============ =========== ==========================================================================
state       what is seen  next        what is done
=========== ============ =========== ==========================================================================
finishing   overdue      finishing   tasks that their user lets run again are taken off it
finishing   idle         moving      others copy its results
moving      idle         moving      nothing, while that is under way
moving      moved        leaving     it may be removed; it is closed to all for good
moving      busy         finishing   nothing: a task came in between
moving      stuck        kept        it takes tasks again: nobody can take its results
any but     wanted       kept        it takes tasks again
leaving
any         gone         gone        nothing: it is not there any more
=========== ============ =========== ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["finishing", "moving", "leaving", "kept", "gone"]
Event = Literal["overdue", "idle", "busy", "moved", "stuck", "wanted", "gone"]
Act = Literal["cut", "move", "remove", "open"]

TRANSITIONS: dict[tuple[State, Event], tuple[State, Act | None]] = {
    ("finishing", "overdue"): ("finishing", "cut"),
    ("finishing", "idle"): ("moving", "move"),
    ("moving", "busy"): ("finishing", None),
    ("moving", "moved"): ("leaving", "remove"),
    ("moving", "stuck"): ("kept", "open"),
    ("finishing", "wanted"): ("kept", "open"),
    ("moving", "wanted"): ("kept", "open"),
    ("finishing", "gone"): ("gone", None),
    ("moving", "gone"): ("gone", None),
    ("leaving", "gone"): ("gone", None),
}
"""What is not in the table changes nothing."""

ENDED: frozenset[State] = frozenset({"kept", "gone"})


@dataclass(frozen=True, slots=True)
class Drain:
    """One worker on its way out.

    Attributes
    ----------
    address, name : str
        The worker.
    reason : str
        Why it leaves; later, why it is kept.
    deadline : float
        When tasks are cut that may run again, on the clock of `Facts.now`.
    is_cut : bool
        Whether that was done.
    """

    address: str
    name: str
    reason: str
    deadline: float = float("inf")
    state: State = "finishing"
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen of a worker that leaves.

    Attributes
    ----------
    now : float
        Seconds.
    present : bool
        Whether it is there.
    running : int
        Tasks that it was given and has not ended.
    unique : int
        Results that no worker holds which stays.
    bound : str
        Why it is needed after all; empty if it is not.
    moved : bool or None
        Whether others could copy its results; None while that is under way, or has not begun.
    """

    now: float
    present: bool = True
    running: int = 0
    unique: int = 0
    bound: str = ""
    moved: bool | None = None


def advance(drain: Drain, facts: Facts) -> tuple[Drain, Act | None]:
    """Return what becomes of a drain by what is seen now, and what is to be done about it."""
    event = _event(drain, facts)
    state, act = TRANSITIONS.get((drain.state, event), (drain.state, None))
    reason = facts.bound if event == "wanted" else _STUCK if event == "stuck" else drain.reason
    return replace(drain, state=state, reason=reason, is_cut=drain.is_cut or act == "cut"), act


_STUCK = "no other worker can take the results that only it holds"


def _event(drain: Drain, facts: Facts) -> Event:
    if not facts.present:
        return "gone"
    if facts.bound:
        return "wanted"
    if facts.running:
        return "overdue" if facts.now >= drain.deadline and not drain.is_cut else "busy"
    if drain.state != "moving" or facts.moved is None:
        return "idle"
    if not facts.moved:
        return "stuck"
    return "busy" if facts.unique else "moved"  # a result came in between: once more
