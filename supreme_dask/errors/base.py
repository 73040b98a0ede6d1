"""The base of all."""

from __future__ import annotations

from collections.abc import Sequence

_CAUSES = 5  # that are told of one error


class SupremeError(Exception):
    """Base of all errors of this package."""


def whole(error: BaseException) -> str:
    """Return what an error says in one line, with what its causes say: the last one often is the reason.

    >>> try:
    ...     raise RuntimeError("small-0 failed to start") from OSError("quota exceeded")
    ... except RuntimeError as error:
    ...     whole(error)
    'small-0 failed to start: quota exceeded'
    """
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(said) < _CAUSES:
        words = " ".join(str(cause).split()).rstrip(".:") or repr(cause)
        if not any(words in before for before in said):
            said.append(words)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return ": ".join(said)


def listed(problems: Sequence[str]) -> str:
    """Return what follows a sentence on what is wrong: one problem in its line, several on a line each.

    >>> listed(["no such kind"])
    ': no such kind'
    """
    return f": {problems[0]}" if len(problems) == 1 else ":" + "".join(f"\n  {problem}" for problem in problems)
