"""``dask supreme store``: an etcd cluster on this machine, to try things; shards."""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path

import click

from supreme_dask.cli.shards import move_system, rebalance
from supreme_dask.stores.local_etcd import LocalEtcd


@click.group()
def store() -> None:
    """Run a store, or move systems between shards."""


store.add_command(move_system)
store.add_command(rebalance)


@store.command()
@click.option(
    "--members",
    type=click.IntRange(1, 7),
    metavar="N",
    default=3,
    show_default=True,
    help="3 survive the loss of one.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Empty one for logs and data, to look at afterwards; without it, they are gone at the end.",
)
def up(members: int, directory: Path | None) -> None:
    """Run an etcd cluster on loopback until Ctrl-C. For trying things: no passwords, one machine."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="supreme-store-") as temporary:
        place = directory or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        if any(place.iterdir()):
            raise click.BadParameter(f"{place} is not empty", param_hint="--directory")
        with LocalEtcd(place, members) as cluster:
            click.echo(f"{members} members at {cluster.url()}")
            click.echo(f"Use it with  export DASK_SUPREME__STORE={cluster.url()}")
            stop.wait()
            click.echo("Stopping")
