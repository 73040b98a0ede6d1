"""``dask supreme store move|rebalance``: systems and the shards that they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

import click
import dask.config

from supreme_dask.cli.output import AS_JSON, say
from supreme_dask.stores.sharded import Shards
from supreme_dask.stores.sharded.moving import astray, move

_C = TypeVar("_C", bound=Callable[..., object])


def of_shards(command: _C) -> _C:
    """Give a command the options ``--store``, ``--running`` and ``--json``."""
    store = click.option(
        "--store",
        metavar="URL",
        default=lambda: dask.config.get("supreme.store", default="") or "",
        help="Shards, as sharded:east=URL;west=URL. Without it, supreme.store of Dask's config.",
    )
    running = click.option(
        "--running", is_flag=True, help="Also while processes of it run: they lose their leases and register again."
    )
    return store(running(AS_JSON(command)))


@click.command("move")
@click.argument("system")
@click.option("--to", required=True, metavar="SHARD", help="Where to; its present shard gives up a move.")
@of_shards
def move_system(system: str, to: str, store: str, *, running: bool, as_json: bool) -> None:
    """Move a system to another shard, whole. If it was interrupted, run it again."""

    async def story(shards: Shards) -> None:
        moved = await move(shards, system, to, running=running)
        line = f"{system} moved to {to}" if moved else f"{system} is in {to}"
        say([{"system": system, "shard": to, "moved": moved}], [line], as_json=as_json)

    _run(store, story)


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would move, and change nothing.")
@of_shards
def rebalance(store: str, *, dry_run: bool, running: bool, as_json: bool) -> None:
    """Move every system to the shard that its name chooses.

    The shards are told of each other. Run it with the new address after a shard was added; then use that address
    everywhere.
    """

    async def story(shards: Shards) -> None:
        if not dry_run:
            await shards.enroll()
        found = await astray(shards)
        for one in found:
            if not dry_run:
                await move(shards, one.system, one.home, running=running)
            say([asdict(one)], [f"{one.system}: {one.shard} -> {one.home}"], as_json=as_json)
        say([], [f"{len(found)} to move" if dry_run else f"{len(found)} moved"], as_json=as_json)

    _run(store, story)


def _run(url: str, story: Callable[[Shards], Awaitable[None]]) -> None:
    async def told() -> None:
        shards = Shards.named(url)
        try:
            await story(shards)
        finally:
            await shards.close()

    asyncio.run(told())
