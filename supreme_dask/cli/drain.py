"""``dask supreme drain`` and ``undrain``: let workers leave without a loss, or keep them after all."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click
from dask.utils import parse_timedelta

from supreme_dask.cli.asking import address_of, ask, at_scheduler
from supreme_dask.cli.output import say
from supreme_dask.cli.system import author

_SETTLES = 1.0  # s in which it turns out whether idle workers can leave


@click.command()
@at_scheduler
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option(
    "--deadline",
    metavar="TIME",
    help="After so long, such as 10m (a number alone is seconds), tasks that may run again (retries) run elsewhere. "
    "All others are waited for.",
)
def drain(
    scheduler: str | None, names: tuple[str, ...], deadline: str | None, *, as_json: bool, **system: str
) -> None:
    """Remove workers without a loss.

    They finish their running tasks, hand over what only they hold, and are removed.
    """
    seconds = None if deadline is None else _seconds(deadline)
    address = scheduler or address_of(**system)
    refused = ask(address, "supreme_drain", names=list(names), reason=f"{author()} wants it", deadline=seconds)
    if begun := [name for name in names if name not in refused]:
        time.sleep(_SETTLES)
        refused |= ask(address, "supreme_kept", names=begun)
    _say({name: "draining" for name in names if name not in refused}, as_json=as_json)
    if refused:
        raise click.ClickException("; ".join(f"{name}: kept, {why}" for name, why in refused.items()))


@click.command()
@at_scheduler
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
def undrain(scheduler: str | None, names: tuple[str, ...], *, as_json: bool, **system: str) -> None:
    """Keep workers that are on their way out.

    It is too late for those that were removed already.
    """
    address = scheduler or address_of(**system)
    kept = ask(address, "supreme_undrain", names=list(names), reason=f"{author()} wants it back")
    _say(dict.fromkeys(kept, "kept"), as_json=as_json)
    if others := [name for name in names if name not in kept]:
        raise click.ClickException(f"not on the way out, or too late: {', '.join(others)}")


def _say(states: Mapping[str, str], *, as_json: bool) -> None:
    values = ({"name": name, "state": state} for name, state in states.items())
    say(values, (f"{name}: {state}" for name, state in states.items()), as_json=as_json)


def _seconds(text: str) -> float:
    try:
        return float(parse_timedelta(text))
    except (ValueError, KeyError):
        raise click.BadParameter(f"{text!r}: expected a time such as 10m", param_hint="--deadline") from None
