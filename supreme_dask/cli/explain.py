"""``dask supreme explain``: where a task is, and why."""

from __future__ import annotations

import click

from supreme_dask.cli.asking import address_of, ask, at_scheduler
from supreme_dask.cli.output import say
from supreme_dask.core.explaining import Explanation


@click.command()
@at_scheduler
@click.argument("keys", nargs=-1, required=True, metavar="KEY…")
def explain(scheduler: str | None, keys: tuple[str, ...], *, as_json: bool, **system: str) -> None:
    """Say where tasks are, and why.

    Of one that waits: what it lacks, how many tasks go before it, and what would help.
    """
    address = scheduler or address_of(**system)
    found = [Explanation.from_wire(ask(address, "supreme_explain", key=key)) for key in keys]
    say((one.to_wire() for one in found), (f"{one.key}: {one.sentence}" for one in found), as_json=as_json)
    if any(one.state == "unknown" for one in found):
        raise click.exceptions.Exit(1)
