"""What the commands that work on the state of a system have in common."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
import dask.config

from supreme_dask.stores import Store, open_store

_T = TypeVar("_T")
_C = TypeVar("_C", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class System:
    """A system, and the address of the store in which its state is."""

    store: str
    name: str

    def run(self, story: Callable[[Store], Awaitable[_T]]) -> _T:
        """Return what a story comes to with the open store."""

        async def told() -> _T:
            async with open_store(self.store or default_store(), self.name) as store:
                return await story(store)

        try:
            return asyncio.run(told())
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None


def of_system(command: _C) -> _C:
    """Give a command the options ``--store`` and ``--system``."""
    store = click.option(
        "--store",
        metavar="URL",
        default=lambda: dask.config.get("supreme.store", default="") or "",
        help="Store, such as sqlite:///file or etcd://host:2379. "
        "Without it, supreme.store of Dask's config, or a file of this user.",
    )
    system = click.option(
        "--system",
        metavar="NAME",
        default=lambda: dask.config.get("supreme.system", default="default"),
        help="System; without it, supreme.system of Dask's config, or 'default'.",
    )
    return store(system(command))


def default_store() -> str:
    """Return the address of this user's own store on this machine."""
    return f"sqlite://{state_directory()}/store.db"


def state_directory() -> Path:
    """Return the directory of what this user keeps on this machine; it is made if needed."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    directory = Path(home) / "supreme-dask"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def author() -> str:
    """Return who gives the command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return str(os.getuid())
