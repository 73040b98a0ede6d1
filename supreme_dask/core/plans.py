"""What a decision to scale says: how many workers of each group, who goes, and why."""

from __future__ import annotations

from dataclasses import dataclass


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
        Names of the workers that should leave; nobody else leaves.
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
    """

    generation: int
    targets: tuple[Target, ...]
    unmet: tuple[str, ...] = ()
