"""Find a system by its name, so that nobody needs to know where its scheduler is."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distributed import Client

from supreme_dask.stores import open_store
from supreme_dask.stores.registry import Node, find_scheduler, listens


def connect(store: str, *, system: str = "default", wait: float = 10, **options: Any) -> Client:
    """Return a client of the scheduler that is registered for a system.

    Parameters
    ----------
    store
        URL of the store in which it is registered.
    wait
        Seconds to wait for a scheduler that is registered and answers.
    options
        Of `distributed.Client`.

    Raises
    ------
    NoSchedulerError
        If none is registered, or none that is answers.

    Examples
    --------
    >>> def double(numbers):
    ...     with connect("etcd://10.0.0.1:2379", system="blue") as client:
    ...         return client.gather(client.map(lambda number: 2 * number, numbers))
    """
    return Client(scheduler_address(store, system=system, wait=wait), **options)  # type: ignore[no-untyped-call]


def scheduler_address(store: str, *, system: str = "default", wait: float = 10) -> str:
    """Return where the scheduler of a system listens; errors are those of `connect`.

    Parameters
    ----------
    store
        URL of the store.
    system
        Which of the systems that are registered in it.
    wait
        Seconds to wait for a scheduler to be registered.
    """
    if not isinstance(wait, (int, float)) or not wait >= 0:
        raise ValueError(f"wait: {wait!r}: expected seconds of 0 or more, such as 10")
    # In a thread of its own: the caller, in a notebook for example, may have a running event loop.
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(asyncio.run, _find(store, system, wait)).result().address


async def _find(url: str, system: str, wait: float) -> Node:
    async with open_store(url, system) as store:
        return await find_scheduler(store, system, wait=wait, is_there=listens)
