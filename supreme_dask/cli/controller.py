"""``dask supreme controller``: makes and removes workers on this machine, as the scheduler plans."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from supreme_dask import config
from supreme_dask.cli.commands import read_document
from supreme_dask.cli.system import default_store, of_system, state_directory
from supreme_dask.stores import schemas

if TYPE_CHECKING:
    from supreme_dask.controller.following import Following


@click.command()
@of_system
@click.option(
    "--groups",
    "file",
    type=click.File("rb"),
    metavar="FILE",
    help="Worker groups, as YAML. Without it, those that the system has published, now and later.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it keeps what it knows of its workers, and their logs. By default one of this user and system.",
)
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="Where the workers listen.")
@click.option("--name", metavar="NAME", default="local", show_default=True, help="Under which it reports.")
def controller(store: str, system: str, file: BinaryIO | None, directory: Path | None, host: str, name: str) -> None:
    """Run the workers that a scheduler plans on this machine.

    It goes on until Ctrl-C. The workers run on when it ends, and the next one goes on with them.
    """
    from supreme_dask.controller.controller import Controller  # distributed takes a second to import; --help need not
    from supreme_dask.controller.following import Following
    from supreme_dask.provisioners.local import LocalProvisioner

    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%Y-%m-%d %H:%M:%S%z")
    url, kept = store or default_store(), directory or state_directory() / "workers" / system
    groups = schemas.groups(read_document(file)) if file else None
    with LocalProvisioner(kept, store=url, system=system, host=host) as provisioner:
        made = Controller(provisioner, groups or (), name=name, launches_per_hour=config.launches_per_hour())
        click.echo(f"Controller {name} of system {system}; its workers are kept in {kept}")
        asyncio.run(_until_told(Following(url, system, made, fixed=groups is not None)))
    click.echo("Stopped; the workers run on")


async def _until_told(following: Following) -> None:
    task = asyncio.create_task(following.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
