"""``dask supreme history``: what a system decided, and why, also after it has stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from supreme_dask.cli.documents import moment
from supreme_dask.cli.output import AS_JSON, say, table, window
from supreme_dask.cli.system import System, of_system
from supreme_dask.stores import Store
from supreme_dask.stores.history import read

_NONE = "Nothing is recorded of system {}. Schedulers record if they run with a store (supreme.store)."
_BESIDE = {"reject": "tasks", "scale": "victims", "dropped": "count"}
"""By kind, what its sentence does not say; all else says it again, for programs."""


@click.command()
@of_system
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N entries.")
@AS_JSON
def history(store: str, system: str, last: int | None, *, as_json: bool) -> None:
    """List what was decided in a system and why, oldest first."""

    async def story(opened: Store) -> tuple[dict[str, Any], ...]:
        return await read(opened, system)

    entries = System(store, system).run(story)[-(last or 0) :]
    lines = table([row(entry) for entry in entries], window(), sentence="why") if entries else [_NONE.format(system)]
    say(entries, lines, as_json=as_json)


def row(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return an entry for humans: when, what, the sentence, and what that does not say."""
    kind = str(entry.get("what", ""))
    name = _BESIDE.get(kind, "")
    beside = f" ({name}: {_shown(entry[name])})" if entry.get(name) else ""
    when = moment(entry["time"]) if "time" in entry else ""
    return {"when": when, "what": kind, "why": f"{entry.get('reason', '')}{beside}".strip()}


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
