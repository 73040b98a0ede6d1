"""What makes and removes workers.

A provisioner has no opinion of how many there should be. All of its calls come from one event loop, one `launch` at a
time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan


class Provisioner(Protocol):
    """Makes workers of groups, and removes those that it made.

    A worker is one from `launch` until it has ended or was removed, also while it starts and has joined no scheduler.
    Each has a name that none ever had before it, in this life of the provisioner or an earlier one:
    ``<group>-<number>``.
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

    async def last_words(self, name: str) -> str:
        """Return what is known of why a worker has ended, for humans; empty if nothing is.

        Parameters
        ----------
        name
            Name of the worker.
        """
