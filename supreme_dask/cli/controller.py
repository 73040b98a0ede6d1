"""``dask supreme controller``: makes and removes workers, on this machine or elsewhere, as the scheduler plans."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from supreme_dask import config
from supreme_dask.cli.commands import read_document
from supreme_dask.cli.system import default_store, of_system, state_directory
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.errors import UnknownExtensionError
from supreme_dask.extensions import find
from supreme_dask.stores import schemas

if TYPE_CHECKING:
    from supreme_dask.controller.following import Following
    from supreme_dask.provisioners.base import Opening, Provisioner

_LOCAL = "local"


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
    help="Where it keeps what it knows of workers on this machine, and their logs. By default one of this user and "
    "system.",
)
@click.option("--host", metavar="HOST", help="Where workers on this machine listen. By default on loopback.")
@click.option("--name", metavar="NAME", help="Under which it reports. By default that of the provisioner.")
@click.option(
    "--provisioner",
    metavar="NAME",
    default=_LOCAL,
    show_default=True,
    help="Where workers run: local, kubernetes (as supreme.kubernetes of Dask's configuration says), or what another "
    "package offers.",
)
def controller(  # noqa: PLR0913, PLR0917  options of a command
    store: str,
    system: str,
    file: BinaryIO | None,
    directory: Path | None,
    host: str | None,
    name: str | None,
    provisioner: str,
) -> None:
    """Run the workers that a scheduler plans.

    It goes on until Ctrl-C. The workers run on when it ends, and the next one goes on with them.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%Y-%m-%d %H:%M:%S%z")
    url = store or default_store()
    kept = directory or (state_directory() / "workers" / system if provisioner == _LOCAL else None)
    opening = _opening(provisioner)(url, system, directory=kept, host=host)
    groups = schemas.groups(read_document(file)) if file else None
    asyncio.run(_follow(opening, name or provisioner, url, system, groups))
    click.echo("Stopped; the workers run on")


def _opening(name: str) -> Opening:
    try:
        opening: Opening = find("provisioners", name)
    except UnknownExtensionError as error:
        raise click.BadParameter(str(error), param_hint="--provisioner") from None
    return opening


async def _follow(
    opening: AbstractAsyncContextManager[Provisioner],
    name: str,
    store: str,
    system: str,
    groups: Sequence[WorkerGroup] | None,
) -> None:
    from supreme_dask.controller.controller import Controller  # distributed takes a second to import; --help need not
    from supreme_dask.controller.following import Following

    async with opening as provisioner:
        made = Controller(provisioner, groups or (), name=name, launches_per_hour=config.launches_per_hour())
        click.echo(f"Controller {name} of system {system}; its workers are {provisioner}")
        await _until_told(Following(store, system, made, fixed=groups is not None))


async def _until_told(following: Following) -> None:
    task = asyncio.create_task(following.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
