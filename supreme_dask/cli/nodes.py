"""``dask supreme nodes``: who is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict

import click

from supreme_dask.cli.output import AS_JSON, say, table, window
from supreme_dask.cli.system import System, of_system
from supreme_dask.core.resources import MEMORY, format_amount
from supreme_dask.stores import Store
from supreme_dask.stores.registry import Node, Registry

_FIRST = ("kind", "name", "address", "threads", "memory", "labels", "epoch")
_ALWAYS = 3  # of these columns
_NONE = "Nothing is registered in system {}. Processes register if they run with a store (supreme.store)."


@click.command()
@of_system
@click.option("--watch", is_flag=True, help="Go on, and list again after each change.")
@AS_JSON
def nodes(store: str, system: str, *, watch: bool, as_json: bool) -> None:
    """List the registered processes of a system."""

    def show(found: Sequence[Node]) -> None:
        told = [f"system {system}", *table(rows(found), window(), always=_ALWAYS)]
        say((asdict(node) for node in found), told if found else [_NONE.format(system)], as_json=as_json)

    async def story(opened: Store) -> None:
        registry = Registry(opened, system)
        if not watch:
            return show(await registry.nodes())
        async with aclosing(registry.follow()) as lists:
            async for found in lists:
                show(found)
        return None

    System(store, system).run(story)


def rows(found: Sequence[Node]) -> list[dict[str, str]]:
    """Return the cells of each, all with the same columns in the same order."""
    cells = [_cells(node) for node in found]
    names = dict.fromkeys((*_FIRST, *sorted({name for row in cells for name in row})))
    return [{name: row.get(name, "") for name in names} for row in cells]


def _cells(node: Node) -> dict[str, str]:
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
