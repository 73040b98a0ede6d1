"""A bad argument of the Python interface is refused in one line that names it, its value and what to write."""

import math
from pathlib import Path

import pytest

import supreme_dask
from supreme_dask import ResourceProfile, SupremeCluster, WorkerGroup, connect, engine
from supreme_dask.orchestrator.connection import scheduler_address
from supreme_dask.stores import open_store

PACKAGE = Path(supreme_dask.__file__).parent

NO_FUNCTIONS = [True, -1, 0, 1.5, math.nan, 10**30, "", "x", "größer", b"x", [], [1], {}, {"a": 1}, 3 + 1j]
NO_MAPPINGS = [None, True, -1, 1.5, math.nan, "", "x", b"x", [], [1], object]
NO_STRINGS = [None, True, -1, 1.5, math.inf, b"sqlite:///x", [], {}, object]
NO_SECONDS = [None, -1, math.nan, -math.inf, "10", "x", [], {}, 3 + 1j]
NO_AMOUNTS = [True, -1, math.nan, math.inf, "", "x", "größer", b"x", [], [1], {}, 3 + 1j]
NO_NAMES = [None, True, -1, 1.5, "", "a/b", "größer", "x" * 64, b"x", [], {}, "a\nb"]
NO_COUNTS = [None, True, -1, 1.5, math.nan, math.inf, "2", b"x", [], {}]

NO_GROUPS = [True, -1, 1.5, math.nan, "small", b"x", [1], ["small"], {"small": {}}, WorkerGroup("small"), object]
NO_HOSTS = [None, True, -1, 1.5, math.nan, 10**30, "", b"127.0.0.1", [], {}]
NO_PORTS = [True, -1, 65536, 10**30, 1.5, math.nan, math.inf, "x", "8786", b"x", [], {}]
NO_ADDRESSES = [True, -1, 65536, 1.5, math.nan, b"127.0.0.1:0", [], {}]

# What takes it, its name in the message, and what it does not take.
TABLE = [
    (engine, "function", NO_FUNCTIONS),
    (engine(), "function", [None, *NO_FUNCTIONS]),
    *(
        (lambda value, name=name: engine(sorted, **{name: value}), name, NO_AMOUNTS)
        for name in ("cpu", "memory", "GPU")
    ),
    (lambda value: ResourceProfile(others=value).demand(), "others", NO_MAPPINGS),
    (lambda value: ResourceProfile(memory_required=value).demand(), "memory", NO_AMOUNTS),
    (open_store, "", NO_STRINGS),
    (connect, "", NO_STRINGS),
    (lambda value: scheduler_address("memory://", wait=value), "wait", NO_SECONDS),
    (WorkerGroup, "name", NO_NAMES),
    (SupremeCluster, "groups", NO_GROUPS),
    (lambda value: SupremeCluster(host=value), "host", NO_HOSTS),
    (lambda value: SupremeCluster(port=value), "port", NO_PORTS),
    (lambda value: SupremeCluster(dashboard_address=value), "dashboard_address", NO_ADDRESSES),
    *((lambda value, name=name: WorkerGroup("a", **{name: value}), name, NO_COUNTS) for name in ("count", "minimum")),
    *(
        (lambda value, name=name: WorkerGroup("a", **{name: value}), name, NO_AMOUNTS)
        for name in ("cpu", "memory", "cost")
    ),
    (lambda value: WorkerGroup("a", resources=value), "resources", NO_MAPPINGS),
    (lambda value: WorkerGroup("a", labels=value), "labels", NO_MAPPINGS),
]
CASES = [(takes, name, value) for takes, name, values in TABLE for value in values]


@pytest.mark.parametrize(
    ("takes", "name", "value"), CASES, ids=[f"{name}-{value!r}"[:40] for _, name, value in CASES]
)
def test_it_is_refused_in_one_line(takes, name, value):
    with pytest.raises((ValueError, TypeError)) as caught:
        takes(value)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert name in said
    assert repr(value)[:9] in said  # long ones are shortened
    # In our own words, and before anything else has taken the value.
    assert caught.traceback[-1].path.is_relative_to(PACKAGE)


def test_groups_may_be_any_iterable():
    with SupremeCluster((WorkerGroup(name, count=0) for name in "ab"), dashboard_address=None) as cluster:
        assert [group.name for group in cluster.groups] == ["a", "b"]
