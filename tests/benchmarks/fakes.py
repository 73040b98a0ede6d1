"""Workers that are attached to a real `distributed.Scheduler` and only remember what they were sent.

The scheduler's own `add_worker` is used, over a comm that goes nowhere. What it sends is collected, and the benchmark
answers by calling the scheduler's handlers, so that nothing but the scheduler is measured.
"""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from time import time
from typing import Any

from distributed import Scheduler
from distributed.comm.core import Comm, CommClosedError
from distributed.versions import get_versions

INT_TYPE = pickle.dumps(int)
METRICS = {
    "bandwidth": {"total": 1e8, "workers": {}, "types": {}},
    "digests_total_since_heartbeat": {},
    "memory": 100_000_000,
    "managed_bytes": 0,
    "spilled_bytes": {"memory": 0, "disk": 0},
    "transfer": {},
    "task_counts": {},
    "cpu": 0.0,
    "event_loop_interval": 0.02,
}


class SilentComm(Comm):
    """The scheduler's end of a connection on which a worker says nothing."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.registered = asyncio.Event()
        self._address = address
        self._gone = asyncio.Event()

    async def write(self, *_: Any, **__: Any) -> int:
        self.registered.set()
        return 1

    async def read(self, *_: Any, **__: Any) -> Any:
        await self._gone.wait()
        raise CommClosedError

    async def close(self) -> None:
        self._gone.set()

    def abort(self) -> None:
        self._gone.set()

    def closed(self) -> bool:
        return self._gone.is_set()

    @property
    def peer_address(self) -> str:
        return self._address

    local_address = "fake://scheduler"


class Outbox:
    """Takes the place of the scheduler's batched stream to one worker."""

    comm = None
    joined: asyncio.Future[None]

    def __init__(self, address: str, sent: deque[tuple[str, dict[str, Any]]]) -> None:
        self.address = address
        self.sent = sent
        self.sends = 0

    def send(self, *messages: dict[str, Any]) -> None:
        """Collect the tasks among some messages."""
        self.sends += 1
        self.sent.extend((self.address, message) for message in messages if message["op"] == "compute-task")

    def closed(self) -> bool:
        """Tell the scheduler that there is nothing to close."""
        return True

    def start(self, comm: Comm) -> None:
        """Do nothing: there is nobody to send to."""

    def abort(self) -> None:
        """Do nothing."""


async def attach(
    scheduler: Scheduler,
    number: int,
    sent: deque[tuple[str, dict[str, Any]]],
    *,
    nthreads: int,
    memory: int,
    name: str | None = None,
) -> Outbox:
    """Let one more worker join, and return where the scheduler's messages to it go."""
    address = f"tcp://127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}:40000"
    comm = SilentComm(address)
    joined = asyncio.ensure_future(
        scheduler.add_worker(
            comm,
            address=address,
            status="running",
            server_id=f"id-{number}",
            nthreads=nthreads,
            name=name or f"fake-{number}",
            resolve_address=False,
            now=time(),
            resources={},
            memory_limit=memory,
            metrics=METRICS,
            services={},
            local_directory="",
            versions=get_versions(),
            nanny="",
            extra={},
            stimulus_id=f"join-{number}",
        )
    )
    registered = asyncio.ensure_future(comm.registered.wait())
    await asyncio.wait([joined, registered], return_when=asyncio.FIRST_COMPLETED)
    outbox = Outbox(address, sent)
    outbox.joined = joined  # asyncio keeps no reference to its tasks
    scheduler.stream_comms[address] = outbox
    return outbox


def finish(
    scheduler: Scheduler, address: str, message: dict[str, Any], seconds: float = 1e-3, *, measured: bool
) -> None:
    """Tell the scheduler that a worker has finished a task, and what the task took if that was measured."""
    scheduler.handle_task_finished(
        key=message["key"],
        worker=address,
        stimulus_id="finished",
        run_id=message["run_id"],
        status="OK",
        nbytes=28,
        type=INT_TYPE,
        typename="int",
        metadata={"supreme": (seconds, 1 << 16, True, None)} if measured else {},
        thread=1,
        startstops=[{"action": "compute", "start": 0.0, "stop": seconds}],
    )
