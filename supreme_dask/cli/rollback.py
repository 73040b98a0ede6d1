"""``dask supreme tag`` and ``rollback``: name how a whole system is, and return to it."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from supreme_dask.cli.documents import DRY_RUN, moment, on_documents, show_changes
from supreme_dask.cli.output import AS_JSON, say, table, window
from supreme_dask.cli.system import author, of_system
from supreme_dask.core.reasons.words import counted
from supreme_dask.core.revisions import Difference, DocumentRevision, Tag
from supreme_dask.errors import NotPublishedError
from supreme_dask.stores.documents import Documents

_NONE = "System {} has no tags."


@click.command()
@of_system
@click.option("--delete", is_flag=True, help="Forget the tag instead.")
@AS_JSON
@click.argument("name", required=False)
def tag(store: str, system: str, name: str | None, *, delete: bool, as_json: bool) -> None:
    """List the tags of a system, or add one.

    A tag is a NAME for how all documents of the system are now.
    """

    async def story(documents: Documents) -> dict[str, Tag]:
        if name and delete:
            known = await documents.tags()
            if name not in known:
                raise NotPublishedError(f"tag {name!r} of system {system}", sorted(known))
            await documents.untag(name)
        elif name:
            await documents.tag(name, author=author())
        return await documents.tags()

    tags = sorted(on_documents(store, system, story).values(), key=lambda one: one.time)
    rows = [_row(one) for one in tags]
    lines = [f"system {system}", *table(rows, window(), sentence="revisions")] if tags else [_NONE.format(system)]
    say((asdict(one) for one in tags), lines, as_json=as_json)


def _row(one: Tag) -> dict[str, str]:
    revisions = ", ".join(f"{document} {number}" for document, number in sorted(one.revisions.items()))
    return {"tag": one.name, "when": moment(one.time), "who": one.author, "revisions": revisions}


@click.command()
@of_system
@click.option("--to", "to", required=True, metavar="TIME|TAG", help="A tag, or a time: 2026-11-23T16:00, local.")
@click.option("-m", "--message", "why", metavar="TEXT", default="", help="Why; kept with the revisions.")
@DRY_RUN
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def rollback(store: str, system: str, to: str, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Return all documents of a system to a time or a tag.

    It shows what that changes; for a time it asks first.
    """

    async def look(documents: Documents) -> tuple[float | str, dict[str, tuple[Difference, ...]]]:
        target = to if to in await documents.tags() else _time(to)
        return target, await documents.changes(target)

    async def story(documents: Documents) -> dict[str, DocumentRevision]:
        return await documents.roll_back_all(target, author=author(), why=options["why"] or f"system back to {to}")

    target, changes = on_documents(store, system, look)
    if dry_run or not as_json:
        for document, found in sorted(changes.items()):
            show_changes(document, found, as_json=as_json)
    if dry_run:
        return
    if changes and not options["yes"] and not isinstance(target, str):
        changed = counted(len(changes), "changed document")
        click.confirm(f"Publish {changed} of system {system}?", abort=True, err=as_json)
    done = sorted(on_documents(store, system, story).items())
    lines = [_published(document, revision) for document, revision in done]
    values = ({"document": document, **asdict(revision)} for document, revision in done)
    say(values, lines or [f"System {system} is as it was then; nothing was published."], as_json=as_json)


def _published(document: str, revision: DocumentRevision) -> str:
    removed = "removed: it was not there then" if revision.content is None else ""
    return f"{document}: revision {revision.number}, {removed or f'content of revision {revision.rollback_of}'}"


def _time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a tag of the system nor a time since 1970", param_hint="--to"
        ) from None
    if moment > time.time():
        raise click.BadParameter(f"{text} is still to come", param_hint="--to")
    return moment
