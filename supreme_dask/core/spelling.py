"""What somebody meant who misspelt a name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.8  # of `difflib`'s ratio: "gpu" is 0.67 like "cpu", and a name of its own
_LEAST = 3  # letters of a beginning that stands for the whole


def meant(written: str, known: Iterable[str]) -> str | None:
    """Return the known name that somebody seems to have meant who wrote another one.

    Examples
    --------
    >>> meant("coun", ["cpu", "count"]), meant("MEM", ["cpu", "memory"]), meant("gpu", ["cpu", "memory"])
    ('count', 'memory', None)
    """
    names, lower = list(known), written.lower()
    close = get_close_matches(lower, names, n=1, cutoff=_ALIKE)
    begun = (name for name in names if len(lower) >= _LEAST and name.startswith(lower))
    return next(iter(close), None) or next(begun, None)


def or_so(written: str, known: Iterable[str]) -> str:
    """Return what to add to a sentence that refuses a name.

    >>> or_so("coun", ["count"]), or_so("gpu", ["count"])
    (" (did you mean 'count'?)", '')
    """
    name = meant(written, known)
    return f" (did you mean {name!r}?)" if name else ""
