"""``dask supreme store move|rebalance``: systems and the shards that they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import dask.config

from supreme_dask.stores.sharded import Shards
from supreme_dask.stores.sharded.moving import astray, move

_C = TypeVar("_C", bound=Callable[..., object])


def of_shards(command: _C) -> _C:
    """Give a command the option ``--store``, and ``--running``."""
    store = click.option(
        "--store",
        metavar="URL",
        default=lambda: dask.config.get("supreme.store", default="") or "",
        help="Shards, as sharded:east=URL;west=URL. Without it, supreme.store of Dask's config.",
    )
    running = click.option(
        "--running", is_flag=True, help="Also while processes of it run: they lose their leases and register again."
    )
    return store(running(command))


@click.command("move")
@click.argument("system")
@click.option("--to", required=True, metavar="SHARD", help="Where to; its present shard gives up a move.")
@of_shards
def move_system(system: str, to: str, store: str, running: bool) -> None:
    """Move a system to another shard, whole. If it was interrupted, run it again."""

    async def story(shards: Shards) -> None:
        moved = await move(shards, system, to, running=running)
        click.echo(f"{system} moved to {to}" if moved else f"{system} is in {to}")

    _run(store, story)


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would move, and change nothing.")
@of_shards
def rebalance(store: str, dry_run: bool, running: bool) -> None:
    """Let the shards know each other, and move every system to the one that its name chooses.

    Run it with the new address after a shard was added; then give that address to everybody.
    """

    async def story(shards: Shards) -> None:
        if not dry_run:
            await shards.enroll()
        found = await astray(shards)
        for one in found:
            if not dry_run:
                await move(shards, one.system, one.home, running=running)
            click.echo(f"{one.system}: {one.shard} -> {one.home}")
        click.echo(f"{len(found)} to move" if dry_run else f"{len(found)} moved")

    _run(store, story)


def _run(url: str, story: Callable[[Shards], Awaitable[None]]) -> None:
    async def told() -> None:
        shards = Shards.named(url)
        try:
            await story(shards)
        finally:
            await shards.close()

    asyncio.run(told())
