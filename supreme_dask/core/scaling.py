"""How many workers of each group there should be: the rules of a policy propose, and this settles.

Of what is asked for, the most counts; of what is allowed, the least, and that wins. What is there stays, unless
somebody spares it and nobody needs it. Workers on their way out are neither supply nor a reason to drain others; they
are had back before new ones are launched. What may be launched at once is cut last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from supreme_dask.core import reasons
from supreme_dask.core.plans import Plan, Target
from supreme_dask.core.policies import AtLeast, AtMost, Cap, Policy, Proposal, Situation, Spare, Supply, Unmet
from supreme_dask.core.snapshot import Snapshot
from supreme_dask.core.victims import choose

_ROUNDING = 1e-6
"""Part of a worker that prices may lack because they are no binary fractions: 0.6 / 0.2 is less than 3."""

P = TypeVar("P", AtLeast, AtMost, Spare, Cap, Unmet)


class Scaling:
    """Plans for one system. It has one owner, and no clock but that of the snapshots.

    Parameters
    ----------
    policy
        From now on; its rules may remember what they saw.
    last
        The plan that is in force, if there is one.
    """

    def __init__(self, policy: Policy, last: Plan | None = None) -> None:
        self._policy = policy
        self._last = last

    @property
    def follows_clock(self) -> bool:
        """Whether a rule may ask for something else only because of the time of day; of rules of others, it may."""
        return any(getattr(rule, "follows_clock", True) for _, rule in self._policy.rules)

    def plan(self, snapshot: Snapshot) -> Plan:
        """Return what should be; the very plan of before if that has not changed.

        Parameters
        ----------
        snapshot
            The cluster at this moment.
        """
        situation = Situation.of(snapshot)
        proposals = [one for _, rule in self._policy.rules for one in rule.propose(situation)]
        settlements = [_settle(supply, proposals) for supply in situation.groups.values()]
        for cap in _of(Cap, proposals):
            _cut(settlements, cap)
        unmet = tuple(dict.fromkeys(one.reason for one in _of(Unmet, proposals)))
        return self._next([one.target() for one in settlements], unmet)

    def _next(self, targets: list[Target], unmet: tuple[str, ...]) -> Plan:
        last = self._last or Plan(0, ())
        before = {target.group: target for target in last.targets}
        kept = tuple(_unless_changed(target, before.get(target.group)) for target in targets)
        if self._last is None or (kept, unmet) != (last.targets, last.unmet):
            last = replace(last, generation=last.generation + 1, targets=kept, unmet=unmet)
        self._last = last
        return last


@dataclass(slots=True)
class _Settlement:
    """What comes of the proposals for one group.

    Attributes
    ----------
    draining : list of str
        Who goes on leaving.
    launched, returned : int
        How many more there will be: new ones, and such as are had back.
    sent : list of str
        Who begins to leave.
    """

    supply: Supply
    reason: str
    draining: list[str]
    launched: int = 0
    returned: int = 0
    sent: list[str] = field(default_factory=list)

    def target(self) -> Target:
        count = self.supply.count + self.returned + self.launched - len(self.sent)
        return Target(self.supply.group.name, count, (*self.draining, *self.sent), self.reason)


def _settle(supply: Supply, proposals: list[Proposal]) -> _Settlement:
    floor, ceiling = _floor(supply, proposals), _ceiling(supply, proposals)
    if ceiling is not None and ceiling.workers < floor.workers:
        floor = AtLeast(floor.group, ceiling.workers, ceiling.reason)
    if floor.workers > supply.count:
        return _grow(supply, floor)
    return _shrink(supply, floor, ceiling, [one for one in _of(Spare, proposals) if one.group == floor.group])


def _grow(supply: Supply, floor: AtLeast) -> _Settlement:
    """Have back whom we can, then launch."""
    more = floor.workers - supply.count
    returned = {worker.name for worker in supply.returnable[:more]}
    draining = [worker.name for worker in supply.draining if worker.name not in returned]
    launched, reason = more - len(returned), floor.reason
    if launched and supply.view.blocked:
        launched, reason = 0, reasons.blocked(supply.view.blocked)
    return _Settlement(supply, reason, draining, launched, len(returned))


def _shrink(supply: Supply, floor: AtLeast, ceiling: AtMost | None, spares: list[Spare]) -> _Settlement:
    """Let go who is spared and not needed, and whoever is too many."""
    draining = [worker.name for worker in supply.draining]
    staying = {worker.name for worker in supply.staying}
    spared = {name: spare.reason for spare in reversed(spares) for name in reversed(spare.names) if name in staying}
    sent = list(reversed(spared))[: supply.count - floor.workers]
    reason = spared[sent[0]] if sent else floor.reason if 0 < floor.workers == supply.count else reasons.UNCHANGED
    # Who is on the way in cannot be called off; whether it is too many is seen when it has come.
    surplus = len(staying) - len(sent) - ceiling.workers if ceiling is not None else 0
    if ceiling is not None and surplus > 0:
        others = [worker for worker in supply.staying if worker.name not in sent]
        sent, reason = [*sent, *choose(others, surplus)], ceiling.reason
    return _Settlement(supply, reason, draining, sent=sent)


def _floor(supply: Supply, proposals: list[Proposal]) -> AtLeast:
    minimum = AtLeast(supply.group.name, supply.group.minimum, reasons.MINIMUM)
    wishes = [one for one in _of(AtLeast, proposals) if one.group == minimum.group]
    return max([minimum, *wishes], key=lambda one: one.workers)


def _ceiling(supply: Supply, proposals: list[Proposal]) -> AtMost | None:
    name, minimum, maximum = supply.group.name, supply.group.minimum, supply.group.maximum
    limits = [replace(one, workers=max(one.workers, minimum)) for one in _of(AtMost, proposals) if one.group == name]
    if maximum is not None:
        limits.append(AtMost(name, maximum, reasons.MAXIMUM))
    return min(limits, key=lambda one: one.workers, default=None)


def _cut(settlements: list[_Settlement], cap: Cap) -> None:
    """Launch no more than a cap allows: the cheapest first, since of these most can be had."""
    workers, cost = cap.workers, cap.cost
    for one in sorted(settlements, key=lambda one: one.supply.group.cost):
        price = one.supply.group.cost
        allowed = one.launched if workers is None else min(one.launched, workers)
        if cost is not None and price:
            allowed = min(allowed, int(cost / price + _ROUNDING))
            cost -= allowed * price
        if workers is not None:
            workers -= allowed
        if allowed < one.launched:
            one.launched, one.reason = allowed, cap.reason


def _of(kind: type[P], proposals: Iterable[Proposal]) -> list[P]:
    return [one for one in proposals if isinstance(one, kind)]


def _unless_changed(target: Target, before: Target | None) -> Target:
    """Return a target with the reason of before if it says the same: that for which the number was chosen."""
    if before is None or before.workers != target.workers or not set(target.victims) <= set(before.victims):
        return target
    return before if before.victims == target.victims else replace(target, reason=before.reason)
