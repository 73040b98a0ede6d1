"""``dask supreme nodes``: who is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict

import click
from rich.console import Console

from supreme_dask.cli.system import System, of_system
from supreme_dask.core.resources import MEMORY, format_amount
from supreme_dask.stores import Store
from supreme_dask.stores.registry import Node, Registry

_FIRST = ("kind", "name", "address", "threads", "memory", "labels", "epoch")
_ALWAYS = 3  # of these columns, that are shown in the narrowest window


@click.command()
@of_system
@click.option("--watch", is_flag=True, help="Go on, and list again after each change.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def nodes(store: str, system: str, *, watch: bool, as_json: bool) -> None:
    """List the registered processes of a system."""

    def show(found: Sequence[Node]) -> None:
        if as_json:
            told = [json.dumps(asdict(node)) for node in found]
        elif found:
            console = Console()
            told = [f"system {system}", *lines(found, console.width if console.is_terminal else None)]
        else:
            told = [f"Nothing is registered in system {system}."]
        click.echo("".join(f"{line}\n" for line in told), nl=False)

    async def story(opened: Store) -> None:
        registry = Registry(opened, system)
        if not watch:
            return show(await registry.nodes())
        async with aclosing(registry.follow()) as lists:
            async for found in lists:
                show(found)
        return None

    System(store, system).run(story)


def lines(found: Sequence[Node], width: int | None) -> list[str]:
    """Return a line for each, below their headings. Of what does not fit in `width`, the last is left out first."""
    rows = [_row(node) for node in found]
    names = dict.fromkeys((*_FIRST, *sorted({name for row in rows for name in row})))
    columns = [name for name in names if any(row.get(name) for row in rows)]
    sizes = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in columns}
    left: list[str] = []
    while width is not None and len(columns) > _ALWAYS and sum(sizes[name] + 2 for name in columns) - 2 > width:
        left.insert(0, columns.pop())
    table = [{name: name for name in columns}, *rows]
    told = ["  ".join(row.get(name, "").ljust(sizes[name]) for name in columns).rstrip() for row in table]
    return [*told, f"No room for {', '.join(left)}: --json has all."] if left else told


def _row(node: Node) -> dict[str, str]:
    row = {"kind": node.kind, "address": node.address, "labels": _pairs(node.labels)}
    row |= {name: str(value) for name, value in node.facts.items()}
    if node.epoch:
        row["epoch"] = str(node.epoch)
    if "memory" in row:
        limit = int(node.facts["memory"])
        row["memory"] = format_amount(MEMORY, limit) if limit else "no limit"
    if row.get("name") == node.address:  # Dask names a worker so that was given no name
        del row["name"]
    return row


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(values.items()))
