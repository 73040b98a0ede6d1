"""What the scheduler asks workers and nannies by itself, over connections made for it."""

from __future__ import annotations

import asyncio
from typing import Any

import psutil
from distributed.comm.addressing import get_address_host_port
from distributed.core import rpc as untyped_rpc
from distributed.nanny import Nanny
from distributed.protocol.pickle import dumps

from supreme_dask.core.silence import NannyWord, Worker

rpc: Any = untyped_rpc  # every method that the other side has


async def greet(address: str, patience: float, **connection: Any) -> Worker:
    """Return how a worker answers within `patience` seconds.

    Parameters
    ----------
    connection
        Options of `distributed.core.rpc`.
    """
    if not await _accepts(address, patience):
        return "refuses"
    try:
        async with asyncio.timeout(patience), rpc(address, **connection) as worker:
            await worker.identity()
    except (OSError, TimeoutError):
        return "accepts"
    return "answers"


async def inquire(nanny: str | None, address: str, patience: float, **connection: Any) -> NannyWord:
    """Return what a nanny says of the process of its worker; parameters as for `greet`."""
    if nanny is None:
        return "none"
    try:
        async with asyncio.timeout(patience), rpc(nanny, **connection) as asked:
            answer = await asked.run(function=dumps(see), kwargs=dumps({"address": address}))  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError):
        return "nothing"
    # A nanny that has not our package says so with an error; that its worker is lost it does not say.
    word: NannyWord = answer["result"] if answer["status"] == "OK" else "runs"
    return word


async def end_process(nanny: str | None, patience: float, **connection: Any) -> None:
    """Let a nanny, if there is one, end the process of its worker; it will start another."""
    if nanny is None:
        return
    try:
        async with asyncio.timeout(patience), rpc(nanny, **connection) as asked:
            await asked.kill(reason="supreme-lost")
    except (OSError, TimeoutError):
        pass  # it hears us no more; when it does, its worker is told that it was removed


def see(address: str, dask_worker: Nanny) -> NannyWord:
    """Return what a nanny sees of the process that serves an address; runs in the nanny, which Dask gives it."""
    if dask_worker.worker_address != address or dask_worker.pid is None:
        return "gone"
    try:
        status = psutil.Process(dask_worker.pid).status()
    except psutil.NoSuchProcess:
        return "gone"
    if status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
        return "gone"
    return "stopped" if status == psutil.STATUS_STOPPED else "runs"


async def _accepts(address: str, patience: float) -> bool:
    """Tell whether somebody takes connections at an address; what is not TCP is taken to do so."""
    if not address.startswith(("tcp://", "tls://")):
        return True
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(*get_address_host_port(address))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
