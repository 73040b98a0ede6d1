"""What plain Dask would start, starts: nothing that is reserved keeps a task waiting that others wait for."""

from dataclasses import replace

from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.profiles import Measurement
from tests.core.clusters import GiB, MiB, cluster, keys, task

KNOWN = Measurement(0.5, 0.1, 3 * GiB)


def learned(type_, measurement, *gibibytes, **settings):
    """Return a cluster that has measured three runs of a type."""
    admission = cluster(*gibibytes, **settings)
    for _ in range(3):
        admission.kinds.learn(type_, measurement)
    return admission


def holds(admission, address, amount):
    """Let a worker's heartbeat tell that its process holds so many bytes of what is reserved there."""
    row = admission.ledger.rows[address]
    reserved = row.capacity[MEMORY_AXIS] - row.burden - row.free[MEMORY_AXIS]
    admission.ledger.set_unbacked(row, reserved - amount)


def test_a_task_that_waits_for_others_lends_the_memory_that_it_does_not_hold():
    admission = learned("parent", KNOWN, 4)
    assert admission.arrive(task("parent", type_="parent"), 0.0) == "w0"
    assert admission.arrive(task("child", 3, type_="child"), 0.0) is None
    holds(admission, "w0", 100 * MiB)
    admission.tick(0.5)
    assert admission.fill(0.5) == [], "it has not run for longer than its like"
    admission.tick(1.5)
    assert keys(admission.fill(1.5)) == ["child"]


def test_a_task_lends_nothing_of_what_it_holds():
    admission = learned("parent", KNOWN, 4)
    admission.arrive(task("parent", type_="parent"), 0.0)
    admission.arrive(task("child", 3, type_="child"), 0.0)
    holds(admission, "w0", 3 * GiB)
    admission.tick(60.0)
    assert admission.fill(60.0) == []


def test_a_task_that_declared_its_memory_lends_it_too_but_later():
    admission = cluster(4)
    admission.arrive(task("parent", 3), 0.0)
    admission.arrive(task("child", 3, type_="child"), 0.0)
    holds(admission, "w0", 0)
    admission.tick(2.0)
    assert admission.fill(2.0) == []
    admission.tick(20.0)
    assert keys(admission.fill(20.0)) == ["child"]


def test_beside_a_task_that_never_ends_what_is_stored_makes_room_as_if_nothing_ran():
    admission = cluster(4)
    row = admission.ledger.rows["w0"]
    admission.arrive(task("service", type_="service"), 0.0)
    admission.ledger.set_burden(row, 2 * GiB)
    assert admission.arrive(task("large", 3), 0.0) is None
    holds(admission, "w0", 100 * MiB)
    admission.tick(2.0)
    assert keys(admission.fill(2.0)) == ["large"]


def test_a_task_that_would_wait_for_ever_tries_with_a_little_less_than_its_like_need():
    admission = learned("large", Measurement(1.0, 1.0, 3 * GiB), 4)
    admission.arrive(task("service", 1.2, type_="service"), 0.0)
    admission.ledger.set_unbacked(admission.ledger.rows["w0"], 0)
    assert admission.arrive(task("large", type_="large"), 0.0) is None
    admission.tick(5.0)
    assert admission.fill(5.0) == []
    admission.tick(20.0)
    assert keys(admission.fill(20.0)) == ["large"]


def test_a_promise_that_comes_to_nothing_ends_and_small_tasks_run():
    admission = cluster(4)
    admission.arrive(task("service", 1), 0.0)
    admission.arrive(task("large", 4, type_="large"), 0.0)
    admission.tick(2.0)
    assert admission.arrive(task("small", 0.5, type_="small"), 2.0) is None, "a worker drains for the large one"
    for now in (3.0, 4.0, 5.0):
        admission.tick(now)
        if "small" in keys(admission.fill(now)):
            return
    raise AssertionError("the worker drained for ever")


def test_no_promise_to_a_worse_task_turns_a_better_one_away():
    admission = cluster(4)
    admission.arrive(task("runs", 1), 0.0)
    admission.arrive(task("worse", 4, type_="large", user_priority=1), 0.0)
    admission.tick(2.0)
    assert admission.ledger.rows["w0"].promise is not None
    assert admission.arrive(task("better", 2, type_="other"), 2.0) == "w0"


def test_quick_tasks_run_beside_a_long_one_that_nobody_knows():
    admission = cluster(4)
    assert admission.arrive(task("unknown", type_="unknown"), 0.0) == "w0"
    assert admission.arrive(task("quick", type_="quick"), 0.0) == "w0"


def test_beside_a_running_task_that_has_grown_others_wait_for_what_is_left():
    admission = cluster(4)
    admission.arrive(task("first"), 0.0)
    admission.grown("first", "w0", 3 * GiB)
    assert admission.arrive(task("like-it"), 0.1) is None, "its like may grow as much"
    assert admission.arrive(task("other", type_="other"), 0.1) == "w0"


def test_a_stopped_task_of_its_type_makes_those_that_wait_need_more():
    admission = cluster(4, 4)
    admission.kinds.learn("load", Measurement(1.0, memory=2 * GiB, killed=True))
    need = dict(admission.kinds.shape(task("next")).need)[MEMORY_AXIS]
    assert need >= 2 * GiB


def test_results_that_others_need_are_made_as_these_are_used():
    admission = cluster(4, threads=2)
    for _ in range(8):
        admission.kinds.learn("load", Measurement(0.001, 0.001, MiB, result=10 * MiB))
    for number in range(100):
        admission.arrive(replace(task(number), feeds=True), 0.0)
    admission.fill(0.0)
    assert len(admission.ledger.reservations) == 2 + 1


def test_small_results_that_others_need_hold_nothing_back():
    admission = cluster(4, threads=2)
    for _ in range(8):
        admission.kinds.learn("load", Measurement(0.001, 0.001, MiB, result=10))
    for number in range(100):
        admission.arrive(replace(task(number), feeds=True), 0.0)
    admission.fill(0.0)
    assert len(admission.ledger.reservations) > 50
