"""What makes and removes workers.

A provisioner has no opinion of how many there should be. All of its calls come from one event loop, one `launch` at a
time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan


class Provisioner(Protocol):
    """Makes workers of groups, and removes those that it made.

    A worker is one from `launch` until it has ended or was removed, also while it starts and has joined no scheduler.
    Each has a name that none ever had before it, in this life of the provisioner or an earlier one:
    ``<group>-<rest>``, of which the rest has no ``-``.
    """

    async def launch(self, group: WorkerGroup, count: int) -> None:
        """Ask for more workers; return without waiting until they have started.

        Parameters
        ----------
        group
            What kind of worker.
        count
            How many.

        Raises
        ------
        ProvisionError
            If one cannot be had. Those before it are there, of itself nothing is left, and the others were not tried.
        """

    async def heed(self, plan: Plan) -> None:
        """Take in the plan for which workers are launched next.

        None of the names in `plan.others` is given to a worker. One that has to find its scheduler goes to
        `plan.scheduler` if it can ask nothing else.
        """

    async def remove(self, names: Collection[str]) -> None:
        """End exactly these workers, and return when they have. It is no error if one is not there.

        Parameters
        ----------
        names
            Names of the workers.
        """

    async def workers(self) -> Mapping[str, str]:
        """Return the group of each worker that is there, by its name."""

    async def arrived(self) -> Collection[str]:
        """Return who has joined a scheduler, whether he is still there or not, as far as is remembered."""

    async def trouble(self, name: str) -> str:
        """Return why a worker that is there does not start, for humans; empty if nothing is known to be wrong.

        It is asked for each worker that has not arrived, again and again.

        Parameters
        ----------
        name
            Name of the worker.
        """

    async def last_words(self, name: str) -> str:
        """Return what is known of why a worker has ended, for humans; empty if nothing is.

        Parameters
        ----------
        name
            Name of the worker.
        """


class Opening(Protocol):
    """What an entry point of ``supreme_dask.provisioners`` names: it opens the provisioner of one system."""

    def __call__(
        self, store: str, system: str, *, directory: Path | None, host: str | None
    ) -> AbstractAsyncContextManager[Provisioner]:
        """Return it, to be entered with ``async with``; its workers run on when it is left.

        Its `str` says what its workers are.

        Parameters
        ----------
        store, system
            Where the workers register, and find their scheduler.
        directory
            Where it may keep what it needs to find them again; None if it needs none.
        host
            Where the workers listen; None to leave that to the provisioner.

        Raises
        ------
        ConfigError
            If something that is given, or set in Dask's configuration, is of no use to it.
        """
