"""Tasks on workers: they arrive, start, end, are taken back, and are killed with their worker."""

from __future__ import annotations

from collections.abc import Callable, Collection

from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS, Need
from supreme_dask.core.keys import Key
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.simulation.agenda import Agenda
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.fleet import Fleet
from supreme_dask.core.simulation.machines import Machine, Run
from supreme_dask.core.simulation.recorder import Recorder
from supreme_dask.core.simulation.tasks import Tasks
from supreme_dask.core.verdicts import Court, suspects


class Execution:
    """Runs tasks where admission puts them, as a scheduler and its workers do.

    Attributes
    ----------
    waits : list of float
        Seconds that tasks waited, until they started for the first time.
    behind : int
        Tasks that wait on a worker for a thread.
    moved_at, ended_at : float
        When a task last did anything, and when one last ended.
    usage : Totals
        The sums until then, or until a little before if others run still.
    reruns, kills : int
        Tasks begun again because their worker was lost, and workers killed for their memory.
    on_held, on_ended, on_killed : callable
        Called when a task is held; with the worker, when a task has ended there, and when it was killed.
    """

    on_held: Callable[[], None]
    on_ended: Callable[[Machine], None]
    on_killed: Callable[[Machine], None]

    def __init__(
        self,
        agenda: Agenda,
        admission: Admission,
        tasks: Tasks,
        fleet: Fleet,
        recorder: Recorder,
        conditions: Conditions,
    ) -> None:
        self._agenda = agenda
        self._admission = admission
        self._tasks = tasks
        self._fleet = fleet
        self._recorder = recorder
        self._bandwidth = conditions.bandwidth
        self._court = Court(admission.ledger, admission.kinds)
        self._needs: dict[str, Need] = {}  # what each placed task was given
        self.waits: list[float] = []
        self.behind = self.reruns = self.kills = 0
        self.moved_at = self.ended_at = 0.0
        self.usage = recorder.usage()

    # ------------------------------------------------------------------------------ tasks come
    def ready(self, key: str) -> None:
        """Note that one of the things that a task waits for is there: its time, or the result of another."""
        if self._tasks.one_less(key, self._agenda.now):
            self.arrive(key)

    def arrive(self, key: str) -> None:
        """Let a task be admitted, or held."""
        self.moved_at = self._agenda.now
        address = self._admission.arrive(self._tasks.task(key), self._agenda.now)
        if address is None:
            self.on_held()
        else:
            self.place(key, address)

    def place(self, key: str, address: str) -> None:
        """Bring a task to the worker that it was admitted to, where it starts unless it is a short one that waits."""
        machine = self._fleet.machines[address]
        need = self._needs[key] = self._admission.ledger.reservations[key].need
        self._recorder.reserve(need, +1)
        if len(machine.running) < machine.group.threads:
            self._start(key, machine)
        else:
            machine.pending.append(key)
            self.behind += 1

    def _start(self, key: str, machine: Machine) -> None:
        now = self.moved_at = self._agenda.now
        job, inputs = self._tasks.jobs[key], self._tasks.inputs(key)
        fetched = inputs.missing(machine.name) if inputs is not None else 0
        run = Run(job, now, now + job.duration + fetched / self._bandwidth, fetched)
        machine.start(run)
        self._recorder.run(job, +1)
        since = self._tasks.started(key)
        if since is not None:
            self.waits.append(now - since)
        self._agenda.at(run.ends, self._end, machine, run)
        # Live, heartbeats tell what is at stake.
        self._admission.ledger.set_stake(self._admission.ledger.rows[machine.name], 0.0)
        self._watch(machine)

    # -------------------------------------------------------------------------------- tasks end
    def _end(self, machine: Machine, run: Run) -> None:
        if run.cancelled:
            return
        now, job = self._agenda.now, run.job
        memory = machine.end(run, now)
        self._recorder.run(job, -1)
        measured = Measurement(now - run.started, job.cpu * job.duration, memory, run.alone, job.inputs, run.fetched)
        self._give_back(job.key, measured)
        self._court.forget(job.key)
        self._ended()
        if machine.pending:
            self.behind -= 1
            self._start(machine.pending.popleft(), machine)
        self._watch(machine)
        for dependent in self._tasks.finish(job.key, machine.name):
            self.ready(dependent)
        self.on_ended(machine)

    def _ended(self) -> None:
        self.moved_at = self.ended_at = self._agenda.now
        if not self._recorder.running:
            # Whatever comes after the last task is not what the work has cost.
            self.usage = self._recorder.usage()

    def _give_back(self, key: str, measured: Measurement | None) -> None:
        self._recorder.reserve(self._needs.pop(key), -1)
        self._admission.finish(key, measured, self._agenda.now)

    def fail(self, keys: Collection[Key], why: str) -> None:
        """Let tasks fail that wait for what will never come."""
        for key in keys:
            self._admission.drop(key)
            self._tasks.fail(str(key), why)

    # ---------------------------------------------------------------------------- tasks go back
    def recall(self, machine: Machine, keys: Collection[Key]) -> None:
        """Take back those of some tasks that have not started."""
        for key in [key for key in machine.pending if key in keys]:
            machine.pending.remove(key)
            self.behind -= 1
            self._give_back(key, None)
            self.arrive(key)

    def vacate(self, machine: Machine) -> None:
        """Take a worker out of the ledger, and let what it had run elsewhere."""
        self._admission.remove_worker(machine.name)
        keys = [*machine.running, *machine.pending]
        self.behind -= len(machine.pending)
        for run in machine.clear():
            self._recorder.run(run.job, -1)
            self.reruns += 1
        for key in keys:
            self._recorder.reserve(self._needs.pop(key), -1)
        for key in keys:
            if key in self._tasks.unended:
                self.arrive(key)

    def _watch(self, machine: Machine) -> None:
        when = machine.bursts(self._fleet.limits[machine.place])
        if when is not None:
            self._agenda.at(max(when, self._agenda.now), self._kill, machine, machine.life)

    def _kill(self, machine: Machine, life: int) -> None:
        """End a worker whose tasks take more than it has, and judge them by the rules that hold live."""
        if machine.life != life:
            return  # something started or ended there meanwhile
        self.kills += 1
        row = self._admission.ledger.rows[machine.name]
        limit = self._fleet.limits[machine.place]
        verdict = self._court.judge(suspects(row.tasks.values()), row.capacity[MEMORY_AXIS], limit)
        if verdict.blamed is None:
            self._tasks.alone.update(machine.running)
        elif verdict.size is None:
            self._tasks.fail(str(verdict.blamed), verdict.refused)
        else:
            self._tasks.enlarge(str(verdict.blamed), verdict.size)
        self.on_killed(machine)
        self._ended()
