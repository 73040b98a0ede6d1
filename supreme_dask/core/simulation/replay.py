"""Runs jobs on workers in virtual time: the loop, and what the scheduler does after every event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from supreme_dask.core import placement, reasons
from supreme_dask.core.admission import Admission
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.instructions import Fail, Recall
from supreme_dask.core.plans import Plan, Target, steps
from supreme_dask.core.simulation.agenda import Agenda
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.execution import Execution
from supreme_dask.core.simulation.fleet import Fleet
from supreme_dask.core.simulation.lives import Lives
from supreme_dask.core.simulation.outcomes import Outcome, waits
from supreme_dask.core.simulation.pacing import Pace, Planner
from supreme_dask.core.simulation.recorder import Recorder
from supreme_dask.core.simulation.tasks import Tasks
from supreme_dask.core.simulation.traces import Job
from supreme_dask.core.snapshot import GroupView, Snapshot

_SHORTEST_TICK = 0.05  # s between two looks at those who wait, as live
_LONGEST_TICK = 1.0  # s; the least that anybody is passed over before something is done for him
_FIRST_LOOK = 0.25  # s until they are looked at if nothing happens; then four times as long each time
_GIVE_UP = 8 * 86400.0  # s in which no task does anything: every schedule has come round by then


def simulate(
    jobs: Sequence[Job],
    groups: Sequence[WorkerGroup],
    planner: Planner | None = None,
    conditions: Conditions | None = None,
) -> Outcome:
    """Run jobs on workers in virtual time and return what came of it.

    Parameters
    ----------
    jobs
        As `traces.read` returns them.
    groups
        The workers that there can be; `count` of each are there at the start.
    planner
        Decides on scaling. By default there are as many as at the start, and lost ones are replaced.
    conditions
        What the world is like.

    Examples
    --------
    Three tasks of ten seconds on two workers of one thread:

    >>> from supreme_dask.core.resources import Resources
    >>> room = Resources.parse({"memory": "1 GiB"})
    >>> jobs = [Job(str(number), "load", arrival=0, duration=10, declared=room) for number in range(3)]
    >>> simulate(jobs, [WorkerGroup("small", count=2)]).makespan
    20.0
    """
    return Replay(jobs, groups, planner, conditions or Conditions()).run()


class Replay:
    """One run. `simulate` is all that most callers need.

    Attributes
    ----------
    agenda : Agenda
        The clock.
    admission : Admission
        As in a scheduler.
    tasks : Tasks
        How far the jobs are.
    """

    def __init__(
        self, jobs: Sequence[Job], groups: Sequence[WorkerGroup], planner: Planner | None, conditions: Conditions
    ) -> None:
        self.agenda = Agenda()
        self.admission = Admission(conditions.settings)
        self.tasks = Tasks(jobs)
        self._planner = planner
        self._wall = conditions.wall
        self._fleet = Fleet(groups, conditions)
        self._recorder = Recorder(groups, conditions.backlog)
        core = (self.agenda, self.admission)
        self._execution = Execution(*core, self.tasks, self._fleet, self._recorder, conditions)
        self._lives = Lives(*core, self._execution, self._fleet, self._recorder, conditions)
        self._pace = Pace(groups, conditions.pace)
        self._unhosted: tuple[str, ...] = ()
        self._coming = len(jobs)
        self._interval = _interval(jobs)
        self._ticked_at = -self._interval
        self._look_at = 0.0
        self._quiet = _FIRST_LOOK
        self._execution.on_held = _nothing if planner is None else self._wake
        self._lives.begin()
        self._lives.on_change = self._replace_lost if planner is None else self._wake
        self._lives.on_idle = _nothing if planner is None else self._rest
        self._lives.on_change()
        for job in jobs:
            self.agenda.at(job.arrival, self._come, job.key)

    def _come(self, key: str) -> None:
        self._coming -= 1
        self._execution.ready(key)

    # ------------------------------------------------------------------------------------- the loop
    def run(self) -> Outcome:
        """Run until every task has ended, or none will."""
        while self.tasks.unended and self.agenda and not self._is_stuck():
            self.step()
        return self._outcome()

    def step(self) -> None:
        """Go to the next time at which something happens."""
        waiting = len(self.admission.queues)
        self._recorder.advance(self.agenda.next, waiting)
        self.agenda.turn()
        self._attend()
        self._recorder.look(self.agenda.now, len(self.admission.queues))

    def _attend(self) -> None:
        """Look after those who wait, and fill the workers that gained room."""
        now = self.agenda.now
        if now - self._ticked_at >= self._interval:
            self._tick(now)
        for key, address in self.admission.fill(now):
            self._execution.place(str(key), address)
        if self.admission.queues or self._execution.behind:
            self._look_again(now)

    def _look_again(self, now: float) -> None:
        """See to it that those who wait are looked after though nothing happens: as live, but ever more rarely."""
        if self._execution.moved_at == now:
            self._quiet = _FIRST_LOOK
        elif self._look_at <= now:
            self._quiet *= 4
        if not now < self._look_at <= now + self._quiet:
            self._look_at = now + self._quiet
            self.agenda.at(self._look_at, _nothing)

    def _tick(self, now: float) -> None:
        self._ticked_at = now
        for instruction in self.admission.tick(now):
            match instruction:
                case Recall(address, keys):
                    self._execution.recall(self._fleet.machines[address], keys)
                case Fail(keys, sentence):
                    self._execution.fail(keys, sentence)

    def _is_at_rest(self) -> bool:
        """Tell whether only workers that may never come can change anything: dependents wait for what waits."""
        return not self._recorder.running and not self._coming

    def _is_idle(self) -> bool:
        """Tell whether there is nothing to do, and no rule of the policy goes by the clock."""
        busy = self._recorder.running or self.admission.queues
        return not busy and not getattr(self._planner, "follows_clock", True)

    def _is_stuck(self) -> bool:
        return self._is_at_rest() and self.agenda.next - self._execution.moved_at > _GIVE_UP

    def _outcome(self) -> Outcome:
        tasks, execution, lives = self.tasks, self._execution, self._lives
        return Outcome(
            tasks=len(tasks.jobs),
            finished=tasks.finished,
            failed=dict(tasks.failed),
            unmet=tuple(key for key in tasks.jobs if key in tasks.unended or key in tasks.given_up),
            unhosted=self._unhosted or tuple(self._why_they_wait()),
            makespan=execution.ended_at,
            waiting=waits(execution.waits),
            reruns=execution.reruns,
            kills=execution.kills,
            failures=lives.failures,
            interruptions=lives.interruptions,
            launched=lives.launched,
            removed=lives.removed,
            evaluations=self._pace.evaluations,
            scale_events=tuple(self._pace.events),
            usage=execution.usage,
            moments=tuple(one for one in self._recorder.moments if one.time <= execution.ended_at),
        )

    def _why_they_wait(self) -> Iterator[str]:
        for shape in self.admission.queues.in_order():
            yield reasons.waiting(shape.type, placement.refuse(self.admission.ledger, shape))

    # -------------------------------------------------------------------------------------- scaling
    def _wake(self) -> None:
        """Let scaling be decided on, as soon as its pace allows."""
        self._scale_at(self._pace.wake(self.agenda.now))

    def _rest(self) -> None:
        """Let it be decided in time whether a worker that has nothing to do is kept."""
        self._scale_at(self._pace.idle(self.agenda.now))

    def _scale_at(self, when: float | None) -> None:
        if when is not None:
            self.agenda.at(when, self._scale, when)

    def _replace_lost(self) -> None:
        groups = self._fleet.groups
        self._carry_out(Plan(0, tuple(Target(group.name, group.count, (), "as at the start") for group in groups)))

    def _scale(self, when: float) -> None:
        if self._planner is None or not self._pace.is_due(when):
            return
        plan = self._planner.plan(self._view())
        self._unhosted = plan.unmet
        at_rest = self._is_at_rest() or self._is_idle()
        again = self._pace.decided(plan, when, spare=self._fleet.any_to_spare(), at_rest=at_rest)
        self._scale_at(again)
        self._carry_out(plan)

    def _carry_out(self, plan: Plan) -> None:
        reasons = {name: target.reason for target in plan.targets for name in target.victims}
        for machine in list(self._fleet.machines.values()):
            if machine.name in reasons:
                self._lives.let_go(machine, reasons[machine.name])
            else:
                self._lives.keep(machine, "it is wanted again")
        for group, number in steps(plan, self._fleet.existing()).launch.items():
            self._lives.launch(group, number)

    def _view(self) -> Snapshot:
        """Return the cluster as the scheduler's monitor would describe it."""
        now, fleet = self.agenda.now, self._fleet
        taken = self.admission.snapshot(now)
        backlog = sum(one.count * one.duration for one in taken.waiting)
        allocated = 100 * max(self._recorder.shares().values(), default=0.0)
        *usages, usage = fleet.usages(now, backlog, allocated)
        groups = tuple(
            GroupView(group, fleet.rooms[place], fleet.launching(place), usage=usages[place])
            for place, group in enumerate(fleet.groups)
        )
        return replace(
            taken,
            workers=tuple(fleet.view(view, now) for view in taken.workers),
            groups=groups,
            wall=self._wall + now,
            spent=self._recorder.cost,
            usage=usage,
        )


def _interval(jobs: Sequence[Job]) -> float:
    """Return the seconds between two looks at those who wait: where tasks take minutes, a second more is nothing."""
    usual = median(job.duration for job in jobs) if jobs else 0.0
    return min(max(usual / 100, _SHORTEST_TICK), _LONGEST_TICK)


def _nothing() -> None:
    pass
