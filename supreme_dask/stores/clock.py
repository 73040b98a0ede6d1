"""A clock that all processes of one machine share and that nobody can set."""

from __future__ import annotations

import time
from pathlib import Path

_BOOT_IDENTITY = Path("/proc/sys/kernel/random/boot_id")
# Where it exists it also counts the time that the machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot() -> str:
    """Return what tells this start of the machine from others; empty where nothing does."""
    return _BOOT_IDENTITY.read_text().strip() if _BOOT_IDENTITY.exists() else ""


def now() -> float:
    """Return the seconds since the machine was started."""
    return time.clock_gettime(_CLOCK)
