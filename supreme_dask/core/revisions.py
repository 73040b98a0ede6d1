"""Revisions of a document: a chain to which one only ever adds, so that going back is a step forward.

A document is a tree of plain values, as JSON has them. Each revision carries its content, who published it,
when and why, and the hash of the revision before. Rolling back publishes an earlier content again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

Content: TypeAlias = Mapping[str, Any] | None
"""What a document says: plain values only. None: it was removed."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who publishes, why, and when, in seconds since 1970 (UTC)."""

    author: str
    why: str
    time: float


@dataclass(frozen=True, slots=True)
class DocumentRevision:
    """One revision of a document.

    Attributes
    ----------
    number : int
        1 for the first, then one more each time.
    time : float
        When it was published, in seconds since 1970 (UTC); never before the revision it follows.
    parent : str
        Hash of the revision before; empty for the first.
    rollback_of : int
        Number of the revision whose content was published again; 0 if the content is new.
    """

    number: int
    content: Content
    author: str
    why: str
    time: float
    parent: str = ""
    rollback_of: int = 0

    @property
    def hash(self) -> str:
        """SHA-256 over all of it, so over all that came before, too."""
        return _sha256(self.to_wire())

    @property
    def content_hash(self) -> str:
        """SHA-256 over the content alone."""
        return _sha256(self.content)

    def to_wire(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> DocumentRevision:
        """Return the revision that `to_wire` was asked for.

        Raises
        ------
        TypeError
            If a part is missing or unknown.
        """
        return cls(**wire)


@dataclass(frozen=True, slots=True)
class Tag:
    """A name for how all documents of a system were: the revision number of each."""

    name: str
    revisions: Mapping[str, int]
    author: str
    time: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two contents differ; `path` is a JSON path, such as ``$.high_cpu.threshold``."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        before, after = (json.dumps(value, ensure_ascii=False) for value in (self.before, self.after))
        shown = {"added": after, "removed": before, "changed": f"{before} → {after}"}
        return f"{self.path}: {self.kind}: {shown[self.kind]}"


def publish(
    head: DocumentRevision | None, content: Content, signature: Signature, *, rollback_of: int = 0
) -> DocumentRevision:
    """Return the revision that follows `head`, the newest one; None begins a document.

    Examples
    --------
    >>> first = publish(None, {"cpu": 1}, Signature("ann", "begin", time=0.0))
    >>> second = publish(first, {"cpu": 2}, Signature("bob", "more", time=1.0))
    >>> second.number, second.parent == first.hash
    (2, True)
    """
    if head is None:
        return DocumentRevision(1, content, signature.author, signature.why, signature.time)
    # A clock that was set back must not reorder history: "as it was at 12:00" has one answer.
    time = max(signature.time, head.time)
    return DocumentRevision(head.number + 1, content, signature.author, signature.why, time, head.hash, rollback_of)


def breaks(history: Sequence[DocumentRevision]) -> tuple[str, ...]:
    """Return what is wrong with a history, ascending; nothing if it is a chain.

    Revisions may be missing where they were dropped; what is there must fit together.

    Examples
    --------
    >>> breaks([DocumentRevision(1, {}, "ann", "", 0.0), DocumentRevision(2, {}, "eve", "", 0.0, "0123")])
    ('revision 2 does not follow revision 1: its parent is another',)
    """
    return tuple(problem for before, after in pairwise(history) for problem in _breaks_between(before, after))


def differences(before: Content, after: Content) -> tuple[Difference, ...]:
    """Return every place in which two contents differ, in the order of their paths.

    Examples
    --------
    >>> for difference in differences({"cpu": 80, "old": 1}, {"cpu": 90}):
    ...     print(difference)
    $.cpu: changed: 80 → 90
    $.old: removed: 1
    """
    return tuple(_differences("$", before, after))


def current_at(history: Iterable[DocumentRevision], time: float) -> DocumentRevision | None:
    """Return the revision that held at a time, of a history in ascending order; None before the first."""
    return max((one for one in history if one.time <= time), key=lambda one: one.number, default=None)


def to_republish(
    heads: Mapping[str, DocumentRevision], wanted: Mapping[str, DocumentRevision | None]
) -> dict[str, DocumentRevision | None]:
    """Return the documents whose content must be published again, and the revision to take it from.

    Parameters
    ----------
    heads
        Newest revision of every document of a system.
    wanted
        Revision that held then; a document that is not named, or None, was not there.

    Returns
    -------
    dict
        By document name; None for one that must be removed, for it came later.
    """
    result: dict[str, DocumentRevision | None] = {}
    for name, head in sorted(heads.items()):
        then = wanted.get(name)
        if head.content_hash != (then.content_hash if then else _sha256(None)):
            result[name] = then
    return result


def numbers_to_drop(numbers: Iterable[int], *, keep: int, tagged: Iterable[int]) -> tuple[int, ...]:
    """Return which revisions need not be kept: older than the newest `keep`, and not tagged.

    Examples
    --------
    >>> numbers_to_drop([1, 2, 3, 4, 5], keep=2, tagged=[2])
    (1, 3)
    """
    ordered, held = sorted(numbers), set(tagged)
    return tuple(number for number in ordered[:-keep] if number not in held)


def encode(value: object) -> bytes:
    """Return plain values as JSON in its one canonical form.

    Raises
    ------
    ValueError, TypeError
        If a value is not plain, or not a number that JSON has.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _breaks_between(before: DocumentRevision, after: DocumentRevision) -> Iterator[str]:
    if after.number <= before.number:
        yield f"revision {after.number} comes after revision {before.number}"
    elif after.number == before.number + 1 and after.parent != before.hash:
        yield f"revision {after.number} does not follow revision {before.number}: its parent is another"
    if after.time < before.time:
        yield f"revision {after.number} is older than revision {before.number}"


def _differences(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _between(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _between(path, dict(enumerate(before)), dict(enumerate(after)))
    elif encode(before) != encode(after):
        yield Difference(path, "changed", before, after)


def _between(path: str, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Iterator[Difference]:
    for key in sorted({*before, *after}):
        place = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
        if key not in after:
            yield Difference(place, "removed", before=before[key])
        elif key not in before:
            yield Difference(place, "added", after=after[key])
        else:
            yield from _differences(place, before[key], after[key])


def _sha256(value: object) -> str:
    return hashlib.sha256(encode(value)).hexdigest()
