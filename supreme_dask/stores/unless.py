"""Wait for one thing, unless another comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(stop: asyncio.Future[Any], step: Awaitable[T]) -> T | None:
    """Return what a step gives, or None once `stop` is done."""
    stepping = asyncio.ensure_future(step)
    try:
        await asyncio.wait({stop, stepping}, return_when=asyncio.FIRST_COMPLETED)
        return None if stop.done() else await stepping
    finally:
        if not stepping.done():
            stepping.cancel()
            await asyncio.gather(stepping, return_exceptions=True)
