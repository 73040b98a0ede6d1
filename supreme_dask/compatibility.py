"""Whether what we replace and call in Dask takes the arguments that we know: private parts of it may change."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

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
