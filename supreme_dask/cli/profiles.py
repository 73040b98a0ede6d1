"""``dask supreme profiles``: what was learned of task types; take it from one system to another."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click
from dask.utils import format_bytes, format_time
from rich.console import Console
from rich.table import Column, Table

from supreme_dask.cli.system import System, of_system
from supreme_dask.errors import DocumentError
from supreme_dask.stores import Store
from supreme_dask.stores.profiles import Learned, Profiles


@click.group()
def profiles() -> None:
    """Show what was learned of task types, or move it elsewhere."""


@profiles.command()
@of_system
def show(store: str, system: str) -> None:
    """List what is kept of each task type."""
    found = _all(store, system)
    if not found:
        click.echo(f"Nothing is kept of system {system}.")
        return
    columns = "code", "runs", "predictor", "typical", "high", "unused", "killed", "duration", "cores", "fetched/s"
    table = Table(Column("type", overflow="fold", min_width=12), *columns)
    for learned in found:
        table.add_row(learned.type, learned.code or "-", *_row(learned))
    Console().print(table)


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


def _row(learned: Learned) -> tuple[str, ...]:
    said = learned.profile().summary()
    return (
        str(said.count),
        said.predictor,
        "-" if said.typical is None else format_bytes(said.typical),
        "-" if said.high is None else format_bytes(said.high),
        "-" if said.waste is None else f"{said.waste:.0%}",
        str(said.kills),
        "-" if said.duration is None else format_time(said.duration),
        f"{said.cores:.1f}",
        format_bytes(int(said.network)),
    )


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
