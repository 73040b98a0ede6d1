"""What the commands that ask a scheduler have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import click

from supreme_dask.cli.output import AS_JSON
from supreme_dask.cli.system import System, of_system
from supreme_dask.errors import InactiveError
from supreme_dask.stores.registry import find_scheduler, listens

_ANSWER = 10.0  # s
_C = TypeVar("_C", bound=Callable[..., object])


def at_scheduler(command: _C) -> _C:
    """Give a command ``--scheduler``, the options that say which it is without that, and ``--json``."""
    scheduler = click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Address of the scheduler, such as tcp://host:8786. Without it, that of the system in the store.",
    )
    return scheduler(of_system(AS_JSON(command)))


def address_of(store: str, system: str) -> str:
    """Return where the scheduler of a system is, as the store has it."""
    one = System(store, system)
    return one.run(lambda opened: find_scheduler(opened, system, is_there=listens)).address


def ask(address: str, operation: str, **values: Any) -> Any:
    """Return what a scheduler answers.

    Raises
    ------
    click.ClickException
        If there is none at that address.
    InactiveError
        If plain Dask places there.
    """
    from distributed import Security  # takes a second to import; --help need not
    from distributed.core import rpc

    async def told() -> Any:
        arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
        scheduler = rpc(address, connection_args=arguments)  # type: ignore[no-untyped-call]
        async with asyncio.timeout(_ANSWER), scheduler:
            return await getattr(scheduler, operation)(**values)

    try:
        answer = asyncio.run(told())
    except (ValueError, TypeError) as error:  # a TypeError for tls:// without certificates
        raise click.BadParameter(f"{address!r}: {error}", param_hint="--scheduler") from None
    except (TimeoutError, MemoryError):  # a reply of another protocol is taken for a length of exabytes
        raise click.ClickException(f"{address} does not answer; is it a scheduler?") from None
    except OSError as error:
        raise click.ClickException(f"{address}: {error}") from None
    if answer is None:
        raise InactiveError(address)
    return answer
