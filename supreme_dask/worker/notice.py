"""A worker whose process is told to end (SIGTERM) leaves within the time that it has.

Kubernetes, spot instances and batch systems give notice: SIGTERM first, and SIGKILL some time later. Stock Dask ends
at once, and what only that worker held is computed again, or lost. Here the scheduler is told how many seconds there
are; it lets tasks end, has the results copied, and closes the worker. When the time is out, Dask's own handling of
the signal goes on; so it does at once if no scheduler looks after the worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from distributed import Nanny, Worker
from distributed.diagnostics.plugin import NannyPlugin, WorkerPlugin

from supreme_dask import config
from supreme_dask.errors import IncompatibleDaskError
from supreme_dask.worker.act import leave_interrupts_to_the_command, put_off_termination, spare_walled

log = logging.getLogger(__name__)

_ANSWER = 2.0  # s in which the scheduler answers


class WorkerNotice(WorkerPlugin):
    """For workers without a nanny."""

    name = "supreme-notice"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Begin to listen."""
        leave_interrupts_to_the_command()
        listen(worker)


class NannyNotice(NannyPlugin):
    """For nannies: their workers are told by nobody else."""

    name = "supreme-notice"
    idempotent = True

    def setup(self, nanny: Nanny) -> None:
        """Begin to listen, and end its worker later if that guards its memory itself."""
        try:
            spare_walled(nanny)
        except IncompatibleDaskError as error:
            log.warning("This nanny ends its worker as early as ever: %s", error)
        listen(nanny)


_here: list[Worker | Nanny] = []
"""Of this process: ``dask worker --nworkers`` runs several nannies in one."""


def listen(server: Worker | Nanny) -> None:
    """Let a worker or a nanny leave when its process is told to end, if Dask's command runs it."""
    if server in _here:
        return
    if not _here:
        seconds = config.seconds("notice")
        if not seconds or not put_off_termination(lambda end: _begin(seconds, end)):
            return
    _here.append(server)


def _begin(seconds: float, end: Callable[[], None]) -> None:
    task = asyncio.ensure_future(_leave(seconds, end))
    task.add_done_callback(_under_way.discard)
    _under_way.add(task)


_under_way: set[asyncio.Task[None]] = set()


async def _leave(seconds: float, end: Callable[[], None]) -> None:
    """Leave, and `end` the process when the time is out; if all goes well, it is closed before."""
    log.info("Told to end; leave within %g s", seconds)
    asyncio.get_running_loop().call_later(seconds, end)
    if not any(await asyncio.gather(*(_tell(server, seconds) for server in _here))):
        log.warning("No scheduler waits for what this worker holds; end at once")
        end()


async def _tell(server: Worker | Nanny, seconds: float) -> bool:
    """Tell the scheduler; return whether it looks after this worker."""
    try:
        async with asyncio.timeout(min(_ANSWER, seconds)):
            await server  # until then a nanny does not know where its worker listens
            address = server.worker_address if isinstance(server, Nanny) else server.address
            return bool(await server.scheduler.supreme_leave(worker=address, seconds=seconds))
    except (OSError, TimeoutError, RuntimeError) as error:  # the last if it did not start
        log.warning("The scheduler was not told that this worker leaves: %s", str(error) or "no answer")
        return False
