"""``dask supreme policy`` and ``groups``: publish documents, look back, go back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, BinaryIO, TypeVar

import click
import yaml

from supreme_dask.cli.commands import read_document
from supreme_dask.cli.output import AS_JSON, say, table, window
from supreme_dask.cli.system import System, author, of_system
from supreme_dask.core.policies import unknown_groups
from supreme_dask.core.revisions import Content, Difference, DocumentRevision, differences
from supreme_dask.errors import NotPublishedError
from supreme_dask.stores import Store, schemas
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.layout import check_name

_T = TypeVar("_T")

_NAME = click.option(
    "--name",
    metavar="NAME",
    default="default",
    show_default=True,
    callback=lambda _context, _option, name: check_name(name),
    help="Of several documents, which one.",
)
_WHY = click.option("-m", "--message", "why", metavar="TEXT", default="", help="Why; kept with the revision.")
_NUMBER = click.IntRange(min=1)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only show what would change.")


def group(kind: str, title: str) -> click.Group:
    """Return the commands for one kind of document."""
    commands = click.Group(kind, help=title)
    for command in (_show(kind), _apply(kind), _history(kind), _diff(kind), _rollback(kind)):
        commands.add_command(command)
    return commands


def on_documents(store: str, system: str, story: Callable[[Documents], Awaitable[_T]]) -> _T:
    """Return what a story comes to with the documents of a system."""

    async def told(opened: Store) -> _T:
        return await story(Documents(opened, system))

    return System(store, system).run(told)


def moment(seconds: float) -> str:
    """Return a time as people write it, in their own zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(sep=" ", timespec="seconds")


def _show(kind: str) -> click.Command:
    @click.command("show")
    @of_system
    @_NAME
    @click.option("--revision", type=_NUMBER, metavar="N", help="An earlier one.")
    @AS_JSON
    def show(store: str, system: str, name: str, revision: int | None, *, as_json: bool) -> None:
        """Print the document, as YAML that `apply` takes."""

        async def story(documents: Documents) -> DocumentRevision:
            document = f"{kind}/{name}"
            return await (documents.read(document, revision) if revision else documents.newest(document))

        found = on_documents(store, system, story)
        document = f"{kind}/{name}"
        content = "# it was removed" if found.content is None else _as_yaml(found.content)
        lines = (f"# {document} of system {system}, {_described(found)}", *content.splitlines())
        say([_value(document, found)], lines, as_json=as_json)

    return show


def _apply(kind: str) -> click.Command:
    @click.command("apply")
    @of_system
    @_NAME
    @_WHY
    @DRY_RUN
    @click.option(
        "--expected", type=click.IntRange(min=0), metavar="N", help="Publish only if this is still the newest."
    )
    @AS_JSON
    @click.argument("file", type=click.File("rb"))
    def apply(
        store: str, system: str, name: str, file: BinaryIO, *, dry_run: bool, as_json: bool, **options: Any
    ) -> None:
        """Publish FILE as the newest revision, unless that says the same.

        It is YAML or JSON; - is the standard input.
        """
        content, document = read_document(file), f"{kind}/{name}"
        if dry_run:
            schemas.check(document, kind, content)
            return _show_difference(System(store, system), document, lambda _: _ready(content), as_json=as_json)

        async def story(documents: Documents) -> tuple[DocumentRevision, str]:
            newest = await _newest(documents, document)
            if newest is not None and newest.content == content and options["expected"] in (None, newest.number):
                revision, unchanged = newest, "unchanged, "
            else:
                revision, unchanged = await documents.publish(document, content, author=author(), **options), ""
            await _warn(documents, kind, name)
            return revision, unchanged

        revision, unchanged = on_documents(store, system, story)
        return _say_published(document, system, revision, unchanged, as_json=as_json)

    return apply


def _say_published(
    document: str, system: str, revision: DocumentRevision, unchanged: str = "", *, as_json: bool
) -> None:
    line = f"{document} of system {system}: {unchanged}{_described(revision)}"
    say([_value(document, revision)], [line], as_json=as_json)


def _value(document: str, one: DocumentRevision | Difference) -> dict[str, Any]:
    return {"document": document, **asdict(one)}


def _show_difference(
    system: System, document: str, after: Callable[[Documents], Awaitable[Content]], *, as_json: bool
) -> None:
    """Show in what a document would differ from its newest revision."""

    async def story(opened: Store) -> tuple[Difference, ...]:
        documents = Documents(opened, system.name)
        return differences(await _content(documents, document) or {}, await after(documents) or {})

    show_changes(document, system.run(story), as_json=as_json)


async def _ready(content: Content) -> Content:
    return content


def show_changes(document: str, changes: Iterable[Difference], *, as_json: bool) -> None:
    """Print what would change in a document."""
    changes = tuple(changes)
    lines = (f"{document} {change}" for change in changes)
    say((_value(document, change) for change in changes), lines, as_json=as_json)


async def _warn(documents: Documents, kind: str, name: str) -> None:
    """Say where the policy names groups that are not published: it may be that they will be."""
    if kind in ("policy", "groups"):
        policy, groups = [await _content(documents, f"{one}/{name}") for one in ("policy", "groups")]
        for problem in unknown_groups(policy or {}, groups) if groups else ():
            click.echo(f"Warning: policy/{name}, {problem}; the rule does nothing for it", err=True)


async def _content(documents: Documents, document: str) -> Content:
    newest = await _newest(documents, document)
    return None if newest is None else newest.content


async def _newest(documents: Documents, document: str) -> DocumentRevision | None:
    try:
        return await documents.newest(document)
    except NotPublishedError:
        return None


def _history(kind: str) -> click.Command:
    @click.command("history")
    @of_system
    @_NAME
    @AS_JSON
    def history(store: str, system: str, name: str, *, as_json: bool) -> None:
        """List the revisions that are kept."""

        async def story(documents: Documents) -> tuple[DocumentRevision, ...]:
            await documents.newest(f"{kind}/{name}")
            return await documents.history(f"{kind}/{name}")

        document, found = f"{kind}/{name}", on_documents(store, system, story)
        lines = [f"{document} of system {system}", *table([_row(one) for one in found], window(), sentence="why")]
        say((_value(document, one) for one in found), lines, as_json=as_json)

    return history


def _diff(kind: str) -> click.Command:
    @click.command("diff")
    @of_system
    @_NAME
    @click.argument("before", type=_NUMBER)
    @click.argument("after", type=_NUMBER, required=False)
    @AS_JSON
    def diff(store: str, system: str, name: str, before: int, after: int | None, *, as_json: bool) -> None:
        """Print in what two revisions differ.

        Without AFTER, it is the newest.
        """

        async def story(documents: Documents) -> tuple[Difference, ...]:
            document = f"{kind}/{name}"
            number = after or (await documents.newest(document)).number
            return await documents.difference(document, before, number)

        found = on_documents(store, system, story)
        values = (_value(f"{kind}/{name}", one) for one in found)
        say(values, [str(one) for one in found], as_json=as_json)

    return diff


def _rollback(kind: str) -> click.Command:
    @click.command("rollback")
    @of_system
    @_NAME
    @_WHY
    @DRY_RUN
    @AS_JSON
    @click.argument("revision", type=_NUMBER)
    def rollback(
        store: str, system: str, name: str, revision: int, *, dry_run: bool, as_json: bool, **options: Any
    ) -> None:
        """Publish the content of an earlier REVISION again."""
        document = f"{kind}/{name}"

        async def earlier(documents: Documents) -> Content:
            return (await documents.read(document, revision)).content

        async def story(documents: Documents) -> DocumentRevision:
            published = await documents.roll_back(document, revision, author=author(), **options)
            await _warn(documents, kind, name)
            return published

        if dry_run:
            return _show_difference(System(store, system), document, earlier, as_json=as_json)
        return _say_published(document, system, on_documents(store, system, story), as_json=as_json)

    return rollback


def _as_yaml(content: Any) -> str:
    return str(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=True, allow_unicode=True))


def _described(revision: DocumentRevision) -> str:
    why = f": {revision.why}" if revision.why else ""
    origin = f" (content of revision {revision.rollback_of})" if revision.rollback_of else ""
    return f"revision {revision.number}{origin} by {revision.author}, {moment(revision.time)}{why}"


def _row(revision: DocumentRevision) -> dict[str, str]:
    return {
        "revision": str(revision.number),
        "when": moment(revision.time),
        "who": revision.author,
        "content": _origin(revision),
        "why": revision.why,
    }


def _origin(revision: DocumentRevision) -> str:
    if revision.rollback_of:
        return f"that of revision {revision.rollback_of}"
    return "removed" if revision.content is None else revision.content_hash[:12]
