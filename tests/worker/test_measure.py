"""What a task took: its own when it ran alone, never less when it did not."""

import threading
from functools import partial

import numpy as np
import pytest

from supreme_dask.worker.act import corrected
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
        _, memory, exact, _ = measured
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
    for mebibytes, (_, memory, exact, _) in found.items():
        assert not exact
        assert memory >= mebibytes * MiB - SLACK


def test_a_task_that_fails_is_counted_out(meter):
    def fail():
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        meter.run("fails", fail)
    _, (_, _, exact, _) = meter.run("after", lambda: array(20))
    assert exact


def test_short_types_are_measured_now_and_then_only(meter):
    measured = [meter.run("short", int)[1] is not None for _ in range(100)]
    assert all(measured[:4])
    assert 4 < sum(measured) < 12


def test_long_types_are_measured_always(meter):
    event = threading.Event()
    assert all(meter.run("long", lambda: event.wait(0.011))[1] is not None for _ in range(8))


def test_processor_seconds_are_those_of_the_task_not_of_its_wait(meter):
    event = threading.Event()
    _, (waiting, *_) = meter.run("waits", lambda: event.wait(0.2))
    _, (computing, *_) = meter.run("computes", lambda: sum(range(3_000_000)))
    assert waiting < computing


def test_what_a_task_leaves_behind_is_told_if_it_was_alone(meter):
    kept = []
    _, (_, _, _, before) = meter.run("before", int)
    _, (_, memory, exact, after) = meter.run("keeps", lambda: kept.append(np.ones(64 * MiB // 8)))
    assert exact
    assert after - before >= 64 * MiB - SLACK
    assert memory >= 64 * MiB - SLACK


def test_what_a_worker_spilled_meanwhile_is_added_to_what_the_task_seemed_to_take():
    measured = (1.0, 50 * MiB, True, 90 * MiB)
    assert corrected(measured, -30 * MiB) == (1.0, 80 * MiB, False, 90 * MiB)
    assert corrected(measured, 30 * MiB) == (1.0, 50 * MiB, False, 90 * MiB)
    assert corrected(measured, 1000) == measured
