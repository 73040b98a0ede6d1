"""What autoscalers ask the scheduler, answered by our policy.

Stock ones (`Adaptive`, the operator of dask-kubernetes) ask how many workers there should be, whom to close, and to
retire those. They scale one group and know of no others, and some remove whomever they are told whatever becomes of
his retirement. So they are told workers of that group only, who do nothing and whose results others can take; and
who was told to them is drained before his retirement returns. Asking alone changes nothing.

`SupremeAdaptive` gets whole plans, as a controller does.
"""

from __future__ import annotations

import asyncio
import pickle
import re
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, TypeAlias

from distributed.scheduler import Scheduler, WorkerState

from supreme_dask.core import reasons
from supreme_dask.core.draining import State
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Progress, Target
from supreme_dask.core.resources import CPU, MEMORY, Resources
from supreme_dask.core.scaling import Scaling
from supreme_dask.core.snapshot import GroupView, Snapshot, WorkerView
from supreme_dask.core.victims import choose
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.draining import Drains
from supreme_dask.scheduler.scaling import ScalabilityEngine
from supreme_dask.stores import schemas

_OF_OPERATOR = re.compile("(.+-default)-worker-.+")  # dask-kubernetes scales this group only
_ANY = "workers"
_TOLD = 60.0  # s for which a worker is remembered to have been named
_PAUSE = 0.02  # s between two looks how far a drain is

Key: TypeAlias = Callable[[WorkerState], Hashable]
Retire: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]


class Autoscalers:
    """Answers the autoscalers of one scheduler.

    Parameters
    ----------
    retire
        Dask's own `Scheduler.retire_workers`.
    """

    def __init__(self, scheduler: Scheduler, drains: Drains, engine: ScalabilityEngine, retire: Retire) -> None:
        self._scheduler = scheduler
        self._drains = drains
        self._engine = engine
        self._retire = retire
        self._told: dict[str, float] = {}
        self._last: _Known | None = None
        self._asked_of = "", ""  # the group and the worker that told what `scale` knows of one
        self._scaling: tuple[Mapping[str, Any], Scaling] | None = None

    # ------------------------------------------------------------------------- in Dask's terms
    def adaptive_target(self, target_duration: object = None) -> int:  # noqa: ARG002  (the policy has its own)
        """Return how many workers there should be in the group of whoever asks.

        Those that should leave and cannot be closed yet are counted, since the answer is what will remain.
        """
        seen = self._look()
        if seen is None:
            return int(observe.anybody_waits(self._scheduler))
        closable = seen.closable()
        return seen.target.workers + sum(name not in closable for name in seen.target.victims)

    def workers_to_close(
        self,
        memory_ratio: float | None = None,  # noqa: ARG002  (the policy has its own)
        n: int | None = None,
        key: Key | bytes | None = None,
        minimum: int | None = None,
        target: int | None = None,
        attribute: str = "address",
    ) -> list[Any]:
        """Return workers of the group of whoever asks that may be closed: `n`, or as the policy says."""
        seen = self._look()
        if seen is None:
            return []
        if n is None and target is not None:
            n = len(seen.members) - target
        names = seen.spared() if n is None else seen.best(n)
        if minimum is not None:
            names = names[: max(len(seen.members) - minimum, 0)]
        chosen = list(self._together([seen.members[name].address for name in names], key))
        self._told.update(dict.fromkeys(chosen, monotonic()))
        return [getattr(self._scheduler.workers[address], attribute) for address in chosen]

    async def retire_workers(
        self,
        workers: Sequence[str] | None = None,
        *,
        names: Sequence[Any] | None = None,
        close_workers: bool = False,
        remove: bool = True,
        stimulus_id: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Retire workers; those that were named by us, or are chosen now, only when they are drained."""
        if workers is None and names is None:
            workers = self.workers_to_close(**kwargs)
        elif kwargs or (workers is not None and names is not None):
            return await self._retire(workers, names=names, **kwargs)  # says what is wrong with that
        addresses = list(workers) if workers is not None else self._addresses(names or ())
        if remove or close_workers:
            addresses = await self._drained(addresses)
        return await self._retire(addresses, close_workers=close_workers, remove=remove, stimulus_id=stimulus_id)

    async def _drained(self, addresses: Sequence[str]) -> list[str]:
        """Drain those that we named, and return who may go now; whom somebody else names is his business."""
        now = monotonic()
        self._told = {address: told for address, told in self._told.items() if now - told < _TOLD}
        ours = {one: self._name(one) for one in addresses if one in self._told or self._drains.keeps_closed(one)}
        waited = set(ours.values())
        self._engine.awaited |= waited
        try:
            self._drains.drain(waited, reason=reasons.ASKED, origin="person")
            while any(self._drains.states().get(name, "leaving") != "leaving" for name in waited):  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE)
            left = {name for name, state in self._drains.states().items() if state == "leaving"}
            return [address for address in addresses if address not in ours or ours[address] in left]
        finally:
            self._engine.awaited -= waited

    def _name(self, address: str) -> str:
        ws = self._scheduler.workers.get(address)
        return str(ws.name) if ws is not None else ""

    def _addresses(self, names: Iterable[Any]) -> list[str]:
        found = (observe.address_of(self._scheduler, name) for name in names)
        return [address for address in found if address is not None]

    def _together(self, addresses: Sequence[str], key: Key | bytes | None) -> Iterator[str]:
        """Yield those whose whole set, by the caller's key, is among them."""
        if key is None:
            yield from addresses
            return
        of: Key = pickle.loads(key) if isinstance(key, bytes) else key  # noqa: S301  (Dask itself does so)
        kept = {of(ws) for address, ws in self._scheduler.workers.items() if address not in addresses}
        yield from (address for address in addresses if of(self._scheduler.workers[address]) not in kept)

    # ---------------------------------------------------------------------------- in our terms
    def scale(
        self,
        *,
        group: Mapping[str, Any],
        workers: Sequence[str],
        policy: Mapping[str, Any] | None = None,
        blocked: str = "",
    ) -> dict[str, Any]:
        """Return the plan for one group of workers; whoever asks again and again carries it out.

        Parameters
        ----------
        group
            What they are, as `SupremeAdaptive` says it.
        workers
            Names of those that exist, starting or running.
        policy
            What is in force meanwhile; None for what is anyway.
        blocked
            Why the last launch failed, if it did.
        """
        name = group["name"]
        wanted = self._wanted(group, workers)
        if wanted is None:
            waits = int(observe.anybody_waits(self._scheduler))  # the first worker tells what the others will be
            return Plan(0, (Target(name, max(waits, group["minimum"]), (), reasons.UNKNOWN),)).to_wire()
        progress = Progress(name, dict.fromkeys(workers, name), {name: blocked} if blocked else {})
        self._engine.lend(wanted, progress, policy)
        return self._engine.plan.to_wire()

    def _wanted(self, group: Mapping[str, Any], workers: Sequence[str]) -> WorkerGroup | None:
        limits = {name: group[name] for name in ("minimum", "maximum", "startup")}
        if group["threads"] and group["memory"]:
            known = {"cpu": group["threads"], "memory": group["memory"], "resources": group["resources"]}
            return WorkerGroup(group["name"], **known, **limits)
        address = next(filter(None, (observe.address_of(self._scheduler, name) for name in workers)), None)
        seen = {one.address: one for one in self._engine.metrics_monitor.snapshot().workers}.get(address or "")
        if seen is not None and (group["name"], seen.address) != self._asked_of:
            # What it has for tasks drifts with its process; that makes no other group of it.
            self._last = _Known.of(group["name"], seen)
            self._asked_of = group["name"], seen.address
        if self._last is None or self._last.group.name != group["name"]:
            return None
        return replace(self._last.group, **limits)

    # ---------------------------------------------------------------------------- what we plan
    def _look(self) -> _Seen | None:
        """Return what should become of the caller's group; None if nothing is known of it."""
        snapshot = self._engine.metrics_monitor.snapshot()
        name = self._group([worker.name for worker in snapshot.workers])
        if name in self._engine.rules.groups:
            plan = self._engine.plan if self._engine.wanted else self._engine.evaluate_scaling()
        else:
            snapshot = self._as_one_group(snapshot, name)
            if not snapshot.groups:
                return None
            plan = self._plan(snapshot)
        target = next((one for one in plan.targets if one.group == name), Target(name, 0, (), ""))
        return _Seen(snapshot, target, self._drains.states())

    def _group(self, names: Iterable[str]) -> str:
        groups = self._engine.rules.groups
        found = [name for name in groups if name.endswith("-default")]
        if found or len(groups) == 1:
            return (found or list(groups))[0]
        matches = filter(None, map(_OF_OPERATOR.fullmatch, names))
        return next((match.group(1) for match in matches), _ANY)

    def _as_one_group(self, snapshot: Snapshot, name: str) -> Snapshot:
        """Return a snapshot in which those whom the caller scales are a group, by what they are."""
        ours = [one for one in snapshot.workers if name == _ANY or one.name.startswith(f"{name}-")]
        if ours:
            self._last = _Known.of(name, ours[0])
        if self._last is None or self._last.group.name != name:
            return replace(snapshot, groups=())
        among = {one.name for one in ours}
        workers = tuple(replace(one, group=name if one.name in among else "") for one in snapshot.workers)
        return replace(snapshot, workers=workers, groups=(GroupView(self._last.group, room=self._last.room),))

    def _plan(self, snapshot: Snapshot) -> Plan:
        policy = self._engine.rules.policy
        if self._scaling is None or self._scaling[0] is not policy:
            self._scaling = (policy, Scaling(schemas.policy(policy)))
        return self._scaling[1].plan(snapshot)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a worker of a group is that nobody has declared."""

    group: WorkerGroup
    room: Resources

    @classmethod
    def of(cls, name: str, worker: WorkerView) -> _Known:
        amounts = worker.capacity.in_units()
        others = {name: amount for name, amount in amounts.items() if name not in (CPU, MEMORY)}
        memory = max(worker.capacity[MEMORY], 1)
        return cls(WorkerGroup(name, cpu=worker.threads, memory=memory, resources=dict(others)), worker.capacity)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The caller's group, and what should become of it."""

    snapshot: Snapshot
    target: Target
    states: Mapping[str, State]

    @property
    def members(self) -> dict[str, WorkerView]:
        return {one.name: one for one in self.snapshot.workers if one.group == self.target.group}

    def closable(self) -> set[str]:
        """Return the names of those that do nothing and that nothing binds."""
        return {
            name
            for name, one in self.members.items()
            if not one.running and not one.pinned and self.states.get(name, "leaving") == "leaving"
        }

    def spared(self) -> list[str]:
        """Return those that the policy lets go and that may be closed now."""
        closable = self.closable()
        return [name for name in self.target.victims if name in closable]

    def best(self, count: int) -> list[str]:
        """Return those whom to close first, as far as the others can take what they store."""
        closable = self.closable()
        drained = [name for name in self.states if name in closable]
        others = choose((self.members[name] for name in closable - set(drained)), count)
        room = sum(max(one.free[MEMORY], 0) for one in self.snapshot.workers if one.open)
        names, moved = [], 0
        for name in [*drained, *others][: max(count, 0)]:
            one = self.members[name]
            room -= max(one.free[MEMORY], 0) if one.open else 0
            moved += one.unique
            if moved > room:
                break
            names.append(name)
        return names
