"""All workers of a simulation, what is known of them, and chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count, repeat

import numpy as np

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import MEMORY
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.machines import Machine
from supreme_dask.core.snapshot import Launch, Usage, Windows, WorkerView
from supreme_dask.core.windows import Means

_LATE = 2.0  # times its start-up time after which a worker that is on its way is no longer counted on


class Fleet:
    """All machines, by name, and chance."""

    def __init__(self, groups: Sequence[WorkerGroup], conditions: Conditions) -> None:
        self.groups = tuple(groups)
        self.rooms = [conditions.room(group) for group in groups]
        self.limits = [conditions.limit(group) for group in groups]
        self.machines: dict[str, Machine] = {}
        self.chance = np.random.default_rng(conditions.seed)
        self._spread = conditions.spread
        self._numbers = [count() for _ in groups]
        self._places = {group.name: place for place, group in enumerate(groups)}
        self._startups = {
            group.name: chain(conditions.startups.get(group.name, ()), repeat(group.startup)) for group in groups
        }
        self._means = [Means() for _ in range(len(groups) + 1)]

    def place_of(self, group: str) -> int:
        """Return the number of a group."""
        return self._places[group]

    def startup(self, group: str) -> float:
        """Return the seconds until the next worker of a group will be there."""
        varied = 1.0 + self._spread * float(self.chance.uniform(-1, 1)) if self._spread else 1.0
        return next(self._startups[group]) * varied

    def add(self, place: int, due: float) -> Machine:
        """Return a new machine of a group. Names are never used again."""
        group = self.groups[place]
        machine = Machine(f"{group.name}-{next(self._numbers[place])}", place, group, due)
        self.machines[machine.name] = machine
        return machine

    def remove(self, machine: Machine) -> None:
        """Forget a machine."""
        del self.machines[machine.name]

    def existing(self) -> dict[str, str]:
        """Return the group of each worker, there or on its way, by name; not of those that were given notice."""
        return {name: machine.group.name for name, machine in self.machines.items() if not machine.has_notice}

    def any_to_spare(self) -> bool:
        """Tell whether a worker has nothing to do that could leave."""
        there = [0] * len(self.groups)
        idle = [0] * len(self.groups)
        for machine in self.machines.values():
            there[machine.place] += 1
            idle[machine.place] += machine.is_up and not machine.running and machine.drain is None
        return any(
            some and count > group.minimum for some, count, group in zip(idle, there, self.groups, strict=True)
        )

    def launching(self, place: int) -> tuple[Launch, ...]:
        """Return the workers of a group that are on their way."""
        late = _LATE * self.groups[place].startup
        return tuple(
            Launch(machine.name, machine.due + late)
            for machine in self.machines.values()
            if machine.place == place and not machine.is_up
        )

    def view(self, view: WorkerView, now: float) -> WorkerView:
        """Return what is known of a worker beside its row."""
        machine = self.machines[view.address]
        return replace(
            view,
            name=machine.name,
            group=machine.group.name,
            draining=machine.drain is not None,
            leaving=machine.has_notice,
            elapsed=machine.elapsed(now),
            idle_since=None if machine.running or machine.pending else machine.idle_since,
        )

    def usages(self, now: float, backlog: float, allocated: float) -> list[Windows]:
        """Return what the workers of each group use, and last what all of them do.

        Parameters
        ----------
        backlog
            Seconds of waiting work.
        allocated
            Percent of the scarcest resource that are reserved on all workers.
        """
        there = [machine for machine in self.machines.values() if machine.is_up]
        of_groups = [[one for one in there if one.place == place] for place in range(len(self.groups))]
        return [
            means.add(_usage(machines, now, backlog, allocated), now)
            for means, machines in zip(self._means, [*of_groups, there], strict=True)
        ]


def _usage(machines: Sequence[Machine], now: float, backlog: float, allocated: float) -> Usage:
    threads = sum(machine.group.threads for machine in machines)
    return Usage(
        _percent(sum(machine.busy for machine in machines), sum(machine.group.cpu for machine in machines)),
        _percent(
            sum(machine.used(now) for machine in machines),
            sum(machine.group.capacity[MEMORY] for machine in machines),
        ),
        0.0,
        allocated,
        backlog / threads if threads else backlog,
    )


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0
