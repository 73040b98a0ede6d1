"""What a task took: its own when it ran alone, never less when it did not."""

import threading
from functools import partial

import numpy as np
import pytest

from supreme_dask.worker.measure import Meter

MiB = 2**20
SLACK = 8 * MiB


def array(mebibytes):
    return np.ones(mebibytes * MiB // 8).sum()


def rows(mebibytes):
    return len([bytes(1000) for _ in range(mebibytes * MiB // 1033)])


@pytest.fixture(scope="module")
def meter():
    meter = Meter()
    if not meter.works:
        pytest.skip("this kernel does not let a process set its peak back")
    return meter


@pytest.mark.parametrize("task", [array, rows])
def test_a_task_that_runs_alone_is_measured_exactly_whatever_ran_before(meter, task):
    for mebibytes in (20, 20, 100, 100, 20, 200, 20):
        _, measured = meter.run(f"{task.__name__}-{mebibytes}", partial(task, mebibytes))
        _, memory, exact = measured
        assert exact
        assert memory == pytest.approx(mebibytes * MiB, rel=0.05, abs=SLACK)


def test_tasks_that_overlap_are_never_measured_below_what_they_took(meter):
    together = threading.Barrier(3)
    found = {}

    def hold(mebibytes):
        held = np.ones(mebibytes * MiB // 8)
        together.wait(timeout=30)
        return held.sum()

    def measure(mebibytes):
        found[mebibytes] = meter.run(f"hold-{mebibytes}", lambda: hold(mebibytes))[1]

    threads = [threading.Thread(target=measure, args=(mebibytes,)) for mebibytes in (20, 60, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mebibytes, (_, memory, exact) in found.items():
        assert not exact
        assert memory >= mebibytes * MiB - SLACK


def test_a_task_that_fails_is_counted_out(meter):
    def fail():
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        meter.run("fails", fail)
    _, (_, _, exact) = meter.run("after", lambda: array(20))
    assert exact


def test_short_types_are_measured_now_and_then_only(meter):
    measured = [meter.run("short", int)[1] is not None for _ in range(100)]
    assert all(measured[:4])
    assert 4 < sum(measured) < 20


def test_long_types_are_measured_always(meter):
    event = threading.Event()
    assert all(meter.run("long", lambda: event.wait(0.011))[1] is not None for _ in range(8))


def test_processor_seconds_are_those_of_the_task_not_of_its_wait(meter):
    event = threading.Event()
    _, (waiting, _, _) = meter.run("waits", lambda: event.wait(0.2))
    _, (computing, _, _) = meter.run("computes", lambda: sum(range(3_000_000)))
    assert waiting < computing
