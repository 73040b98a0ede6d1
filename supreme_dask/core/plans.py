"""What a decision to scale says: how many workers of each group, who goes, and why; and what is to be done for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """What one group should have.

    Attributes
    ----------
    group : str
        Name of the group.
    workers : int
        How many of its workers there should be, those on their way in and without those on their way out.
    victims : tuple of str
        Names of all its workers that should be on their way out; nobody else leaves.
    reason : str
        A sentence for humans.
    """

    group: str
    workers: int
    victims: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision over all groups. It holds absolute counts, so that carrying it out twice changes nothing.

    Attributes
    ----------
    generation : int
        Rises with every plan of a system; an older plan is not carried out after a newer one.
    targets : tuple of Target
        One for each group.
    unmet : tuple of str
        A sentence for each demand that no group could ever host.
    epoch : int
        Of the scheduler that decided; the plan of an earlier one is not carried out after that of a later one.
    removable : tuple of str
        Names of workers that have been retired: they run nothing and hold nothing alone. Whoever made them may
        remove exactly these.
    others : mapping of str to str
        By name, the group of workers that count and that the controller which launches does not report: started by
        hand, by a controller that has lost what it knew, or by one that launches no more.
    heard : int or None
        The latest term of a controller whose report the plan takes into account: a controller launches nothing for
        a plan that has not heard of its term. None if that is not known.
    scheduler : str
        Address of the scheduler that decided, for workers that cannot ask the store; empty if that is not known.
    """

    generation: int
    targets: tuple[Target, ...]
    unmet: tuple[str, ...] = ()
    epoch: int = 0
    removable: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    heard: int | None = None
    scheduler: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Plan:
        """Return the plan that `to_wire` was asked for.

        Parameters
        ----------
        wire
            What `to_wire` returned.

        Raises
        ------
        TypeError, KeyError
            If a part is unknown or missing.
        """
        targets = tuple(Target(**{**target, "victims": tuple(target["victims"])}) for target in wire["targets"])
        lists = {name: tuple(wire.get(name, ())) for name in ("unmet", "removable")}
        return cls(**{**wire, **lists, "targets": targets})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a controller is with carrying out plans.

    Attributes
    ----------
    controller : str
        Its name.
    workers : mapping of str to str
        The group of each worker that exists, starting or running, by the worker's name.
    blocked : mapping of str to str
        By group, why no more of it can be had now.
    life : str
        Tells its process from every other: what an earlier one reported, this one may have lost.
    term : int
        Of its leadership, later ones being greater; 0 if it launches no workers. Of the controllers of a system, that
        of the latest term launches.
    """

    controller: str
    workers: Mapping[str, str] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)
    life: str = ""
    term: int = 1

    def to_wire(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Progress:
        """Return the progress that `to_wire` was asked for.

        Parameters
        ----------
        wire
            What `to_wire` returned.

        Raises
        ------
        TypeError
            If a part is missing or unknown.
        """
        return cls(**wire)


@dataclass(frozen=True, slots=True)
class Steps:
    """What is left to be done for a plan.

    Attributes
    ----------
    remove : tuple of str
        Names of workers that go now.
    launch : mapping of str to int
        How many new workers of which group; only groups that lack some.
    """

    remove: tuple[str, ...] = ()
    launch: Mapping[str, int] = field(default_factory=dict)


def steps(plan: Plan, existing: Mapping[str, str]) -> Steps:
    """Return what makes the workers that exist those that a plan wants; nothing if they are.

    Who is on its way out is neither counted nor removed before it has been retired. Those that others made are
    counted as the plan counted them: counted otherwise, each new plan would launch one more.

    Parameters
    ----------
    existing
        The group of each worker, starting or running, by its name.
    """
    leaving = {*plan.removable, *(name for target in plan.targets for name in target.victims)}
    staying = Counter(group for name, group in {**plan.others, **existing}.items() if name not in leaving)
    lacking = {target.group: target.workers - staying[target.group] for target in plan.targets}
    return Steps(
        tuple(name for name in existing if name in plan.removable),
        {group: count for group, count in lacking.items() if count > 0},
    )


def supersedes(new: Plan, old: Plan | None) -> bool:
    """Tell whether the plan ``new`` is to be carried out when ``old`` was the last.

    It is if it is of a later scheduler, or a later one of the same.

    Examples
    --------
    >>> supersedes(Plan(8, ()), Plan(7, ())), supersedes(Plan(8, ()), Plan(7, (), epoch=1))
    (True, False)
    """
    return old is None or (new.epoch, new.generation) > (old.epoch, old.generation)
