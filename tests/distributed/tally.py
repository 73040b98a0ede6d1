"""A preload for schedulers: writes down whether our plugin placed their tasks until the end.

Without it, a plugin that retreats and leaves placement to plain Dask would pass every test.
"""

from __future__ import annotations

import os
from pathlib import Path

from distributed import Scheduler

TALLY = "SUPREME_TALLY"


def dask_teardown(scheduler: Scheduler) -> None:
    plugin = scheduler.plugins.get("supreme")
    with Path(os.environ[TALLY]).open("a") as tally:
        tally.write("kept\n" if getattr(plugin, "active", False) else "lost\n")
