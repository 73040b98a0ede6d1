"""Small clusters and tasks for tests of the core."""

from supreme_dask.core.admission import Admission
from supreme_dask.core.instructions import Settings
from supreme_dask.core.resources import Resources
from supreme_dask.core.shapes import Inputs, Restrictions, Task

GiB = 2**30
MiB = 2**20


def cluster(*gibibytes, threads=4, cautious=False, **settings):
    """Return an admission over workers ``w0``, ``w1``, … with so much memory, that has looked at them once.

    A cautious one lets types of unknown memory run alone.
    """
    admission = Admission(Settings(**settings))
    admission.kinds.be_cautious(cautious)
    for number, memory in enumerate(gibibytes):
        join(admission, f"w{number}", memory, threads)
    admission.fill(0.0)
    return admission


def join(admission, address, gibibytes, threads=4, **other):
    """Let a worker join."""
    capacity = {"cpu": 1000 * threads, "memory": int(gibibytes * GiB), "network": 10**9, **other}
    return admission.add_worker(address, f"host-of-{address}", threads, capacity)


def task(key, gibibytes=None, *, type_="load", user_priority=0.0, inputs=None, **declared):
    """Return a task that declares memory and other resources, or nothing."""
    if gibibytes is not None:
        declared["memory"] = gibibytes * GiB
    demand = Resources.parse(declared) if declared else None
    return Task(key, type_, (user_priority, 0), demand, None, inputs)


def bound(key, gibibytes, *addresses, loose=False):
    """Return a task that may run on these workers only, or rather."""
    demand = Resources.parse({"memory": gibibytes * GiB})
    return Task(key, "load", (0.0, 0), demand, Restrictions(frozenset(addresses), loose=loose))


def stored(gibibytes, address):
    """Return inputs that one worker holds."""
    return Inputs(int(gibibytes * GiB), {address: int(gibibytes * GiB)})


def keys(placed):
    """Return the keys that were placed, in order."""
    return [key for key, _ in placed]
