"""The lives of workers: asked for, there, drained, killed, dead, taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from supreme_dask.core.admission import Admission
from supreme_dask.core.draining import Drain, Facts, Origin, advance
from supreme_dask.core.simulation.agenda import Agenda
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.execution import Execution
from supreme_dask.core.simulation.fleet import Fleet
from supreme_dask.core.simulation.machines import Machine
from supreme_dask.core.simulation.recorder import Recorder

_HOUR = 3600.0


class Lives:
    """Lets workers come and go.

    Attributes
    ----------
    failures, interruptions, launched, removed : int
        As in `Outcome`.
    on_change, on_idle : callable
        Called when a worker has joined, is given notice or is gone, and when one has nothing to do any more.
    """

    def __init__(
        self,
        agenda: Agenda,
        admission: Admission,
        execution: Execution,
        fleet: Fleet,
        recorder: Recorder,
        conditions: Conditions,
    ) -> None:
        self._agenda = agenda
        self._admission = admission
        self._execution = execution
        self._fleet = fleet
        self._recorder = recorder
        self._conditions = conditions
        self.failures = self.interruptions = self.launched = self.removed = 0
        self.on_change: Callable[[], None] = _nothing
        self.on_idle: Callable[[], None] = _nothing
        execution.on_ended = self._ended
        execution.on_killed = self._killed

    # ------------------------------------------------------------------------------ coming
    def begin(self) -> None:
        """Let those be there that are there from the start."""
        for place, group in enumerate(self._fleet.groups):
            for _ in range(group.count):
                self._arrive(self._ask(place, 0.0))

    def launch(self, group: str, number: int) -> None:
        """Ask for workers of a group."""
        for _ in range(number):
            machine = self._ask(self._fleet.place_of(group), self._fleet.startup(group))
            self.launched += 1
            self._agenda.at(machine.due, self._arrive, machine)

    def _ask(self, place: int, startup: float) -> Machine:
        self._recorder.paid[place] += 1
        return self._fleet.add(place, self._agenda.now + startup)

    def _arrive(self, machine: Machine) -> None:
        self._enter(machine)
        fates = ((self._conditions.failures, self._fail), (machine.group.interruptions, self._interrupt))
        for rate, fate in fates:
            if rate:
                after = self._fleet.chance.exponential(_HOUR / rate)
                self._agenda.at(self._agenda.now + after, fate, machine)

    def _enter(self, machine: Machine) -> None:
        if machine.is_gone:
            return
        machine.is_up = True
        machine.idle_since = self._agenda.now
        room = self._fleet.rooms[machine.place]
        row = self._admission.add_worker(machine.name, machine.name, machine.group.threads, room)
        for name, axis in self._admission.ledger.axes.items():
            self._recorder.name(axis, name)
        self._recorder.supply(machine.place, row.capacity, +1)
        self.on_change()

    # ------------------------------------------------------------------------------- going
    def let_go(self, machine: Machine, reason: str, origin: Origin = "plan") -> None:
        """Let a worker leave when it has ended what it runs; one that has not come yet needs not come."""
        if not machine.is_up:
            self.removed += 1
            self._remove(machine)
        elif machine.drain is None:
            machine.drain = Drain(machine.name, machine.name, reason, origin=origin)
            self._step(machine)
        elif origin == "notice":
            machine.drain = replace(machine.drain, origin=origin)

    def keep(self, machine: Machine, reason: str) -> None:
        """Keep a worker after all, unless it was given notice."""
        if machine.drain is not None:
            self._step(machine, bound=reason)

    def _step(self, machine: Machine, bound: str = "") -> None:
        while machine.drain is not None:
            facts = Facts(self._agenda.now, running=len(machine.running), bound=bound)
            after, act = advance(machine.drain, facts)
            if after == machine.drain:
                return
            machine.drain = after
            if act == "cordon":
                self._admission.close_worker(machine.name)
                self._execution.recall(machine, list(machine.pending))
            elif act == "open":
                machine.drain = None
                self._admission.open_worker(machine.name)
            elif act == "remove":
                self.removed += not machine.has_notice
                self._remove(machine)

    def _ended(self, machine: Machine) -> None:
        if not machine.running:
            self.on_idle()
        self._step(machine)

    def _leave(self, machine: Machine) -> None:
        self._recorder.supply(machine.place, self._admission.ledger.rows[machine.name].capacity, -1)
        machine.is_up = False
        self._execution.vacate(machine)

    def _remove(self, machine: Machine) -> None:
        machine.is_gone = True
        self._recorder.paid[machine.place] -= 1
        self._fleet.remove(machine)
        if machine.is_up:
            self._leave(machine)
        self.on_change()

    # ------------------------------------------------------------------------------- fates
    def _killed(self, machine: Machine) -> None:
        """Let a nanny start its worker again; one that was to leave stays away."""
        if machine.drain is not None:
            self._remove(machine)
        else:
            self._leave(machine)
            self._agenda.at(self._agenda.now + self._conditions.restart, self._enter, machine)

    def _fail(self, machine: Machine) -> None:
        if not machine.is_gone:
            self.failures += 1
            self._remove(machine)

    def _interrupt(self, machine: Machine) -> None:
        if machine.is_gone:
            return
        self.interruptions += 1
        if not machine.is_up or not self._conditions.notice:
            self._remove(machine)
            return
        self._agenda.at(self._agenda.now + self._conditions.notice, self._taken, machine)
        self.let_go(machine, "it is taken away", "notice")
        if not machine.is_gone:
            self.on_change()

    def _taken(self, machine: Machine) -> None:
        if not machine.is_gone:
            self._remove(machine)


def _nothing() -> None:
    pass
