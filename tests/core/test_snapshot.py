"""A snapshot says what the ledger holds, and does not change with it."""

from __future__ import annotations

from supreme_dask.core.admission import Admission
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.resources import Resources
from supreme_dask.core.shapes import Task

GIB = 1 << 30


def test_it_shows_what_is_free_and_who_waits():
    admission = Admission()
    admission.add_worker("w", "host", 2, {"cpu": 2000, "memory": 4 * GIB})
    demand = Resources.parse({"memory": "3 GiB"})
    for name in ("a", "b"):
        admission.arrive(Task(name, "load", (0, 0, 0), demand), now=0.0)
    snapshot = admission.snapshot(0.0)
    (worker,) = snapshot.workers
    (waiting,) = snapshot.waiting
    assert (worker.running, worker.free["memory"], worker.allocated["cpu"]) == (1, 1 * GIB, 1000)
    assert (waiting.type, waiting.count, waiting.demand["memory"]) == ("load", 1, 3 * GIB)


def test_of_a_new_type_the_oldest_run_tells_how_long_one_lasts_at_least():
    admission = Admission()
    for name in ("v", "w"):
        admission.add_worker(name, "host", 1, {"cpu": 1000, "memory": 4 * GIB})
    demand = Resources.parse({"memory": "3 GiB"})
    admission.arrive(Task("a", "load", (0, 0, 0), demand), now=0.0)
    for name in "bcd":
        admission.arrive(Task(name, "load", (0, 0, 0), demand), now=60.0)
    assert admission.snapshot(100.0).waiting[0].duration == 100.0
    admission.finish("a", Measurement(wall=101.0), now=101.0)
    assert admission.snapshot(300.0).waiting[0].duration == 101.0


def test_it_does_not_change_with_the_ledger():
    admission = Admission()
    admission.add_worker("w", "host", 2, {"cpu": 2000, "memory": 4 * GIB})
    before = admission.snapshot(0.0)
    admission.arrive(Task("a", "load", (0, 0, 0), Resources.parse({"memory": "3 GiB"})), now=0.0)
    assert before.workers[0].free["memory"] == 4 * GIB
    assert admission.snapshot(0.0) != before
