"""``dask supreme worker``: a worker that finds its scheduler by the name of the system."""

from __future__ import annotations

import os
import sys

import click

from supreme_dask.cli.system import System, default_store, of_system
from supreme_dask.stores import Store
from supreme_dask.stores.registry import Node, find_scheduler


@click.command(context_settings={"ignore_unknown_options": True})
@of_system
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for a scheduler to register.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def worker(store: str, system: str, wait: float, options: tuple[str, ...]) -> None:
    """Start a worker of a system; all further options are those of `dask worker`."""
    url = store or default_store()

    async def story(opened: Store) -> Node:
        return await find_scheduler(opened, system, wait=wait)

    scheduler = System(url, system).run(story)
    click.echo(f"Scheduler of system {system} at {scheduler.address}")
    # In the environment, for the address may hold a password, and a command line can be read by everybody.
    environment = {**os.environ, "DASK_SUPREME__STORE": url, "DASK_SUPREME__SYSTEM": system}
    command = ["-m", "dask", "worker", scheduler.address, "--preload", "supreme_dask.preload", *options]
    os.execve(sys.executable, [sys.executable, *command], environment)  # noqa: S606  no shell is meant
