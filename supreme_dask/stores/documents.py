"""Versioned documents of a system: policies and worker groups.

A document is named by its kind and a name of its own, such as ``policy/default``. Its revisions are keys that
never change, and a head that says which is the newest; publishing moves the head by compare-and-swap. So of
two who publish at once exactly one wins, and nothing depends on what the store has compacted. The newest
revisions are kept, and those that a tag names.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass

from supreme_dask.core.revisions import (
    Content,
    Difference,
    DocumentRevision,
    Signature,
    Tag,
    breaks,
    current_at,
    differences,
    numbers_to_drop,
    publish,
    to_republish,
)
from supreme_dask.errors import AmbiguousWriteError, NotPublishedError, PublishConflictError, StoreFormatError
from supreme_dask.stores.base import Store
from supreme_dask.stores.document_keys import DocumentKeys, Head, Step
from supreme_dask.stores.follow import follow
from supreme_dask.stores.layout import pack
from supreme_dask.stores.operations import Absent, Compare, ModRevisionIs, Put
from supreme_dask.stores.schemas import check
from supreme_dask.stores.values import Refused

log = logging.getLogger(__name__)

_LEAST_KEPT = 2  # a tag names heads: whoever publishes at that moment must not drop one of them
_MOST_DROPPED = 2  # by one publication: it also catches up after a tag was deleted


@dataclass(frozen=True, slots=True)
class Published:
    """A revision and the document that it is of."""

    document: str
    revision: DocumentRevision


class Documents:
    """The documents of one system.

    Parameters
    ----------
    store
        Open.
    system
        Name of the system.
    keep
        Newest revisions of each document that are kept in any case.
    now
        Clock, in seconds since 1970 (UTC).

    Examples
    --------
    >>> async def raise_threshold(store):
    ...     documents = Documents(store, "blue")
    ...     policy = {"high_cpu": {"threshold": 90, "action": "add_node"}}
    ...     await documents.publish("policy/default", policy, author="ann", why="fewer workers at night")
    """

    def __init__(self, store: Store, system: str, *, keep: int = 50, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._keys = DocumentKeys(store.address, system)
        self._keep = max(keep, _LEAST_KEPT)
        self._now = now

    async def publish(
        self, document: str, content: Content, *, author: str, why: str = "", expected: int | None = None
    ) -> DocumentRevision:
        """Make `content` the newest revision of a document; None removes the document.

        Parameters
        ----------
        document
            Name of the document, such as ``"policy/default"``.
        content
            Names with values, which its schema must allow; None to remove it.
        author
            Name of the author, for the history.
        why
            Reason, for the history.
        expected
            Number of the newest revision as the author knows it, 0 for none; None: whatever it is now.

        Raises
        ------
        DocumentError
            If its schema does not allow it.
        PublishConflictError
            If somebody else published in between.
        """
        kind, _, _ = document.partition("/")
        check(document, kind, content)
        return await self._add(document, content, Signature(author, why, self._now()), expected)

    async def roll_back(
        self, document: str, to: int, *, author: str, why: str = "", expected: int | None = None
    ) -> DocumentRevision:
        """Publish the content of an earlier revision again.

        Parameters
        ----------
        document
            Name of the document, such as ``"policy/default"``.
        to
            Number of the earlier revision.
        author
            Name of the author, for the history.
        why
            Reason, for the history.
        expected
            As for `publish`.

        Raises
        ------
        NotPublishedError
            If there is no such revision, or it is no longer kept.
        PublishConflictError
            If somebody else published in between.
        """
        earlier = await self.read(document, to)
        signature = Signature(author, why, self._now())
        return await self._add(document, earlier.content, signature, expected, rollback_of=to)

    async def newest(self, document: str) -> DocumentRevision:
        """Return the newest revision of a document, or raise `NotPublishedError`."""
        while True:
            head = await self._head(document)
            if head is None:
                raise NotPublishedError(f"document {document!r}", sorted(await self.names()))
            found = await self._find(document, head.number)
            if found is not None:
                return found
            log.debug("Revision %d of %s was dropped while it was read", head.number, document)

    async def read(self, document: str, number: int) -> DocumentRevision:
        """Return one revision of a document, or raise `NotPublishedError`.

        Parameters
        ----------
        document
            Name of the document, such as ``"policy/default"``.
        number
            Number of the revision.
        """
        found = await self._find(document, number)
        if found is None:
            known = [str(one.number) for one in await self.history(document)]
            raise NotPublishedError(f"revision {number} of {document!r}", known)
        return found

    async def history(self, document: str) -> tuple[DocumentRevision, ...]:
        """Return the revisions of a document that are kept, oldest first.

        Raises
        ------
        StoreFormatError
            If one does not follow the one before, so that somebody has altered them.
        """
        listing = await self._store.list(self._keys.revisions(document))
        history = tuple(map(self._keys.read_revision, listing.items))
        if broken := breaks(history):
            raise StoreFormatError(self._store.address, f"history of {document!r} was altered: {'; '.join(broken)}")
        return history

    async def difference(self, document: str, before: int, after: int) -> tuple[Difference, ...]:
        """Return in what two revisions of a document differ.

        Parameters
        ----------
        document
            Name of the document, such as ``"policy/default"``.
        before
            Number of one revision.
        after
            Number of the other.
        """
        one, other = await self.read(document, before), await self.read(document, after)
        return differences(one.content, other.content)

    async def names(self) -> dict[str, int]:
        """Return the number of the newest revision of every document, removed ones included."""
        listing = await self._store.list(self._keys.heads)
        return {head.document: head.number for head in map(self._keys.read_head, listing.items)}

    async def follow(self) -> AsyncGenerator[Published]:
        """Deliver the newest revision of every document, then each that is published, until the store closes.

        A follower that falls behind may miss revisions between, never the newest one.
        """
        async with aclosing(follow(self._store, self._keys.heads)) as changes:
            async for change in changes:
                for kv in filter(None, (event.kv for event in change.events)):
                    head = self._keys.read_head(kv)
                    revision = await self._find(head.document, head.number)
                    if revision is not None:  # else it was dropped, so newer ones are on their way to us
                        yield Published(head.document, revision)

    async def tag(self, name: str, *, author: str) -> Tag:
        """Give a name to how all documents are now; a name can be given once.

        Parameters
        ----------
        name
            Name of the tag.
        author
            Name of the author, for the history.

        Raises
        ------
        PublishConflictError
            If the name is taken, or a document was published in between.
        """
        listing = await self._store.list(self._keys.heads)
        heads = [self._keys.read_head(kv) for kv in listing.items]
        key = self._keys.tag(name)
        tag = Tag(name, {head.document: head.number for head in heads}, author, self._now())
        compares: list[Compare] = [Absent(key)]
        compares += [ModRevisionIs(kv.key, kv.mod_revision) for kv in listing.items]
        outcome = await self._store.transact(compares, (Put(key, pack(asdict(tag))),))
        if isinstance(outcome, Refused):
            taken = key in outcome.current
            problem = "there is one of that name" if taken else "a document was published in between"
            raise PublishConflictError(f"tag {name!r}", problem, "take another name" if taken else "tag again")
        return tag

    async def untag(self, name: str) -> None:
        """Forget a tag. What only it held is dropped when its document is published next.

        Parameters
        ----------
        name
            Name of the tag.
        """
        await self._store.delete(self._keys.tag(name))

    async def tags(self) -> dict[str, Tag]:
        """Return the tags by name."""
        listing = await self._store.list(self._keys.tags)
        tags = map(self._keys.read_tag, listing.items)
        return {tag.name: tag for tag in tags}

    async def roll_back_all(self, to: float | str, *, author: str, why: str = "") -> dict[str, DocumentRevision]:
        """Return all documents to how they were at a time (seconds since 1970) or a tag.

        Documents that came later are removed; those that are as they were are left alone. Up to 25 changed
        documents of 1 MiB together are one transaction, which happens whole or not at all. Beyond, there are
        several: if somebody publishes one of the documents meanwhile, the error says which were returned
        before. To finish, roll back to the same time or tag again.

        Parameters
        ----------
        to
            Seconds since 1970 (UTC), or the name of a tag.
        author
            Name of the author, for the history.
        why
            Reason, for the history.

        Returns
        -------
        dict
            The new revisions by document.

        Raises
        ------
        NotPublishedError
            If there is no such tag, or a revision is no longer kept.
        PublishConflictError
            If somebody else published one of the documents in between.
        """
        heads, newest, wanted = await self._now_and_then(to)
        signature = Signature(author, why, self._now())
        steps = []
        for document, then in wanted.items():
            revision = publish(
                newest[document],
                then.content if then else None,
                signature,
                rollback_of=then.number if then else 0,
            )
            steps.append(await self._step(document, heads[document], revision))
        await self._commit_in_parts(steps)
        return {step.document: step.revision for step in steps}

    async def changes(self, to: float | str) -> dict[str, tuple[Difference, ...]]:
        """Return what `roll_back_all` would change, by document.

        Parameters
        ----------
        to
            Seconds since 1970 (UTC), or the name of a tag.

        Raises
        ------
        NotPublishedError
            If there is no such tag, or a revision is no longer kept.
        """
        _, newest, wanted = await self._now_and_then(to)
        return {
            document: differences(newest[document].content or {}, (then.content if then else None) or {})
            for document, then in wanted.items()
        }

    async def _now_and_then(
        self, to: float | str
    ) -> tuple[dict[str, Head], dict[str, DocumentRevision], dict[str, DocumentRevision | None]]:
        """Return heads and newest revisions of all documents, and what held then of those that differ."""
        listing = await self._store.list(self._keys.heads)
        heads = {head.document: head for head in map(self._keys.read_head, listing.items)}
        newest = {document: await self.read(document, head.number) for document, head in heads.items()}
        return heads, newest, to_republish(newest, await self._wanted(to, tuple(heads)))

    async def _add(
        self,
        document: str,
        content: Content,
        signature: Signature,
        expected: int | None,
        *,
        rollback_of: int = 0,
    ) -> DocumentRevision:
        head = await self._head(document)
        number = head.number if head else 0
        if expected is not None and expected != number:
            raise PublishConflictError(document, _stale(expected, number))
        before = await self._find(document, number) if number else None
        if number and before is None:
            raise PublishConflictError(document, f"revision {number} was followed by many others meanwhile")
        revision = publish(before, content, signature, rollback_of=rollback_of)
        await self._commit([await self._step(document, head, revision)])
        return revision

    async def _wanted(self, to: float | str, names: Sequence[str]) -> dict[str, DocumentRevision | None]:
        if isinstance(to, str):
            tags = await self.tags()
            if to not in tags:
                raise NotPublishedError(f"tag {to!r}", sorted(tags))
            return {name: await self.read(name, number) for name, number in tags[to].revisions.items()}
        return {name: await self._held(name, to) for name in names}

    async def _held(self, document: str, moment: float) -> DocumentRevision | None:
        history = await self.history(document)
        held = current_at(history, moment)
        if history[0].number > 1 and held is None:
            raise NotPublishedError(f"revision of {document!r} that held then", [f"{one.number}" for one in history])
        if held is not None and self._gap_after(history, held):
            raise NotPublishedError(
                f"certain revision of {document!r} for that time", [f"{one.number}" for one in history]
            )
        return held

    @staticmethod
    def _gap_after(history: Sequence[DocumentRevision], held: DocumentRevision) -> bool:
        """Return whether revisions right after this one were dropped: one of them may have held later."""
        following = next((one for one in history if one.number > held.number), None)
        return following is not None and following.number != held.number + 1

    async def _step(self, document: str, head: Head | None, revision: DocumentRevision) -> Step:
        dropped: tuple[int, ...] = ()
        if revision.number > self._keep:
            tags = await self.tags()
            tagged = {tag.revisions.get(document, 0) for tag in tags.values()}
            numbers = [one.number for one in await self.history(document)]
            dropped = numbers_to_drop([*numbers, revision.number], keep=self._keep, tagged=tagged)
        return Step(document, head.mod_revision if head else 0, revision, dropped[:_MOST_DROPPED])

    async def _commit_in_parts(self, steps: Sequence[Step]) -> None:
        done: list[str] = []
        for part in self._keys.parts(steps):
            await self._commit(part, done)
            done += [step.document for step in part]

    async def _commit(self, steps: Sequence[Step], done: Sequence[str] = ()) -> None:
        """Publish all steps in one transaction."""
        identity = uuid.uuid4().hex
        compares = [self._keys.unchanged(step) for step in steps]
        operations = [one for step in steps for one in self._keys.operations(step, identity)]
        try:
            outcome = await self._store.transact(compares, operations)
        except AmbiguousWriteError:
            if not await self._was_written(steps[0], identity):
                raise
            return
        if isinstance(outcome, Refused):
            raise self._conflict(steps, outcome, done)

    def _conflict(self, steps: Sequence[Step], outcome: Refused, done: Sequence[str]) -> PublishConflictError:
        found = map(self._keys.read_head, outcome.current.values())
        newest = {head.document: head.number for head in found}
        moved = [step for step in steps if newest.get(step.document, 0) != step.revision.number - 1]
        problems = {_stale(step.revision.number - 1, newest.get(step.document, 0)) for step in moved}
        names = ", ".join(step.document for step in moved)
        remedy = f"returned before that: {', '.join(done)}; roll back again to finish" if done else ""
        return PublishConflictError(names, ", ".join(sorted(problems)), remedy)

    async def _was_written(self, step: Step, identity: str) -> bool:
        """Return whether a transaction whose answer was lost has been applied."""
        kv = await self._store.get(self._keys.revision(step.document, step.revision.number))
        return kv is not None and self._keys.written_by(kv, identity)

    async def _head(self, document: str) -> Head | None:
        kv = await self._store.get(self._keys.head(document))
        return self._keys.read_head(kv) if kv else None

    async def _find(self, document: str, number: int) -> DocumentRevision | None:
        kv = await self._store.get(self._keys.revision(document, number))
        return self._keys.read_revision(kv) if kv else None


def _stale(seen: int, newest: int) -> str:
    return f"based on revision {seen}, but the newest is revision {newest}"
