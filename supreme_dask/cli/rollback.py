"""``dask supreme tag`` and ``rollback``: name how a whole system is, and return to it."""

from __future__ import annotations

import time
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from supreme_dask.cli.documents import DRY_RUN, moment, on_documents, show_changes
from supreme_dask.cli.system import author, of_system
from supreme_dask.core.revisions import Difference, DocumentRevision, Tag
from supreme_dask.errors import NotPublishedError
from supreme_dask.stores.documents import Documents


@click.command()
@of_system
@click.option("--delete", is_flag=True, help="Forget the tag instead.")
@click.argument("name", required=False)
def tag(store: str, system: str, name: str | None, *, delete: bool) -> None:
    """Give a NAME to how all documents of a system are now; without one, list the tags."""

    async def story(documents: Documents) -> dict[str, Tag]:
        if name and delete:
            known = await documents.tags()
            if name not in known:
                raise NotPublishedError(f"tag {name!r} of system {system}", sorted(known))
            await documents.untag(name)
        elif name:
            await documents.tag(name, author=author())
        return await documents.tags()

    table = Table("tag", "when", "who", "revisions", title=f"system {system}", title_justify="left")
    for one in sorted(on_documents(store, system, story).values(), key=lambda one: one.time):
        revisions = ", ".join(f"{document} {number}" for document, number in sorted(one.revisions.items()))
        table.add_row(one.name, moment(one.time), one.author, revisions)
    Console().print(table if table.row_count else f"System {system} has no tags.")


@click.command()
@of_system
@click.option("--to", "to", required=True, metavar="TIME|TAG", help="A tag, or a time: 2026-11-23T16:00, local.")
@click.option("-m", "--message", "why", default="", help="Why; kept with the revisions.")
@DRY_RUN
@click.option("--yes", is_flag=True, help="Do not ask.")
def rollback(store: str, system: str, to: str, why: str, *, dry_run: bool, yes: bool) -> None:
    """Return all documents of a system to how they were at a time or a tag.

    It shows what that changes; for a time it asks first.
    """

    async def look(documents: Documents) -> tuple[float | str, dict[str, tuple[Difference, ...]]]:
        target = to if to in await documents.tags() else _time(to)
        return target, await documents.changes(target)

    async def story(documents: Documents) -> dict[str, DocumentRevision]:
        return await documents.roll_back_all(target, author=author(), why=why or f"system back to {to}")

    target, changes = on_documents(store, system, look)
    for document, found in sorted(changes.items()):
        show_changes(document, found)
    if dry_run:
        return
    if changes and not yes and not isinstance(target, str):
        click.confirm(f"Publish {len(changes)} changed documents of system {system}?", abort=True)
    done = on_documents(store, system, story)
    for document, revision in sorted(done.items()):
        removed = "removed: it was not there then" if revision.content is None else ""
        again = f"content of revision {revision.rollback_of}"
        click.echo(f"{document}: revision {revision.number}, {removed or again}")
    if not done:
        click.echo(f"System {system} is as it was then; nothing was published.")


def _time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is neither a tag of the system nor a time", param_hint="--to") from None
    if moment > time.time():
        raise click.BadParameter(f"{text} is still to come", param_hint="--to")
    return moment
