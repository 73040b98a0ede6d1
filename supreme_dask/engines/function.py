"""Engines made of a function, in one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, overload

from dask.tokenize import normalize_token

from supreme_dask.core.resources import Resources
from supreme_dask.engines.base import Amount, BaseSupremeEngine

P = ParamSpec("P")
R = TypeVar("R")

Estimate = Amount | Callable[..., Amount | None] | None
"""An amount, or a function of the call's arguments that returns one; None: to be learned."""


@overload
def engine(
    function: Callable[P, R],
    *,
    cpu: Estimate = None,
    memory: Estimate = None,
    network: Estimate = None,
    **others: Estimate,
) -> FunctionEngine[P, R]: ...


@overload
def engine(
    function: None = None,
    *,
    cpu: Estimate = None,
    memory: Estimate = None,
    network: Estimate = None,
    **others: Estimate,
) -> Callable[[Callable[P, R]], FunctionEngine[P, R]]: ...


def engine(
    function: Callable[..., Any] | None = None,
    *,
    cpu: Estimate = None,
    memory: Estimate = None,
    network: Estimate = None,
    **others: Estimate,
) -> Any:
    """Make an engine of a function; it is called as the function is, for type checkers too.

    Parameters
    ----------
    function
        What to run. Without it, a decorator is returned.
    cpu, memory, network
        What a call needs: an amount, or a function of the call's arguments.
    others
        Resources that workers declare themselves, such as ``GPU=1``.

    Raises
    ------
    DemandError
        If an amount cannot be understood.
    TypeError
        If what is to run is no function.

    Examples
    --------
    >>> @engine(cpu=2, memory=lambda values: 24 * len(values))
    ... def sort(values):
    ...     return sorted(values)
    >>> str(sort.get_demand([3, 1, 2])), sort([3, 1, 2])
    ('cpu 2, memory 72 B', [1, 2, 3])
    >>> total = engine(sum, memory="1 MiB")
    >>> str(total.get_demand())
    'memory 1.00 MiB'
    """
    estimates = {"cpu": cpu, "memory": memory, "network": network, **others}
    stated = {name: estimate for name, estimate in estimates.items() if estimate is not None}
    Resources.parse({name: estimate for name, estimate in stated.items() if not callable(estimate)})
    if function is None:
        return lambda function: FunctionEngine(function, stated)
    return FunctionEngine(function, stated)


class FunctionEngine(BaseSupremeEngine, Generic[P, R]):
    """An engine that runs a function.

    Parameters
    ----------
    function
        What to run.
    estimates
        Amounts, or functions of the call's arguments, by the name of the resource.
    """

    def __init__(self, function: Callable[P, R], estimates: Mapping[str, Estimate]) -> None:
        if not callable(function):
            raise TypeError(f"function: {function!r}: expected a function, such as engine(sorted, memory='1 GiB')")
        functools.update_wrapper(self, function, assigned=("__module__", "__qualname__", "__doc__"))
        self.name = getattr(function, "__name__", type(function).__name__)
        self.function = function
        self.estimates = dict(estimates)

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now."""
        return self.run(*args, **kwargs)

    def estimate_cpu_usage(self, *args: Any, **kwargs: Any) -> Amount | None:
        """Return the stated cores, if any are."""
        return self._estimate("cpu", args, kwargs)

    def estimate_memory_usage(self, *args: Any, **kwargs: Any) -> Amount | None:
        """Return the stated memory, if any is."""
        return self._estimate("memory", args, kwargs)

    def estimate_network_usage(self, *args: Any, **kwargs: Any) -> Amount | None:
        """Return the stated bytes per second, if any are."""
        return self._estimate("network", args, kwargs)

    def estimate_other_usage(self, *args: Any, **kwargs: Any) -> Mapping[str, Amount]:
        """Return what is stated of other resources."""
        names = self.estimates.keys() - {"cpu", "memory", "network"}
        amounts = {name: self._estimate(name, args, kwargs) for name in sorted(names)}
        return {name: amount for name, amount in amounts.items() if amount is not None}

    def _estimate(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Amount | None:
        estimate = self.estimates.get(name)
        return estimate(*args, **kwargs) if callable(estimate) else estimate

    def __repr__(self) -> str:
        return f"<engine {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        # A decorated function has given its name away: by that name pickle finds us, not the function.
        if _importable(self):
            return str(self.__qualname__)  # type: ignore[attr-defined]
        return FunctionEngine, (self.function, self.estimates)

    def __dask_tokenize__(self) -> Any:
        if _importable(self):
            return type(self).__name__, self.__module__, self.__qualname__  # type: ignore[attr-defined]
        return type(self).__name__, normalize_token(self.function)


def _importable(made: FunctionEngine[..., Any]) -> bool:
    """Tell whether other processes find an engine under the name of its function."""
    name = getattr(made, "__qualname__", None)
    return made.__module__ != "__main__" and getattr(sys.modules.get(made.__module__), str(name), None) is made
