"""An engine: a kind of work with a resource profile."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from supreme_dask.core.resources import CPU, MEMORY, NETWORK, Resources
from supreme_dask.errors import DemandError, EngineError

Amount = float | int | str
"""An amount as users write it: ``2``, ``"4 GiB"``, ``"250 MB/s"``."""


@dataclass(frozen=True, slots=True)
class ResourceProfile:
    """What one call of an engine needs. None means: let it be learned from its runs.

    Attributes
    ----------
    cpu_required : float or str or None
        Cores.
    memory_required : float or str or None
        Peak memory, in bytes or as ``"4 GiB"``.
    network_required : float or str or None
        Bytes per second, or ``"250 MB/s"``.
    others : mapping of str to float or str
        Resources that workers declare themselves, such as ``{"GPU": 1}``.

    Examples
    --------
    >>> str(ResourceProfile(cpu_required=2, memory_required="4 GiB").demand())
    'cpu 2, memory 4.00 GiB'
    """

    cpu_required: Amount | None = None
    memory_required: Amount | None = None
    network_required: Amount | None = None
    others: Mapping[str, Amount] = field(default_factory=dict)

    def demand(self) -> Resources:
        """Return what is stated, without what is left to be learned.

        Raises
        ------
        DemandError
            If an amount cannot be understood.
        """
        if not isinstance(self.others, Mapping):
            raise DemandError("others", self.others, 'expected amounts by name, such as {"GPU": 1}')
        measured = {CPU: self.cpu_required, MEMORY: self.memory_required, NETWORK: self.network_required}
        stated = {name: amount for name, amount in measured.items() if amount is not None}
        return Resources.parse({**self.others, **stated})


class BaseSupremeEngine(ABC):
    """A kind of work with a resource profile.

    A subclass says what to do in `run`, and what one call needs in those of the ``estimate_…`` methods that it can
    answer. They are given the arguments of the call; what they leave out is learned from the runs. They are asked
    where the work is submitted, so they should be quick, and can see futures among the arguments, but not results.

    Attributes
    ----------
    name : str
        How its tasks are called, and what their measurements are filed under. By default the name of the class.

    Examples
    --------
    >>> class Sort(BaseSupremeEngine):
    ...     def run(self, values):
    ...         return sorted(values)
    ...
    ...     def estimate_memory_usage(self, values):
    ...         return 3 * 8 * len(values)
    >>> Sort().get_resource_profile([3, 1, 2]).memory_required
    72
    """

    name: str = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in cls.__dict__:
            cls.name = cls.__qualname__.rpartition(".")[2]

    @property
    def __name__(self) -> str:
        # Dask names tasks after what they call, and measurements are filed under that name.
        return self.name

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work, on a worker."""

    def estimate_cpu_usage(self, *_args: Any, **_kwargs: Any) -> Amount | None:
        """Return the cores that a call with these arguments keeps busy; None if that is to be learned."""
        return None

    def estimate_memory_usage(self, *_args: Any, **_kwargs: Any) -> Amount | None:
        """Return the peak memory of a call with these arguments; None if that is to be learned."""
        return None

    def estimate_network_usage(self, *_args: Any, **_kwargs: Any) -> Amount | None:
        """Return the bytes per second that a call with these arguments moves; None if that is to be learned."""
        return None

    def estimate_other_usage(self, *_args: Any, **_kwargs: Any) -> Mapping[str, Amount]:
        """Return what a call with these arguments takes of resources that workers declare, such as GPUs."""
        return {}

    def get_resource_profile(self, *args: Any, **kwargs: Any) -> ResourceProfile:
        """Return what a call with these arguments needs.

        Raises
        ------
        EngineError
            If an ``estimate_…`` method raises.
        """

        def ask(estimate: Callable[..., Any]) -> Any:
            try:
                return estimate(*args, **kwargs)
            except Exception as error:
                raise EngineError(self.name, estimate.__name__, _written(args, kwargs), error) from error

        return ResourceProfile(
            ask(self.estimate_cpu_usage),
            ask(self.estimate_memory_usage),
            ask(self.estimate_network_usage),
            ask(self.estimate_other_usage),
        )

    def get_demand(self, *args: Any, **kwargs: Any) -> Resources:
        """Return the amounts of `get_resource_profile`, read and checked.

        Raises
        ------
        EngineError
            If an ``estimate_…`` method raises.
        DemandError
            If one returns what cannot be understood.
        """
        try:
            return self.get_resource_profile(*args, **kwargs).demand()
        except DemandError as error:
            error.add_note(f"so says the engine {self.name!r} for the arguments {_written(args, kwargs)}")
            raise

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work here and now."""
        return self.run(*args, **kwargs)


def _written(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Write arguments as in a call, each of them shortened.

    >>> _written((1, list(range(99))), {"mode": "fast"})
    "(1, [0, 1, 2, 3, 4, 5, ...], mode='fast')"
    """
    positional = [reprlib.repr(value) for value in args]
    named = [f"{name}={reprlib.repr(value)}" for name, value in kwargs.items()]
    return f"({', '.join(positional + named)})"
