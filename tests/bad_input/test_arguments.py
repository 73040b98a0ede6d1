"""A bad argument of the Python interface is refused in one line that names it, its value and what to write."""

import math
from pathlib import Path

import pytest

import supreme_dask
from supreme_dask import ResourceProfile, WorkerGroup, connect, engine
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
