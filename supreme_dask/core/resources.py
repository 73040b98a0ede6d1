"""Amounts of resources by name: what a task needs, what a worker has, what is left of it.

Amounts are integers, so that sums are exact and comparisons cheap:

========== ================================== =====================
name       unit of the integer                accepted forms
========== ================================== =====================
cpu        thousandths of a core              ``2``, ``0.5``, ``"500m"``
memory     bytes                              ``"4 GiB"``, ``4e9``, ``"512MB"``
network    bytes per second                   ``"250 MB/s"``, ``"10 Gbit/s"``
any other  thousandths of the declared unit   ``1``, ``0.25``, ``"2"``
========== ================================== =====================

``cpu``, ``memory`` and ``network`` are recognised in any case. Other names are the worker's own
(``dask worker --resources "GPU=2"``) and are kept as they are written; so is ``MEMORY`` where the amount that a
worker declares cannot be bytes (``--resources "MEMORY=16"``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real

from supreme_dask.core.spelling import or_so
from supreme_dask.errors import DemandError

MEASURED = ("cpu", "memory", "network")
"""Names of the resources that are measured."""
CPU, MEMORY, NETWORK = MEASURED

_MILLI = 1000
# A demand above this is a slip of the pen (an exbibyte), and would overflow a vector of 64-bit integers.
_ABSURD = 1 << 60
_LONGEST = 64
# Bytes; no worker has less memory, so less is counted in another unit.
_SMALLEST_WORKER = 1 << 20

_BYTES = {
    **dict.fromkeys(("", "b"), 1),
    **{f"{prefix}{tail}": 1000**i for i, prefix in enumerate("kmgtp", 1) for tail in ("", "b")},
    **{f"{prefix}{tail}": 1024**i for i, prefix in enumerate("kmgtp", 1) for tail in ("i", "ib")},
}
_BITS = {f"{prefix}bit": 1000**i / 8 for i, prefix in enumerate(["", *"kmgtp"])}
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*?)\s*(/\s*s)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Resources(Mapping[str, int]):
    """Amounts by name. What is not named is zero.

    Attributes
    ----------
    amounts : tuple of (str, int)
        Names with amounts, ascending: thousandths of cores, bytes, bytes per second,
        thousandths of anything else.

    Examples
    --------
    >>> demand = Resources.parse({"cpu": 1.5, "Memory": "2 GiB", "GPU": 1})
    >>> dict(demand)
    {'GPU': 1000, 'cpu': 1500, 'memory': 2147483648}
    >>> demand.fits(Resources.parse({"cpu": 4, "memory": "1 GiB", "GPU": 1}))
    False
    >>> str(demand)
    'GPU 1, cpu 1.5, memory 2.00 GiB'
    """

    amounts: tuple[tuple[str, int], ...] = ()
    _by_name: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "amounts", tuple(sorted(self.amounts)))
        object.__setattr__(self, "_by_name", dict(self.amounts))

    @classmethod
    def of(cls, amounts: Mapping[str, int]) -> Resources:
        """Return amounts that are already integers in the units above."""
        return cls(tuple(amounts.items()))

    @classmethod
    def parse(cls, amounts: Mapping[str, object], own: Collection[str] = ()) -> Resources:
        """Read amounts as users write them.

        Parameters
        ----------
        own
            Names that are kept as they are written, as `own_units` finds them.

        Raises
        ------
        DemandError
            If a name is not a string, or an amount is negative, not a number, absurdly large or unreadable.
        """
        if not isinstance(amounts, Mapping):
            raise DemandError("resources", amounts, 'expected amounts by name, such as {"memory": "4 GiB"}')
        return cls.of(dict(parse_amount(name, amount, own) for name, amount in amounts.items()))

    def __getitem__(self, name: str) -> int:
        return self._by_name.get(name, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self.amounts)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __hash__(self) -> int:
        return hash(self.amounts)

    def __str__(self) -> str:
        parts = [f"{name} {format_amount(name, amount)}" for name, amount in self.amounts]
        return ", ".join(parts) or "nothing"

    def fits(self, free: Mapping[str, int]) -> bool:
        """Tell whether all of this is there in `free`."""
        return all(free.get(name, 0) >= amount for name, amount in self.amounts)

    def plus(self, other: Resources) -> Resources:
        """Return the sum with ``other``, name by name."""
        return Resources.of({name: self[name] + other[name] for name in {*self, *other}})

    def minus(self, other: Resources) -> Resources:
        """Return what is left without ``other``, name by name; it may be negative."""
        return Resources.of({name: self[name] - other[name] for name in {*self, *other}})

    def overlaid(self, other: Resources) -> Resources:
        """Return these amounts, with those that `other` names taken from `other`."""
        return Resources.of({**self._by_name, **other._by_name})

    def in_units(self) -> dict[str, float]:
        """Return the amounts as Dask's own ``resources=`` has them: in cores, bytes, and what workers declare.

        >>> Resources.parse({"cpu": "500m", "memory": "1 KiB", "GPU": 1}).in_units()
        {'GPU': 1.0, 'cpu': 0.5, 'memory': 1024}
        """
        return {name: in_units(name, amount) for name, amount in self.amounts}

    def dominant_share(self, capacity: Mapping[str, int]) -> float:
        """Return the largest fraction that this takes of any one resource of `capacity`.

        The dominant share of Ghodsi et al., "Dominant Resource Fairness" (NSDI 2011). Infinite where
        `capacity` has none of something that is needed.
        """
        return max((_fraction(amount, capacity.get(name, 0)) for name, amount in self.amounts), default=0.0)


def in_units(name: str, amount: int) -> float:
    """Return an amount in cores, bytes, bytes per second, or what workers declare.

    Parameters
    ----------
    name
        Canonical name of the resource.
    amount
        As `Resources` has it.

    Examples
    --------
    >>> in_units("cpu", 500), in_units("memory", 1024)
    (0.5, 1024)
    """
    return amount if name in (MEMORY, NETWORK) else amount / _MILLI


def from_units(name: str, amount: float) -> int:
    """Return the amount of which `in_units` was asked.

    Parameters
    ----------
    name
        Canonical name of the resource.
    amount
        What `in_units` returned.

    Examples
    --------
    >>> from_units("cpu", 0.5), from_units("memory", 1024.0), from_units("MEMORY", 16.0)
    (500, 1024, 16000)
    """
    return round(amount if name in (MEMORY, NETWORK) else amount * _MILLI)


def own_units(declared: Mapping[str, object]) -> frozenset[str]:
    """Return the names that read like memory but count something else than bytes, of all that a worker declares.

    The name ``memory`` itself always means bytes.

    Parameters
    ----------
    declared
        Amounts by name, as the worker declares them.

    Examples
    --------
    >>> own_units({"MEMORY": 16, "memory": 4e9, "GPU": 1}), own_units({"MEMORY": 16e9})
    (frozenset({'MEMORY'}), frozenset())
    """
    return frozenset(
        name
        for name, amount in declared.items()
        if name != MEMORY == name.lower() and isinstance(amount, Real) and amount < _SMALLEST_WORKER
    )


def parse_amount(name: object, amount: object, own: Collection[str] = ()) -> tuple[str, int]:
    """Return the canonical name of a resource, and its amount as an integer.

    Parameters
    ----------
    name
        Name of the resource, as the user writes it.
    amount
        A number, or a string with a unit.
    own
        Names that count something else than bytes: see `own_units`.

    Raises
    ------
    DemandError
        As for `Resources.parse`.

    Examples
    --------
    >>> parse_amount("CPU", "500m"), parse_amount("network", "1 Gbit/s"), parse_amount("GPU", 0.25)
    (('cpu', 500), ('network', 125000000), ('GPU', 250))
    """
    if not isinstance(name, str) or not name:
        raise DemandError(name, amount, "the name of a resource is a string")
    canonical = name.lower() if name.lower() in MEASURED and name not in own else name
    value = _number(canonical, amount) if isinstance(amount, str) else amount
    if not isinstance(value, Real) or isinstance(value, bool):
        raise DemandError(name, amount, "expected a number or a string such as " + _example(canonical))
    try:
        exact = float(value) * (1 if canonical in (MEMORY, NETWORK) else _MILLI)
    except OverflowError:
        exact = math.inf
    if math.isnan(exact) or exact < 0:
        raise DemandError(name, amount, "an amount is zero or more")
    if exact > _ABSURD:
        raise DemandError(name, amount, "more than any machine has; is the unit right?")
    return canonical, math.ceil(round(exact, 6))


def format_amount(name: str, amount: int) -> str:
    """Return an amount for humans, in the unit that users write.

    Parameters
    ----------
    name
        Canonical name of the resource.
    amount
        In thousandths of cores, bytes, bytes per second, or thousandths of anything else.

    Examples
    --------
    >>> format_amount("memory", 1536 * 2**20), format_amount("cpu", 1500), format_amount("network", 10**9)
    ('1.50 GiB', '1.5', '953.67 MiB/s')
    """
    if name not in (MEMORY, NETWORK):
        return f"{amount / _MILLI:g}"
    suffix = "/s" if name == NETWORK else ""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if abs(amount) >= 1 << power:
            return f"{amount / (1 << power):.2f} {unit}{suffix}"
    return f"{amount} B{suffix}"


def _number(name: str, text: str) -> float:
    # No amount is written that long, and a text may be as long as to keep us reading for ever.
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise DemandError(name, text, "cannot be read; expected something like " + _example(name))
    digits, unit, per_second = match.groups()
    factor = _factor(name, unit)
    if name not in MEASURED and (factor is None or per_second):
        raise DemandError(name, text, f"only {', '.join(MEASURED)} have units{or_so(name, MEASURED)}")
    if factor is None or (per_second and name != NETWORK):
        raise DemandError(name, text, f"unknown unit; expected something like {_example(name)}")
    return float(digits) * factor


def _factor(name: str, unit: str) -> float | None:
    if name == MEMORY:
        return _BYTES.get(unit.lower())
    if name == NETWORK:
        return _BYTES.get(unit.lower(), _BITS.get(unit.lower()))
    return {"": 1.0, "m": 1 / _MILLI}.get(unit)


def _example(name: str) -> str:
    return {CPU: "1.5", MEMORY: '"4 GiB"', NETWORK: '"250 MB/s"'}.get(name, "1")


def _fraction(amount: int, capacity: int) -> float:
    if capacity > 0:
        return amount / capacity
    return math.inf if amount else 0.0
