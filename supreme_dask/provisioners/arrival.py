"""Preload of workers that `LocalProvisioner` starts: notes in a file when one has joined its scheduler."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from distributed import Worker

VARIABLE = "SUPREME_DASK_ARRIVED"
"""The environment variable that names the file."""

_waiting: set[asyncio.Task[None]] = set()  # the event loop itself would let them be collected


async def dask_setup(worker: Worker) -> None:
    """Note it later: preloads are called before a worker joins."""
    task = asyncio.create_task(_note(worker, Path(os.environ[VARIABLE])))
    _waiting.add(task)
    task.add_done_callback(_waiting.discard)


async def _note(worker: Worker, path: Path) -> None:
    await worker  # it has started
    path.touch()  # noqa: ASYNC240  once, and short
