"""``dask supreme worker``: a worker that finds its scheduler by the name of the system."""

from __future__ import annotations

import os
import sys

import click

from supreme_dask.cli.commands import FiniteRange
from supreme_dask.cli.system import System, default_store, of_system
from supreme_dask.errors import StoreUnavailableError
from supreme_dask.stores import Store
from supreme_dask.stores.registry import Node, find_scheduler, listens


@click.command(context_settings={"ignore_unknown_options": True})
@of_system
@click.option(
    "--wait",
    type=FiniteRange(min=0),
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="To wait for a scheduler that answers.",
)
@click.option("--scheduler", metavar="ADDRESS", default="", help="Where to go if the store cannot be reached.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[DASK WORKER OPTIONS]...")
def worker(store: str, system: str, wait: float, scheduler: str, options: tuple[str, ...]) -> None:
    """Start a worker of a system.

    All further options are those of `dask worker`.
    """
    url = store or default_store()
    address = _find(System(url, system), wait, scheduler)
    click.echo(f"Scheduler of system {system} at {address}")
    # In the environment, for the address may hold a password, and a command line can be read by everybody.
    environment = {**os.environ, "DASK_SUPREME__STORE": url, "DASK_SUPREME__SYSTEM": system}
    command = ["-m", "dask", "worker", address, "--preload", "supreme_dask.preload", *options]
    os.execve(sys.executable, [sys.executable, *command], environment)  # noqa: S606  no shell is meant


def _find(system: System, wait: float, otherwise: str) -> str:
    """Return the address of the scheduler of a system; the other one if the store cannot be reached."""

    async def story(opened: Store) -> Node:
        return await find_scheduler(opened, system.name, wait=wait, is_there=listens)

    try:
        return system.run(story).address
    except StoreUnavailableError as error:
        if not otherwise:
            raise
        click.echo(f"{error}: take the scheduler that was there last", err=True)
        return otherwise
