"""How a worker leaves without anything being lost: a state machine, with its transitions as a table.

A worker that is to leave takes no new tasks (it is cordoned), ends those that run there, hands over the results that
only it holds, and is removed when all of that has been seen to be true. Until then it can be had back. One that was
given notice cannot: its machine goes away at a certain time, whatever anybody wants.

=========== ============ =========== ==========================================================================
state       what is seen  next        what is done
=========== ============ =========== ==========================================================================
asked       ready        finishing   it is cordoned, and gives back what it has not begun
finishing   overdue      finishing   tasks that their user lets run again are taken off it
finishing   hurried      finishing   others copy what it has so far: it was given notice
finishing   idle         moving      others copy what only it holds
moving      idle         moving      the same, as far as it is not under way
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

State = Literal["asked", "finishing", "moving", "leaving", "kept", "gone"]
Event = Literal["ready", "overdue", "hurried", "idle", "busy", "moved", "stuck", "wanted", "gone"]
Act = Literal["cordon", "cut", "move", "remove", "open"]
Origin = Literal["plan", "person", "notice"]

TRANSITIONS: dict[tuple[State, Event], tuple[State, Act | None]] = {
    ("asked", "ready"): ("finishing", "cordon"),
    ("finishing", "overdue"): ("finishing", "cut"),
    ("finishing", "hurried"): ("finishing", "move"),
    ("finishing", "idle"): ("moving", "move"),
    ("moving", "idle"): ("moving", "move"),
    ("moving", "moved"): ("leaving", "remove"),
    ("moving", "busy"): ("finishing", None),
    ("moving", "stuck"): ("kept", "open"),
    ("asked", "wanted"): ("kept", "open"),
    ("finishing", "wanted"): ("kept", "open"),
    ("moving", "wanted"): ("kept", "open"),
    ("asked", "gone"): ("gone", None),
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
    origin : str
        Who wants it: a ``plan``, which may want it back; a ``person``; or a ``notice`` that its machine goes away.
    is_cut : bool
        Whether tasks were cut.
    """

    address: str
    name: str
    reason: str
    deadline: float = float("inf")
    origin: Origin = "plan"
    state: State = "asked"
    is_cut: bool = False

    @property
    def step(self) -> tuple[State, bool]:
        """What is stored before it is acted on."""
        return self.state, self.is_cut


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
        Results that no worker holds which stays, or data on its way there.
    takers : bool
        Whether a worker is there that could take them.
    bound : str
        Why it is needed after all; empty if it is not.
    """

    now: float
    present: bool = True
    running: int = 0
    unique: int = 0
    takers: bool = True
    bound: str = ""


def advance(drain: Drain, facts: Facts) -> tuple[Drain, Act | None]:
    """Return what becomes of a drain by what is seen now, and what is to be done about it."""
    event = _event(drain, facts)
    state, act = TRANSITIONS.get((drain.state, event), (drain.state, None))
    reason = drain.reason
    if state == "kept" and drain.state != "kept":
        reason = facts.bound if event == "wanted" else _STUCK
    return replace(drain, state=state, reason=reason, is_cut=drain.is_cut or act == "cut"), act


def must_be_stored(drain: Drain, after: Drain) -> bool:
    """Tell whether a step waits until it is stored.

    Whoever is kept, gone, or given notice does not wait: a worker that is open is no loss, and a machine that goes
    away does not wait for a store.
    """
    return after.step != drain.step and after.state not in ENDED and drain.origin != "notice"


_STUCK = "no other worker can take the results that only it holds"


def _event(drain: Drain, facts: Facts) -> Event:
    has_notice = drain.origin == "notice"
    if not facts.present:
        return "gone"
    if facts.bound and not has_notice:
        return "wanted"
    if drain.state == "asked":
        return "ready"
    event = _event_of_busy if facts.running else _event_of_idle
    return event(drain, facts, has_notice=has_notice)


def _event_of_busy(drain: Drain, facts: Facts, *, has_notice: bool) -> Event:
    if drain.state != "finishing":
        return "busy"
    if facts.now >= drain.deadline and not drain.is_cut:
        return "overdue"
    return "hurried" if has_notice else "busy"


def _event_of_idle(drain: Drain, facts: Facts, *, has_notice: bool) -> Event:
    if drain.state != "moving":
        return "idle"
    if not facts.unique:
        return "moved"
    return "idle" if facts.takers or has_notice else "stuck"
