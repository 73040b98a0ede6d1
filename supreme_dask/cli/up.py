"""``dask supreme up``: a cluster on this machine, in the foreground."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, BinaryIO

import click

from supreme_dask.cli.commands import read_document
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.spelling import or_so

_FORM = "NAME:cpu=2,memory=4GiB,count=3,GPU=1"
_NUMBERS: dict[str, Any] = {
    "cpu": float,
    "count": int,
    "minimum": int,
    "maximum": int,
    "cost": float,
    "startup": float,
    "interruptions": float,
}
_NAMES = (*_NUMBERS, "memory")


@click.command()
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar=_FORM,
    callback=lambda _context, _option, texts: tuple(_group(text) for text in texts),
    help="Equal workers; may be repeated; without it, one worker has all of this machine. Of cpu, memory and count, "
    "what is left out is 1, 2 GiB, and 1. "
    "With a policy also minimum, maximum, cost and interruptions per hour, and startup in seconds. "
    "Any other name is a resource of your own.",
)
@click.option(
    "--policy",
    type=click.File("rb"),
    metavar="FILE",
    help="Add and remove workers by these rules, as YAML. Without it, there are as many as each group counts.",
)
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    default=8786,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port of the scheduler; 0 for any.",
)
@click.option(
    "--dashboard-address",
    metavar="HOST:PORT",
    default="127.0.0.1:8787",
    show_default=True,
    help="Where the dashboard listens.",
)
def up(
    groups: tuple[WorkerGroup, ...], policy: BinaryIO | None, host: str, port: int, dashboard_address: str
) -> None:
    """Run a scheduler and its workers on this machine, until Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rules = read_document(policy) if policy else None
    with _interrupts_put_off():
        from supreme_dask.cluster import SupremeCluster  # distributed takes a second to import; --help need not

        try:
            cluster = SupremeCluster(
                groups or None, policy=rules, host=host, port=port, dashboard_address=dashboard_address
            )
        except RuntimeError as error:  # by which distributed hides why it could not start
            raise click.ClickException(f"no scheduler at {host}:{port}: {_first_cause(error)}") from error
    with cluster:
        click.echo(f"Scheduler at {cluster.scheduler_address}, dashboard at {cluster.dashboard_link}")
        for group in cluster.groups:
            click.echo(f"{group.count} × {group.name}: {group.capacity}")
            if rules is None and (group.minimum or group.maximum is not None):
                click.echo(f"{group.name} is scaled with --policy only", err=True)
        click.echo(f'Connect with  distributed.Client("{cluster.scheduler_address}")')
        stop.wait()
        click.echo("Stopping")


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Block SIGINT until the end, for this thread, and for all threads and processes that are begun meanwhile.

    A terminal sends Ctrl-C to each worker too, and each would print where it was. Now it is for this thread alone.
    """
    resource_tracker.ensure_running()  # it unblocks SIGINT when it is begun, in the thread that begins a process
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _group(text: str) -> WorkerGroup:
    name, _, parts = text.partition(":")
    written = [part.partition("=") for part in parts.split(",")]
    if not name or not all(amount for _, _, amount in written):
        raise click.BadParameter(f"{text!r}: expected {_FORM}")
    try:
        amounts = {key: amount for key, _, amount in written}
        _check_once([key for key, _, _ in written])
        known = {key: read(amounts.pop(key)) for key, read in _NUMBERS.items() if key in amounts}
        memory = amounts.pop("memory", "2 GiB")
        _check_spelling(amounts)
        return WorkerGroup(name, memory=memory, resources={**amounts}, **known)
    except ValueError as error:  # DemandError is one too
        raise click.BadParameter(f"{text!r}: {error}; expected {_FORM}") from None


def _check_once(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is there twice")


def _check_spelling(resources: Iterable[str]) -> None:
    """Refuse a resource that is rather one of our own names: nobody would find out why there is one worker."""
    for name in resources:
        if hint := or_so(name, _NAMES):
            raise ValueError(f"unknown {name!r}{hint}")
