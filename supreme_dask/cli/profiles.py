"""``dask supreme profiles``: what was learned of task types; take it from one system to another."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click
from dask.utils import format_bytes, format_time

from supreme_dask.cli.output import AS_JSON, say, table, window
from supreme_dask.cli.system import System, of_system
from supreme_dask.errors import DocumentError
from supreme_dask.stores import Store
from supreme_dask.stores.profiles import Learned, Profiles

_NONE = "Nothing is kept of system {}. Schedulers keep profiles if they run with a store (supreme.store)."


@click.group()
def profiles() -> None:
    """Show what was learned of task types, or move it elsewhere."""


@profiles.command()
@of_system
@AS_JSON
def show(store: str, system: str, *, as_json: bool) -> None:
    """List what is kept of each task type.

    \b
    runs          measurements taken
    typical, high median and largest memory that a run needed
    duration      mean of the recent runs
    cores         most that a recent run kept busy
    unused        part of reserved memory x time that runs left unused
    killed        runs that were killed for their memory and not measured since
    fetched/s     bytes of inputs fetched per second of run
    predictor     how memory is estimated: a line over the size of the inputs,
                  a level, the largest so far, bounds of overlapped runs, none
    code          which version of the function it is of
    """  # noqa: D301  click leaves lines below this character as they are
    found = _all(store, system)
    values = ({"type": learned.type, "code": learned.code, **_summary(learned)} for learned in found)
    lines = table([_row(learned) for learned in found], window()) if found else [_NONE.format(system)]
    say(values, lines, as_json=as_json)


@profiles.command("export")
@click.argument("file", type=click.File("w"), default="-")
@of_system
def export_profiles(file: TextIO, store: str, system: str) -> None:
    """Write all profiles as JSON, to a FILE or the standard output."""
    rows = [asdict(learned) for learned in _all(store, system)]
    file.write(json.dumps(rows, indent=1) + "\n")


@profiles.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@of_system
def import_profiles(file: Path, store: str, system: str) -> None:
    """Replace learned profiles by exported ones; all of them, or none."""
    found = _read(file)

    async def story(opened: Store) -> None:
        for learned in found:
            await Profiles(opened, system).put(learned)

    System(store, system).run(story)
    click.echo(f"{len(found)} profiles; the next scheduler of {system} begins with them")


def _all(store: str, system: str) -> list[Learned]:
    async def story(opened: Store) -> list[Learned]:
        return await Profiles(opened, system).all()

    return System(store, system).run(story)


def _summary(learned: Learned) -> dict[str, Any]:
    """Return figures in bytes, seconds, cores and bytes per second; None for what is unknown."""
    return asdict(learned.profile().summary())


def _row(learned: Learned) -> dict[str, str]:
    said = learned.profile().summary()
    return {
        "type": learned.type,
        "runs": str(said.count),
        "typical": "-" if said.typical is None else format_bytes(said.typical),
        "high": "-" if said.high is None else format_bytes(said.high),
        "duration": "-" if said.duration is None else format_time(said.duration),
        "cores": f"{said.cores:.1f}",
        "unused": "-" if said.waste is None else f"{said.waste:.0%}",
        "killed": str(said.kills),
        "fetched/s": format_bytes(int(said.network)),
        "predictor": said.predictor,
        "code": learned.code or "-",
    }


def _read(file: Path) -> list[Learned]:
    try:
        rows = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{file} is not JSON: {error}") from None
    if not isinstance(rows, list):
        raise click.ClickException(f"{file} holds no list of profiles; write one with `dask supreme profiles export`")
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(Learned.checked(row))
        except DocumentError as error:
            raise click.ClickException(f"{file}, entry {number}: {'; '.join(error.problems)}") from None
    return found
