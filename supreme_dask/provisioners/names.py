"""Names of workers, none of them given twice."""

from __future__ import annotations

from collections.abc import Mapping


class Names:
    """Counts the workers of each group.

    Attributes
    ----------
    last : dict of str to int
        The greatest number of each group that was ever seen.

    Examples
    --------
    >>> names = Names()
    >>> names.see("small-7", "small")
    >>> names.next("small"), names.next("small"), names.next("large")
    ('small-8', 'small-9', 'large-0')
    """

    def __init__(self, last: Mapping[str, int] | None = None) -> None:
        self.last = dict(last or {})

    def next(self, group: str) -> str:
        """Return a name that no worker had."""
        self.last[group] = self.last.get(group, -1) + 1
        return f"{group}-{self.last[group]}"

    def see(self, name: str, group: str) -> None:
        """Take in a name that somebody else gave."""
        number = name.removeprefix(f"{group}-")
        if number.isdecimal():
            self.last[group] = max(int(number), self.last.get(group, -1))
