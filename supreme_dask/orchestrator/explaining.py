"""Ask the scheduler where a task is, and why."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from dask.typing import Key
from distributed import Client, Future, get_client

from supreme_dask.core.explaining import Explanation
from supreme_dask.errors import InactiveError

_ON_ITS_WAY = 5.0  # s that a task may take to the scheduler, and its graph to be unpacked there
_PAUSE = 0.02  # s between two questions


def explain(future_or_key: Future[Any] | Key, *, client: Client | None = None) -> Explanation:
    """Return where a task is, and why: of one that waits, what it lacks, how many go before it, and what would help.

    Parameters
    ----------
    future_or_key
        A future, the key of a task, or that in words: ``"('x-1', 0)"``.
    client
        Whose scheduler is asked; without one, that of the future, or Dask's default client. Where the client is
        asynchronous, the result is to be awaited.

    Raises
    ------
    InactiveError
        If supreme-dask does not place the tasks of that scheduler.

    Examples
    --------
    >>> from supreme_dask import SupremeCluster, explain
    >>> with SupremeCluster(dashboard_address=None) as cluster, cluster.get_client() as client:
    ...     future = client.submit(sum, [1, 2], resources={"memory": "8 TiB"}, key="large")
    ...     print(str(explain(future))[:28])
    it needs memory 8.00 TiB; no
    """
    future = future_or_key if isinstance(future_or_key, Future) else None
    asked: Any = client or (future.client if future is not None else get_client())
    key = future_or_key if future is None else future.key
    return asked.sync(_explained, asked.scheduler, key, future)  # type: ignore[no-any-return]


async def _explained(scheduler: Any, key: Key, future: Future[Any] | None) -> Explanation:
    """Ask; of a future that was submitted a moment ago, until its task has reached the scheduler."""
    deadline = monotonic() + _ON_ITS_WAY
    while True:
        wire = await scheduler.supreme_explain(key=key)
        if wire is None:
            raise InactiveError(scheduler.address)
        found = Explanation.from_wire(wire)
        if found.state != "unknown" or future is None or future.status != "pending" or monotonic() > deadline:
            return found
        await asyncio.sleep(_PAUSE)
