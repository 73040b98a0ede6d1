"""What a rule is, and what it may propose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from supreme_dask.core.policies.situation import Situation


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A group should have so many workers at least, those on their way in counted.

    Attributes
    ----------
    group : str
        Name of the group.
    workers : int
        How many.
    reason : str
        Why, as a sentence for operators.
    """

    group: str
    workers: int
    reason: str


@dataclass(frozen=True, slots=True)
class AtMost:
    """A group should have so many workers at most.

    Attributes
    ----------
    group : str
        Name of the group.
    workers : int
        How many.
    reason : str
        Why, as a sentence for operators.
    """

    group: str
    workers: int
    reason: str


@dataclass(frozen=True, slots=True)
class Spare:
    """These workers of a group may go, first named first; no other is touched for it.

    Attributes
    ----------
    group : str
        Name of the group.
    names : tuple of str
        Names of the workers.
    reason : str
        Why, as a sentence for operators.
    """

    group: str
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Cap:
    """No more may be launched than this, over all groups. What is there is not touched.

    Attributes
    ----------
    reason : str
        Why, as a sentence for operators.
    workers : int or None
        How many may be launched; None for no limit.
    cost : float or None
        What those launched may cost together, per hour; None for no limit.
    """

    reason: str
    workers: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Unmet:
    """Work waits that no group could ever host.

    Attributes
    ----------
    reason : str
        Why, as a sentence for operators.
    """

    reason: str


Proposal = AtLeast | AtMost | Spare | Cap | Unmet
"""What a rule may ask for."""


@runtime_checkable
class Rule(Protocol):
    """One rule of a policy. It may remember what it saw; it has no clock but `Snapshot.now`.

    A rule with ``follows_clock = False`` never asks for something else only because the time of day has changed, so a
    simulation in which there is nothing to do may skip that time.
    """

    def propose(self, situation: Situation) -> Iterable[Proposal]:
        """Return what this rule would have.

        Parameters
        ----------
        situation
            Workers, waiting tasks and groups at this moment.
        """
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules by name, in the order in which they were written.

    Attributes
    ----------
    rules : tuple of (str, Rule)
        Each rule with its name.
    """

    rules: tuple[tuple[str, Rule], ...]
