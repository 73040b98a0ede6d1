"""``dask supreme history``: what a system decided, and why, also after it has stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from supreme_dask.cli.documents import moment
from supreme_dask.cli.system import System, of_system
from supreme_dask.stores import Store
from supreme_dask.stores.history import read

_BESIDE = {"reject": "tasks", "scale": "victims", "dropped": "count"}
"""By kind, what its sentence does not say; all else says it again, for programs."""


@click.command()
@of_system
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N entries.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def history(store: str, system: str, last: int | None, *, as_json: bool) -> None:
    """List what was decided in a system and why, oldest first."""

    async def story(opened: Store) -> tuple[dict[str, Any], ...]:
        return await read(opened, system)

    entries = System(store, system).run(story)[-(last or 0) :]
    for entry in entries:
        click.echo(json.dumps(entry) if as_json else line(entry))
    if not entries and not as_json:
        click.echo(f"Nothing is recorded of system {system}.")


def line(entry: Mapping[str, Any]) -> str:
    """Return an entry for humans: when, what, the sentence, and what that does not say."""
    when = moment(entry["time"]) if "time" in entry else ""
    kind = entry.get("what", "")
    name = _BESIDE.get(kind, "")
    beside = f" ({name}: {_shown(entry[name])})" if entry.get(name) else ""
    return f"{when:25}  {kind:9}  {entry.get('reason', '')}{beside}".rstrip()


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
