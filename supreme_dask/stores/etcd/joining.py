"""Puts that would wait for each other go together.

Most of what a put costs is its message, on our side and on etcd's. A few messages are on the wire at a time;
the puts that come meanwhile wait for the next one to return, and leave as one transaction. Alone, a put never
waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from supreme_dask.errors import AmbiguousWriteError, StoreUnavailableError
from supreme_dask.stores.limits import TRANSACTION_BYTES, TRANSACTION_PARTS, operation_size
from supreme_dask.stores.operations import Put
from supreme_dask.stores.values import Revision

Write: TypeAlias = Callable[[Sequence[Put]], Awaitable[Revision]]
Waiting: TypeAlias = tuple[Put, "asyncio.Future[Revision]"]

_MESSAGES = 4  # on the wire at once: etcd syncs them to its disk together
_FOR_ALL = (AmbiguousWriteError, StoreUnavailableError)


class JoinedPuts:
    """All puts of one client.

    Parameters
    ----------
    write
        Apply puts of different keys at one revision, or none of them.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._on_wire = 0
        self._waiting: deque[Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, put: Put) -> Revision:
        """Return the revision at which a put was applied, be it alone or with others."""
        if self._on_wire >= _MESSAGES:
            answer: asyncio.Future[Revision] = asyncio.get_running_loop().create_future()
            self._waiting.append((put, answer))
            return await answer
        self._on_wire += 1
        try:
            return await self._write((put,))
        finally:
            self._returned()

    def _returned(self) -> None:
        """Send those who waited, now that a message is back."""
        self._on_wire -= 1
        if joined := take(self._waiting):
            self._on_wire += 1
            # A task of its own: a caller that is cancelled meanwhile must not take the others along.
            task = asyncio.create_task(self._send(joined))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, joined: Sequence[Waiting]) -> None:
        try:
            await self._settle(joined)
        finally:
            self._returned()

    async def _settle(self, joined: Sequence[Waiting]) -> None:
        """Tell every caller what became of its put."""
        try:
            revision = await self._write([put for put, _ in joined])
        except Exception as error:  # noqa: BLE001  (whatever it is, those who wait must learn of it)
            if len(joined) > 1 and not isinstance(error, _FOR_ALL):
                # None was applied, because of one of them: a lease that has ended, a key we may not write.
                await asyncio.gather(*(self._settle([one]) for one in joined))
                return
            for _, answer in joined:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for _, answer in joined:
                if not answer.done():
                    answer.set_result(revision)


def take(waiting: deque[Waiting]) -> list[Waiting]:
    """Remove from the left what one transaction may hold, and return it.

    Whose caller has gone is left out. A second put of one key waits for the next transaction, and so does all
    that came after it.
    """
    taken: dict[str, Waiting] = {}
    size = 0
    while waiting and len(taken) < TRANSACTION_PARTS:
        put, answer = waiting[0]
        size += operation_size(put)
        if put.key in taken or size > TRANSACTION_BYTES:
            break
        waiting.popleft()
        if not answer.done():
            taken[put.key] = (put, answer)
    return list(taken.values())
