"""A task waits for the worker that has its inputs where it starts there sooner than these could be fetched."""

from dataclasses import replace

from supreme_dask.core.profiles import Measurement
from supreme_dask.core.shapes import Inputs
from tests.core.clusters import GiB, MiB, bound, cluster, join, keys, task

SOME = 50 * MiB  # half a second on the network


def lying(admission, key, *, at="w0", size=SOME, type_="read"):
    return replace(task(key, type_=type_), inputs=Inputs(size, {at: size}))


def busy(seconds, workers=2):
    """Return a cluster whose first worker is busy, and which knows how long a ``read`` takes."""
    admission = cluster(*[4] * workers, threads=1)
    for _ in range(8):
        admission.kinds.learn("read", Measurement(seconds, seconds, MiB))
    assert admission.arrive(lying(admission, "runs"), 0.0) == "w0"
    return admission


def test_a_short_task_waits_for_its_inputs():
    admission = busy(0.02)
    assert admission.arrive(lying(admission, "waits"), 0.0) is None
    assert [address for _, address in admission.fill(0.0)] in ([], ["w0"])


def test_a_long_one_has_them_fetched():
    admission = busy(2.0)
    assert admission.arrive(lying(admission, "goes"), 0.0) == "w1"


def test_so_do_some_where_too_many_wait():
    admission = busy(0.02)
    for number in range(100):
        admission.arrive(lying(admission, number), 0.0)
    admission.fill(0.0)
    now, placed = 0.0, []
    for _ in range(20):
        now += 0.02
        admission.tick(now)
        placed += admission.fill(now)
    assert {"w0", "w1"} >= {address for _, address in placed}
    assert "w1" in {address for _, address in placed}


def test_none_waits_for_a_worker_that_gets_on_with_nothing():
    admission = busy(0.02)
    assert admission.arrive(lying(admission, "waits"), 0.0) is None
    admission.fill(0.0)
    admission.drop("waits")
    assert admission.arrive(lying(admission, "later"), 60.0) == "w1"


def test_none_waits_where_its_inputs_are_if_there_is_no_memory_for_it():
    admission = cluster(4, 4)
    admission.arrive(replace(task("full", 4), inputs=Inputs(SOME, {"w0": SOME})), 0.0)
    assert admission.arrive(replace(task("reads", 1), inputs=Inputs(SOME, {"w0": SOME})), 0.0) == "w1"


def test_few_bytes_are_no_reason_to_wait():
    admission = busy(0.02)
    assert admission.arrive(lying(admission, "little", size=1000), 0.0) == "w1"


def test_what_waits_on_a_worker_is_not_taken_back_where_it_would_fetch_for_longer():
    admission = cluster(4, 4, threads=1)
    admission.close_worker("w1")
    for _ in range(8):
        admission.kinds.learn("read", Measurement(0.2, 0.2, MiB))
    for number in range(40):
        admission.arrive(lying(admission, number, size=GiB), 0.0)
    admission.fill(0.0)
    assert admission.ledger.rows["w0"].behind
    for key in list(admission.queues.keys()):
        admission.drop(key)
    admission.open_worker("w1")
    admission.fill(0.1)
    assert admission.tick(5.0) == []


def test_of_two_tasks_each_worker_takes_that_whose_inputs_it_has():
    admission = cluster(4, 4, threads=1)
    for address in ("w0", "w1"):
        admission.arrive(replace(task(f"busy-{address}", 4), inputs=Inputs(SOME, {address: SOME})), 0.0)
    for key, at in (("far", "w1"), ("near", "w0")):
        admission.arrive(lying(admission, key, at=at), 0.0)
    admission.finish("busy-w0", None, 1.0)
    assert keys(admission.fill(1.0)) == ["near"]


def test_none_waits_for_a_worker_that_may_or_can_never_run_it():
    for forbidden in (bound("elsewhere", 1, "w1"), task("two-cores", 1, cpu=2)):
        admission = cluster(4, threads=1)
        join(admission, "w1", 4, threads=4)
        for _ in range(8):
            admission.kinds.learn("load", Measurement(0.02, 0.02, MiB))
        admission.fill(0.0)
        admission.arrive(lying(admission, "runs"), 0.0)
        assert admission.arrive(replace(forbidden, inputs=Inputs(SOME, {"w0": SOME})), 0.0) == "w1"


def test_none_waits_for_long_where_others_are_served_before_it():
    admission = busy(0.001)
    assert admission.arrive(lying(admission, "waits"), 0.0) is None
    for turn in range(1, 40):
        now = 0.1 * turn
        admission.ledger.rows["w0"].progress = now  # something else has ended there
        admission.tick(now)
        if ("waits", "w1") in admission.fill(now):
            assert now <= 1.5
            return
    raise AssertionError("it waits as long as others come")


def test_a_task_whose_inputs_are_on_an_idle_worker_does_not_wait_behind_its_like():
    admission = cluster(4, 4)
    admission.arrive(replace(task("full", 2), inputs=Inputs(GiB, {"w0": GiB})), 0.0)
    admission.arrive(replace(task("head", 4), inputs=Inputs(GiB, {"w0": GiB})), 0.0)
    admission.fill(0.0)
    admission.arrive(replace(task("other", 4), inputs=Inputs(GiB, {"w1": GiB})), 0.0)
    admission.arrive(replace(task("more", 4), inputs=Inputs(GiB, {"w1": GiB})), 0.0)
    assert "w1" in {address for _, address in admission.fill(0.0)} or admission.ledger.rows["w1"].tasks


def test_the_users_priority_goes_before_inputs_that_are_near():
    admission = cluster(4, threads=1)
    admission.arrive(task("runs", 1), 0.0)
    for key, priority, at in (("first", -10, "elsewhere"), ("last", 10, "w0")):
        one = task(key, type_="read", user_priority=priority, inputs=Inputs(SOME, {at: SOME}))
        admission.arrive(one, 0.0)
    admission.finish("runs", None, 1.0)
    assert keys(admission.fill(1.0))[0] == "first"
