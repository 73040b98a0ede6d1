"""Who goes first, and that nobody waits for ever behind others."""

from dataclasses import replace

from supreme_dask.core.instructions import Recall
from supreme_dask.core.profiles import Measurement
from tests.core.clusters import GiB, MiB, bound, cluster, join, keys, task

SHORT = Measurement(0.001, 0.001, MiB)
LONG = Measurement(1.0, 1.0, MiB)


def learned(measurement, *gibibytes, **settings):
    """Return a cluster that has measured one run of the type ``load``."""
    admission = cluster(*gibibytes, **settings)
    admission.arrive(task("measured"), 0.0)
    admission.finish("measured", measurement, 0.0)
    return admission


def test_the_users_priority_goes_before_everything_else():
    admission = cluster(4)
    admission.arrive(task("busy", 4), 0.0)
    for key, priority in [("normal", 0.0), ("low", 5.0), ("high", -5.0)]:
        admission.arrive(task(key, 4, user_priority=priority), 0.0)
    order = []
    for previous in ("busy", "high", "normal"):
        admission.finish(previous, None, 1.0)
        order += keys(admission.fill(1.0))
    assert order == ["high", "normal", "low"]


def test_a_smaller_task_of_lower_priority_fills_what_the_other_cannot_use():
    admission = cluster(4)
    admission.arrive(task("busy", 3), 0.0)
    assert admission.arrive(task("high", 2, user_priority=-1), 0.0) is None
    admission.fill(0.0)
    assert admission.arrive(task("low", 1), 0.0) == "w0"


def test_a_large_task_is_not_starved_by_small_ones():
    admission = cluster(4, patience=1.0)
    number = 0
    for number in range(4):
        admission.arrive(task(number, 1), 0.0)
    assert admission.arrive(task("large", 4, type_="large"), 0.0) is None
    now, running, placed = 0.0, list(range(4)), []
    while "large" not in placed:
        now += 0.4
        assert now < 20
        number += 1
        admission.arrive(task(number, 1), now)
        if running:
            admission.finish(running.pop(0), Measurement(1.0, 1.0, GiB), now)
        admission.tick(now)
        new = keys(admission.fill(now))
        placed += new
        running += [key for key in new if key != "large"]


def test_a_worker_that_drains_for_a_large_task_lets_in_what_fits_beside_it():
    admission = cluster(4, patience=1.0)
    admission.arrive(task("small", 2), 0.0)
    admission.arrive(task("large", 3, type_="large"), 0.0)
    admission.fill(0.0)
    admission.tick(2.0)
    assert admission.arrive(task("beside", 1, type_="beside"), 2.0) == "w0"
    assert admission.arrive(task("instead", 1, type_="instead"), 2.0) is None
    admission.finish("small", None, 3.0)
    assert keys(admission.fill(3.0)) == ["large"]


def test_only_a_few_workers_drain_however_many_large_tasks_wait():
    admission = cluster(*[4] * 16, threads=2, patience=1.0)
    for number in range(32):
        admission.arrive(task(f"small-{number}", 2), 0.0)
    for number in range(64):
        admission.arrive(task(f"large-{number}", 3, type_=f"large-{number % 8}"), 0.0)
    draining = []
    for now in range(1, 20):
        admission.tick(float(now))
        draining.append(sum(row.promise is not None for row in admission.ledger.rows.values()))
    assert max(draining) == 2
    assert 0 in draining[2:], "nothing ends there: others may run in between"


def test_short_tasks_wait_on_the_worker_so_many_as_run_in_the_time_ahead():
    admission = learned(SHORT, 16, ahead=0.010, most_ahead=64)
    for number in range(1000):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    assert len(admission.ledger.reservations) == 4 * 10


def test_never_more_short_tasks_wait_on_a_worker_than_the_operator_allows():
    admission = learned(SHORT, 16, ahead=10.0, most_ahead=8)
    for number in range(1000):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    assert len(admission.ledger.reservations) == 4 * 8


def test_what_others_need_does_not_run_ahead_because_tasks_of_its_type_may_that_nothing_needs():
    large_results = Measurement(0.001, 0.001, MiB, exact=True, result=16 * MiB)
    admission = learned(large_results, 16, ahead=0.010, most_ahead=64)
    for number in range(6):  # more than there are threads, so that they wait on the worker
        admission.arrive(task(f"alone-{number}", 0.001), 0.0)
    for number in range(100):
        needed = task(f"needed-{number}", 0.002, user_priority=1.0)
        admission.arrive(replace(needed, feeds=True), 0.0)
    admission.fill(0.0)
    assert {key.partition("-")[0] for key in admission.ledger.reservations} == {"alone"}


def test_of_long_tasks_one_waits_on_the_worker_so_that_no_thread_is_idle():
    admission = learned(LONG, 16)
    for number in range(100):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    assert len(admission.ledger.reservations) == 4 + 1


def test_what_waits_on_a_worker_stays_within_its_memory():
    admission = learned(Measurement(0.001, 0.001, 100 * MiB), 1)
    for number in range(100):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    row = admission.ledger.rows["w0"]
    assert 4 < row.laned < 11
    assert min(row.free) >= 0


def test_short_tasks_are_sent_in_few_batches():
    admission = learned(SHORT, 16)
    for number in range(1000):
        admission.arrive(task(number), 0.0)
    batches = done = 0
    admission.fill(0.0)
    running = list(admission.ledger.reservations)
    while running:
        admission.finish(running.pop(0), SHORT, 0.0)
        done += 1
        new = keys(admission.fill(0.0))
        batches += bool(new)
        running += new
    assert done == 1000
    assert batches < 100


def test_no_worker_takes_more_than_its_share_of_the_last_batch():
    admission = learned(SHORT, 16, 16)
    for number in range(40):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    assert max(row.laned for row in admission.ledger.rows.values()) <= 20


def test_a_task_that_waits_only_for_a_thread_is_not_delayed_by_short_ones():
    admission = learned(SHORT, 16)
    for number in range(1000):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    assert admission.arrive(task("long", 1, type_="long", user_priority=-1), 0.0) is None
    for key in list(admission.ledger.reservations):
        admission.finish(key, SHORT, 0.0)
        if "long" in keys(admission.fill(0.0)):
            return
    raise AssertionError("a whole batch went before it")


def test_tasks_behind_one_that_turned_out_long_are_taken_back_when_another_worker_idles():
    admission = learned(SHORT, 16)
    for number in range(100):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    assert admission.ledger.rows["w0"].behind > 4
    assert admission.tick(0.05) == []
    assert admission.tick(1.0) == []  # nobody idles
    join(admission, "idle", 1)
    for key in list(admission.queues.keys()):
        admission.drop(key)  # so that the new worker stays idle
    admission.fill(1.5)
    (recall,) = admission.tick(2.0)
    assert isinstance(recall, Recall)
    assert recall.address == "w0"
    assert len(recall.keys) == 4  # as many as can run there


def test_of_a_type_that_became_long_one_waits_on_the_worker():
    admission = learned(SHORT, 16)
    for number in range(20):
        admission.arrive(bound(f"b{number}", 0, "w0"), 0.0)
        admission.finish(f"b{number}", LONG, 0.0)
    for number in range(100):
        admission.arrive(task(number), 0.0)
    admission.fill(0.0)
    assert len(admission.ledger.reservations) == 4 + 1
