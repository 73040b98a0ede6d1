"""``dask supreme drain`` and ``undrain``: let workers leave without a loss, or keep them after all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from dask.utils import parse_timedelta

from supreme_dask.cli.output import AS_JSON, say
from supreme_dask.cli.system import System, author, of_system
from supreme_dask.stores.registry import find_scheduler, listens

_ANSWER = 10.0  # s
_SETTLES = 1.0  # s in which it turns out whether idle workers can leave
_C = TypeVar("_C", bound=Callable[..., object])


def _at_scheduler(command: _C) -> _C:
    scheduler = click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Address of the scheduler, such as tcp://host:8786. Without it, that of the system in the store.",
    )
    return click.argument("names", nargs=-1, required=True, metavar="NAME…")(scheduler(of_system(AS_JSON(command))))


@click.command()
@_at_scheduler
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
    address = scheduler or _address(**system)
    refused = _ask(address, "supreme_drain", names=names, reason=f"{author()} wants it", deadline=seconds)
    if begun := [name for name in names if name not in refused]:
        time.sleep(_SETTLES)
        refused |= _ask(address, "supreme_kept", names=begun)
    _say({name: "draining" for name in names if name not in refused}, as_json=as_json)
    if refused:
        raise click.ClickException("; ".join(f"{name}: kept, {why}" for name, why in refused.items()))


@click.command()
@_at_scheduler
def undrain(scheduler: str | None, names: tuple[str, ...], *, as_json: bool, **system: str) -> None:
    """Keep workers that are on their way out.

    It is too late for those that were removed already.
    """
    address = scheduler or _address(**system)
    kept = _ask(address, "supreme_undrain", names=names, reason=f"{author()} wants it back")
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


def _address(store: str, system: str) -> str:
    one = System(store, system)
    return one.run(lambda opened: find_scheduler(opened, system, is_there=listens)).address


def _ask(address: str, operation: str, **values: Any) -> Any:
    """Return what the scheduler answers."""
    from distributed import Security  # takes a second to import; --help need not
    from distributed.core import rpc

    async def told() -> Any:
        arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
        scheduler = rpc(address, connection_args=arguments)  # type: ignore[no-untyped-call]
        async with asyncio.timeout(_ANSWER), scheduler:
            return await getattr(scheduler, operation)(**{**values, "names": list(values["names"])})

    try:
        answer = asyncio.run(told())
    except (ValueError, TypeError) as error:  # a TypeError for tls:// without certificates
        raise click.BadParameter(f"{address!r}: {error}", param_hint="--scheduler") from None
    except (TimeoutError, MemoryError):  # a reply of another protocol is taken for a length of exabytes
        raise click.ClickException(f"{address} does not answer; is it a scheduler?") from None
    except OSError as error:
        raise click.ClickException(f"{address}: {error}") from None
    if answer is None:
        raise click.ClickException(f"supreme-dask is not active at {address}; plain Dask places there")
    return answer
