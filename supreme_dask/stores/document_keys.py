"""How the documents of a system are kept: their keys, what those hold, and what fits into one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from supreme_dask.core.revisions import DocumentRevision, Tag
from supreme_dask.errors import StoreFormatError
from supreme_dask.stores.layout import check_name, pack, prefix, unpack
from supreme_dask.stores.limits import TRANSACTION_BYTES, TRANSACTION_PARTS
from supreme_dask.stores.operations import Delete, ModRevisionIs, Operation, Put
from supreme_dask.stores.values import KeyValue

_MARGIN = 256  # bytes that a store adds to each key, at most


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says, and the store's revision that put it."""

    document: str
    number: int
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Step:
    """One document's part of a transaction: the head that was seen, what follows it, what it lets go of."""

    document: str
    seen: int
    revision: DocumentRevision
    dropped: tuple[int, ...]


class DocumentKeys:
    """The keys of the documents of one system.

    Parameters
    ----------
    store
        Address of the store, for messages.
    """

    def __init__(self, store: str, system: str) -> None:
        self.heads = prefix(system, "heads")
        self.tags = prefix(system, "tags")
        self._revisions = prefix(system, "revisions")
        self._store = store

    def head(self, document: str) -> str:
        """Return the key of a document's head."""
        for part in document.partition("/")[::2]:
            check_name(part)
        return self.heads + document

    def revisions(self, document: str) -> str:
        """Return what the keys of a document's revisions begin with."""
        return f"{self._revisions}{document}/"

    def revision(self, document: str, number: int) -> str:
        """Return the key of one revision."""
        return f"{self.revisions(document)}{number:010d}"

    def tag(self, name: str) -> str:
        """Return the key of a tag."""
        return self.tags + check_name(name)

    def read_head(self, kv: KeyValue) -> Head:
        """Return what a head's key holds."""
        number = unpack(self._store, kv.key, kv.value).get("number")
        if not isinstance(number, int):
            raise StoreFormatError(self._store, f"{kv.key!r} does not name a revision")
        return Head(kv.key.removeprefix(self.heads), number, kv.mod_revision)

    def read_tag(self, kv: KeyValue) -> Tag:
        """Return what a tag's key holds."""
        try:
            return Tag(**unpack(self._store, kv.key, kv.value))
        except TypeError:
            raise StoreFormatError(self._store, f"{kv.key!r} is not a whole tag") from None

    def read_revision(self, kv: KeyValue) -> DocumentRevision:
        """Return what a revision's key holds, if it is what was written there."""
        record = unpack(self._store, kv.key, kv.value)
        try:
            revision = DocumentRevision.from_wire(record["revision"])
        except (KeyError, TypeError):
            raise StoreFormatError(self._store, f"{kv.key!r} is not a whole revision") from None
        if revision.hash != record.get("hash"):
            raise StoreFormatError(self._store, f"{kv.key!r} was altered: its hash is another")
        return revision

    def written_by(self, kv: KeyValue, identity: str) -> bool:
        """Return whether a revision's key was put by the transaction of that identity."""
        return unpack(self._store, kv.key, kv.value).get("id") == identity

    def unchanged(self, step: Step) -> ModRevisionIs:
        """Return the compare that holds while nobody else publishes."""
        return ModRevisionIs(self.heads + step.document, step.seen)

    def operations(self, step: Step, identity: str = "") -> list[Operation]:
        """Return what publishes a step; the identity tells its transaction from others."""
        revision = step.revision
        return [
            Put(
                self.revision(step.document, revision.number),
                pack({"id": identity, "hash": revision.hash, "revision": revision.to_wire()}),
            ),
            Put(self.heads + step.document, pack({"number": revision.number, "hash": revision.hash})),
            *(Delete(self.revision(step.document, number)) for number in step.dropped),
        ]

    def parts(self, steps: Sequence[Step]) -> list[list[Step]]:
        """Split steps into as few transactions as the limits of stores allow, in order."""
        parts: list[list[Step]] = []
        count = size = 0
        for step in steps:
            operations = self.operations(step)
            step_size = sum(len(one.key) + len(one.value) + _MARGIN for one in operations if isinstance(one, Put))
            if not parts or count + len(operations) > TRANSACTION_PARTS or size + step_size > TRANSACTION_BYTES:
                parts.append([])
                count = size = 0
            parts[-1].append(step)
            count, size = count + len(operations), size + step_size
        return parts
