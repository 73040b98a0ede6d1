"""How a worker of a group is started, wherever its process runs: command, options, environment."""

from __future__ import annotations

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import MEMORY
from supreme_dask.provisioners import arrival

_PATIENCE = 60.0  # s


def patience(group: WorkerGroup) -> float:
    """Return the seconds, three start-up times at least, after which a worker that found no scheduler ends."""
    return max(_PATIENCE, 3 * group.startup)


def by_system(group: WorkerGroup, scheduler: str) -> list[str]:
    """Return the command of `dask` that finds the scheduler of a system, or goes to this one if it cannot ask."""
    return ["supreme", "worker", "--wait", f"{patience(group):g}", "--scheduler", scheduler]


def options(group: WorkerGroup, name: str, directory: str) -> list[str]:
    """Return the options of `dask worker` that make it one of a group; it spills into the directory."""
    return [
        *("--name", name, "--nthreads", str(group.threads), "--memory-limit", str(group.capacity[MEMORY])),
        *("--no-dashboard", "--death-timeout", f"{patience(group):g}", "--local-directory", directory),
        *("--preload", arrival.__name__),
    ]


def environment(group: WorkerGroup, arrived: str, *, store: str, system: str) -> dict[str, str]:
    """Return the variables of a worker that notes its arrival in a file, and registers if there is a store.

    Not options, for the address of a store may hold a password, and names of resources may hold anything.
    """
    registers = {"DASK_SUPREME__STORE": store, "DASK_SUPREME__SYSTEM": system} if store else {}
    return {
        **registers,
        "DASK_SUPREME__LABELS": repr({**group.labels, "group": group.name}),
        "DASK_DISTRIBUTED__WORKER__RESOURCES": repr(group.capacity.in_units()),
        arrival.VARIABLE: arrived,
    }
