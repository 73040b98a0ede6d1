"""``dask supreme nodes``: who is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing

import click
from rich.console import Console
from rich.table import Column, Table

from supreme_dask.cli.system import System, of_system
from supreme_dask.stores import Store
from supreme_dask.stores.registry import Node, Registry


@click.command()
@of_system
@click.option("--watch", is_flag=True, help="Go on, and list again after each change.")
def nodes(store: str, system: str, *, watch: bool) -> None:
    """List the registered processes of a system."""

    async def story(opened: Store) -> None:
        registry = Registry(opened, system)
        if not watch:
            return _show(await registry.nodes(), system)
        async with aclosing(registry.follow()) as lists:
            async for found in lists:
                _show(found, system)
        return None

    System(store, system).run(story)


def _show(found: Sequence[Node], system: str) -> None:
    address = Column("address", no_wrap=True)  # in a narrow window, the others give way
    table = Table("kind", address, "epoch", "labels", "facts", title=f"system {system}", title_justify="left")
    for node in found:
        table.add_row(node.kind, node.address, str(node.epoch), _pairs(node.labels), _pairs(node.facts))
    Console().print(table if found else f"Nothing is registered in system {system}.")


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(values.items()))
