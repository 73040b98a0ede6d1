"""The base of all."""

from __future__ import annotations

from collections.abc import Sequence


class SupremeError(Exception):
    """Base of all errors of this package."""


def listed(problems: Sequence[str]) -> str:
    """Return what follows a sentence on what is wrong: one problem in its line, several on a line each.

    >>> listed(["no such kind"])
    ': no such kind'
    """
    return f": {problems[0]}" if len(problems) == 1 else ":" + "".join(f"\n  {problem}" for problem in problems)
