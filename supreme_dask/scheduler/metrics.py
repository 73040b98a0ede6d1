"""What the cluster is doing, as scaling decides on it: the ledger's snapshot, with what only the scheduler knows.

Heartbeats say what processes use. Everything here is counted, or looked at for a bounded time: at 1,000 workers a
snapshot is taken in a few ten milliseconds, however many tasks and results there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic, time
from typing import Any

from distributed.scheduler import Scheduler, WorkerState

from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import IDLE_AXIS, LIMITED, NETWORK_AXIS, THREADS_AXIS
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.policies.situation import room_of
from supreme_dask.core.resources import Resources
from supreme_dask.core.rows import Row
from supreme_dask.core.snapshot import GroupView, Snapshot, Usage, WaitingView, Windows, WorkerView
from supreme_dask.core.windows import Means
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.draining import Drains

_RESULTS_LOOKED_AT = 10_000  # per snapshot, over all workers
_EVERY = 1.0  # s between two samples of groups
_HOUR = 3600.0


class SystemMetricsMonitor:
    """Takes snapshots of one scheduler.

    Parameters
    ----------
    drains
        Workers on their way out.
    groups
        The worker groups, with who is on the way there.
    group_of
        The group of the worker of a name; empty if it belongs to none.

    Attributes
    ----------
    bound : dict
        Names of workers that could not leave when they were asked to, and until when nobody asks again.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        admission: Admission,
        drains: Drains,
        groups: Callable[[], Sequence[GroupView]],
        group_of: Callable[[str], str],
    ) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._drains = drains
        self._groups = groups
        self._group_of = group_of
        self.bound: dict[str, float] = {}
        self._watched: dict[str, _Watched] = {}
        self._rooms: dict[str, tuple[Resources, Resources]] = {}  # what a group promises, and what its workers had
        self._means: dict[str, Means] = {}
        self._windows: dict[str, Windows] = {}
        self._looked = 0.0
        self._summed = 0.0
        self._spent = 0.0

    def snapshot(self) -> Snapshot:
        """Return the cluster as it is now."""
        now, wall = monotonic(), time()
        groups = self._groups()
        self._listen(now, groups)
        self.bound = {name: until for name, until in self.bound.items() if until > now}
        look = _Look(
            wall,
            observe.pinned(self._scheduler),
            self._drains.states().keys(),
            self._drains.returnable(),
            _RESULTS_LOOKED_AT // max(len(self._watched), 1) + 1,
        )
        taken = self._admission.snapshot(now, partial(self._more, look))
        self._sample(now, taken.waiting, groups)
        self._look_at_rooms(groups, taken.workers)
        return replace(
            taken,
            groups=tuple(self._group(view) for view in groups),
            wall=wall,
            spent=self._spent,
            usage=self._of_group(_ALL),
        )

    def _more(self, look: _Look, row: Row) -> Mapping[str, Any]:
        """Return what the ledger does not know of a worker."""
        ws, watched = self._scheduler.workers[row.address], self._watched[row.address]
        draining = watched.name in look.draining
        return {
            "name": watched.name,
            "group": watched.group,
            "draining": draining,
            "leaving": draining and watched.name not in look.returnable,
            "elapsed": observe.elapsed(ws, look.wall) if ws.executing else 0.0,
            "unique": observe.held_alone(ws, look.results) if ws.has_what else 0,
            "pinned": row.address in look.pinned or watched.name in self.bound,
            "idle_since": None if row.tasks else max(row.progress, watched.joined),
            "usage": watched.windows,
        }

    def _look_at_rooms(self, groups: Sequence[GroupView], workers: Sequence[WorkerView]) -> None:
        """Note what workers have for tasks, of those that came since their group promises what it does now."""
        known = {view.group.name: view.group for view in groups}
        found: dict[str, list[Resources]] = {}
        for worker in workers:
            if worker.group in known and self._watched[worker.address].promised == known[worker.group].capacity:
                found.setdefault(worker.group, []).append(worker.capacity)
        self._rooms = {
            name: room for name, room in self._rooms.items() if name in known and room[0] == known[name].capacity
        }
        for name, capacities in found.items():
            self._rooms[name] = known[name].capacity, room_of(known[name], capacities)

    def _group(self, view: GroupView) -> GroupView:
        """Add what a group uses, and what its workers have for tasks, or had when there were some."""
        name = view.group.name
        room = self._rooms[name][1] if name in self._rooms else room_of(view.group, ())
        return replace(view, room=room, usage=self._of_group(name))

    # ----------------------------------------------------------------------------------- usage
    def _listen(self, now: float, groups: Sequence[GroupView]) -> None:
        """Take in the heartbeats that came since the last look."""
        rows, workers = self._admission.ledger.rows, self._scheduler.workers
        self._watched = {address: self._watched.get(address) or _Watched(now) for address in rows}
        hosts = Counter(row.host for row in rows.values())
        promised = {view.group.name: view.group.capacity for view in groups}
        for address, watched in self._watched.items():
            ws = workers[address]
            watched.name = str(ws.name)
            watched.group = self._group_of(watched.name)
            watched.promised = watched.promised or promised.get(watched.group)
            if watched.seen != ws.last_seen:
                watched.hear(ws, rows[address], hosts[rows[address].host], now)
        self._spend(now, groups)

    def _sample(self, now: float, waiting: Sequence[WaitingView], groups: Sequence[GroupView]) -> None:
        """Take in what groups use, once a second."""
        known = self._windows.keys() == {_ALL, *(view.group.name for view in groups)}
        if now - self._summed >= _EVERY or not known:
            self._summed = now
            self._sum_up(now, waiting, [view.group for view in groups])

    def _sum_up(self, now: float, waiting: Sequence[WaitingView], groups: Sequence[WorkerGroup]) -> None:
        """Sample what groups use; of a group that is new, from now on."""
        members: dict[str, list[_Watched]] = {_ALL: list(self._watched.values())}
        for watched in self._watched.values():
            members.setdefault(watched.group, []).append(watched)
        fitting = {group.name: [one for one in waiting if one.demand.fits(group.capacity)] for group in groups}
        names = {_ALL, *fitting}
        self._means = {name: self._means.get(name) or Means() for name in names}
        for name in names:
            there = members.get(name, [])
            usage = _together(there, fitting.get(name, waiting))
            self._windows[name] = self._means[name].add(usage, now)
        self._windows = {name: self._windows[name] for name in names}  # those that are gone are forgotten

    def _spend(self, now: float, groups: Sequence[GroupView]) -> None:
        costs = {view.group.name: view.group.cost for view in groups}
        per_hour = sum(costs.get(watched.group, 0.0) for watched in self._watched.values())
        self._spent += per_hour * (now - self._looked) / _HOUR if self._looked else 0.0
        self._looked = now

    def _of_group(self, name: str) -> Windows:
        return self._windows.get(name, _NOTHING)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is the same for all workers of a snapshot."""

    wall: float
    pinned: Set[str]
    draining: Set[str]
    returnable: Set[str]
    results: int


class _Watched:
    """One worker: what it is, and what it used at its last heartbeat."""

    __slots__ = (
        *("cores", "group", "joined", "limit", "means", "memory", "name", "network"),
        *("promised", "row", "seen", "windows"),
    )

    def __init__(self, joined: float) -> None:
        self.joined = joined
        self.name = ""
        self.group = ""
        self.promised: Resources | None = None  # by its group, when it came
        self.seen = 0.0
        self.cores = 0.0
        self.memory = 0
        self.limit = 0
        self.network = 0.0
        self.means = Means()
        self.windows = _NOTHING
        self.row: Row

    def hear(self, ws: WorkerState, row: Row, neighbours: int, now: float) -> None:
        """Take in a heartbeat."""
        self.seen, self.row = ws.last_seen, row
        self.cores, self.memory, self.limit = observe.cores_used(ws), observe.memory_used(ws), ws.memory_limit
        self.network = observe.traffic(ws) / neighbours
        self.windows = self.means.add(_usage([self], [row], 0.0), now)


_ALL = "*"
_NOTHING = Windows()


def _together(workers: Sequence[_Watched], waiting: Iterable[WaitingView]) -> Usage:
    rows = [watched.row for watched in workers]
    threads = sum(row.threads for row in rows if row.is_open)
    work = sum(view.count * view.duration for view in waiting)
    return _usage(workers, rows, work / threads if threads else work)


def _usage(workers: Sequence[_Watched], rows: Sequence[Row], backlog: float) -> Usage:
    return Usage(
        _percent(sum(watched.cores for watched in workers), sum(row.threads for row in rows)),
        _percent(sum(watched.memory for watched in workers), sum(watched.limit for watched in workers)),
        _percent(sum(watched.network for watched in workers), sum(row.capacity[NETWORK_AXIS] for row in rows)),
        _allocated(rows),
        backlog,
    )


def _allocated(rows: Sequence[Row]) -> float:
    """Return what is reserved of the resource that is scarcest."""
    axes = range(len(rows[0].capacity)) if rows else ()
    shares = []
    for axis in axes:
        if axis not in (THREADS_AXIS, IDLE_AXIS):
            capacity = sum(row.capacity[axis] for row in rows)
            if capacity < LIMITED:
                shares.append(_percent(capacity - sum(row.free[axis] for row in rows), capacity))
    return max(shares, default=0.0)


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole > 0 else 0.0
