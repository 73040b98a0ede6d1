"""Whether this Dask is one that we know, since private parts of it may change; and which version of ours it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from supreme_dask import __version__
from supreme_dask.errors import IncompatibleDaskError


def check(owner: type | object, known: Mapping[str, tuple[str, ...]]) -> None:
    """Make sure that functions of a class or a module take the arguments that we know.

    Parameters
    ----------
    owner
        The class or module.
    known
        Names of the parameters, by name of the function.

    Raises
    ------
    IncompatibleDaskError
        With one sentence per difference.
    """
    found = [_difference(owner, name, parameters) for name, parameters in known.items()]
    differences = [difference for difference in found if difference is not None]
    if differences:
        raise IncompatibleDaskError(differences)


def _difference(owner: type | object, name: str, known: tuple[str, ...]) -> str | None:
    full_name = f"{getattr(owner, '__name__', owner)}.{name}"
    function = getattr(owner, name, None)
    if function is None:
        return f"{full_name} is gone"
    found = tuple(inspect.signature(function).parameters)
    if found != known:
        return f"{full_name} takes ({', '.join(found)}) instead of ({', '.join(known)})"
    return None


def with_version(versions: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a handler of Dask's question for versions that adds ours, under ``plugins``.

    Not under ``packages``: what only some processes have there is a mismatch to Dask, and clients do without us.
    """

    def answer(**told: Any) -> dict[str, Any]:
        return {**versions(**told), "plugins": {"supreme-dask": __version__}}

    return answer
