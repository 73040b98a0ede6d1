"""Whoever waits is looked at again as soon as there may be room: each test is a way to wait for ever."""

from supreme_dask.core.instructions import Fail, Warn
from supreme_dask.core.profiles import Measurement
from tests.core.clusters import GiB, bound, cluster, join, keys, stored, task


def test_a_task_does_not_wait_for_an_impossible_one_that_the_user_put_before_it():
    admission = cluster(4, 4)
    assert admission.arrive(task("impossible", 100, user_priority=-1), 0.0) is None
    assert admission.arrive(task("possible", 1), 0.0) is not None


def test_a_task_held_behind_a_better_one_runs_wherever_there_is_room():
    admission = cluster(4, 4)
    join(admission, "w2", 4)  # room that nobody has looked at yet
    admission.queues.push(better := task("better", 4, user_priority=-1), admission.kinds.shape(better))
    assert admission.arrive(task("worse-1", 4, type_="other"), 0.0) is None
    assert admission.arrive(task("worse-2", 4, type_="other"), 0.0) is None
    assert sorted(keys(admission.fill(0.0))) == ["better", "worse-1", "worse-2"]


def test_a_task_that_fits_with_its_inputs_on_one_worker_runs_elsewhere_when_that_pauses():
    admission = cluster(4, threads=1)
    assert admission.arrive(task("runs", 1), 0.0) == "w0"
    join(admission, "w1", 2)
    admission.fill(0.0)
    assert admission.arrive(task("needs-all", 2, inputs=stored(1, "w0")), 0.0) is None
    admission.close_worker("w0")
    assert admission.fill(0.1) == [("needs-all", "w1")]


def test_another_worker_probes_a_type_whose_first_worker_died():
    admission = cluster(4, 4, cautious=True)
    lost = admission.arrive(task("first"), 0.0)
    assert admission.arrive(task("second"), 0.0) is None
    admission.fill(0.0)
    admission.remove_worker(lost)
    assert keys(admission.fill(0.1)) == ["second"]


def test_another_worker_probes_a_type_whose_first_run_was_cancelled_and_goes_on():
    admission = cluster(4, 4, cautious=True)
    admission.arrive(task("first"), 0.0)
    assert admission.arrive(task("second"), 0.0) is None
    admission.fill(0.0)
    admission.abandon("first")
    assert keys(admission.fill(0.1)) == ["second"]


def test_a_loose_task_runs_elsewhere_while_the_worker_it_prefers_is_full():
    admission = cluster(4, 4)
    assert admission.arrive(bound("there", 4, "w0", loose=True), 0.0) == "w0"
    assert admission.arrive(bound("elsewhere", 4, "w0", loose=True), 0.0) is None
    assert admission.fill(0.0) == [("elsewhere", "w1")]


def test_a_loose_task_runs_anywhere_once_the_worker_it_prefers_is_gone_or_paused():
    for leaves in ("remove_worker", "close_worker"):
        admission = cluster(4, 4)
        for key in ("there", "elsewhere", "waits"):
            admission.arrive(bound(key, 4, "w0", loose=True), 0.0)
        admission.fill(0.0)
        getattr(admission, leaves)("w0")
        admission.finish("elsewhere", None, 0.1)
        assert admission.fill(0.1) == [("waits", "w1")]


def test_a_bound_task_waits_for_its_worker_although_others_are_free():
    admission = cluster(4, 4)
    admission.arrive(bound("there", 4, "w0"), 0.0)
    assert admission.arrive(bound("waits", 4, "w0"), 0.0) is None
    admission.close_worker("w0")
    assert admission.fill(0.1) == []
    admission.finish("there", None, 1.0)
    admission.open_worker("w0")
    assert admission.fill(1.0) == [("waits", "w0")]


def test_what_was_learned_on_a_large_worker_runs_on_small_ones_once_that_is_gone():
    admission = cluster(8, 2)
    assert admission.arrive(task("first"), 0.0) == "w0"
    admission.finish("first", Measurement(1.0, 1.0, 4 * GiB), 1.0)
    assert admission.arrive(task("second"), 1.0) == "w0"
    assert admission.arrive(task("third"), 1.0) is None
    admission.fill(1.0)
    admission.remove_worker("w0")
    assert admission.fill(1.1) == [("third", "w1")]


def test_a_probe_that_takes_long_lets_two_then_four_others_probe():
    admission = cluster(*[4] * 8, patience=1.0, cautious=True)
    for number in range(8):
        admission.arrive(task(number), 0.0)
    running = []
    for now in (2.0, 4.0, 6.0):
        admission.tick(now)
        admission.fill(now)
        running.append(len(admission.ledger.reservations))
    assert running == [2, 4, 8]


def test_a_task_that_no_worker_can_run_is_reported_once_and_waits():
    admission = cluster(4)
    assert admission.arrive(task("huge", 8), 0.0) is None
    (warning,) = admission.tick(1.0)
    assert isinstance(warning, Warn)
    assert "memory 8.00 GiB" in warning.sentence
    assert "4.00 GiB" in warning.sentence
    assert not warning.bound
    assert admission.tick(2.0) == admission.tick(1000.0) == []
    join(admission, "large", 8)
    assert admission.fill(1001.0) == [("huge", "large")]


def test_a_task_that_no_worker_can_run_fails_after_the_time_that_the_operator_set():
    admission = cluster(4, infeasible_timeout=10.0)
    admission.arrive(task("huge", 8), 0.0)
    assert isinstance(admission.tick(1.0)[0], Warn)
    assert admission.tick(10.0) == []
    (failure,) = admission.tick(12.0)
    assert isinstance(failure, Fail)
    assert failure.keys == ["huge"]
    assert "supreme.infeasible-timeout" in failure.sentence


def test_the_time_to_fail_begins_anew_for_tasks_that_come_later():
    admission = cluster(4, infeasible_timeout=10.0)
    admission.arrive(task("early", 8), 0.0)
    admission.tick(1.0)
    admission.drop("early")
    assert admission.tick(50.0) == []
    admission.arrive(task("late", 8), 100.0)
    assert isinstance(admission.tick(101.0)[0], Warn)


def test_nobody_is_told_of_impossible_tasks_while_no_worker_is_there():
    admission = cluster()
    assert admission.arrive(task("any", 1), 0.0) is None
    assert admission.tick(100.0) == []


def test_a_type_that_nobody_measured_joins_one_that_may_be_waiting_for_it():
    admission = cluster(4, threads=2, cautious=True)
    assert admission.arrive(task("waits-for-other", type_="asks"), 0.0) == "w0"
    assert admission.arrive(task("other", type_="answers"), 0.0) is None
    admission.ledger.set_unbacked(admission.ledger.rows["w0"], 4 * GiB)
    admission.tick(9.0)
    assert admission.fill(9.0) == []
    admission.tick(11.0)
    assert keys(admission.fill(11.0)) == ["other"]


def test_tasks_of_one_type_that_may_wait_for_each_other_run_together_in_the_end():
    admission = cluster(4, threads=2, cautious=True)
    assert admission.arrive(task("asks"), 0.0) == "w0"
    assert admission.arrive(task("answers"), 0.0) is None
    admission.ledger.set_unbacked(admission.ledger.rows["w0"], 4 * GiB)
    admission.tick(11.0)
    assert keys(admission.fill(11.0)) == ["answers"]
    for key in ("asks", "answers"):
        admission.finish(key, Measurement(1.0, 1.0, GiB, True), 12.0)
    assert admission.ledger.rows["w0"].free == admission.ledger.rows["w0"].capacity


def test_a_task_that_takes_a_whole_worker_runs_where_it_may_though_its_inputs_are_elsewhere():
    admission = cluster(4)
    join(admission, "gpu", 4, gpu=1000)
    reads = task("reads", 4, inputs=stored(0.001, "w0"), gpu=1)
    assert admission.arrive(reads, 0.0) == "gpu"
    assert admission.arrive(task("impossible", 5, inputs=stored(0.001, "w0")), 0.0) is None


def test_a_first_run_that_computes_for_long_keeps_its_worker_to_itself():
    admission = cluster(4, threads=2, cautious=True)
    assert admission.arrive(task("grows", type_="grows"), 0.0) == "w0"
    assert admission.arrive(task("other", type_="other"), 0.0) is None
    admission.ledger.set_unbacked(admission.ledger.rows["w0"], 4 * GiB)
    admission.ledger.rows["w0"].busy = True
    admission.tick(15.0)
    assert admission.fill(15.0) == []
    admission.ledger.rows["w0"].busy = False
    admission.tick(16.0)
    assert keys(admission.fill(16.0)) == ["other"]


def test_a_worker_that_joined_gets_a_task_that_needs_less_since_it_did():
    """Unmeasured types get a thread's share of the smallest worker, and a smaller one has joined."""
    admission = cluster(4, threads=1, cautious=True)
    admission.kinds.learn("load", Measurement(1.0))
    assert admission.arrive(task("first"), 0.0) == "w0"
    assert admission.arrive(task("second"), 0.0) is None
    join(admission, "w1", 1, threads=1)
    assert admission.fill(0.1) == [("second", "w1")]


def test_a_loose_task_has_a_host_where_none_that_it_prefers_could_hold_it():
    admission = cluster(2, 8)
    admission.arrive(bound("busy", 8, "w1"), 0.0)
    assert admission.arrive(bound("large", 4, "w0", loose=True), 0.0) is None
    assert admission.has_host("large")
    assert admission.tick(1.0) == []


def test_of_many_that_no_worker_could_run_each_sort_is_said_once_and_few_by_name():
    admission = cluster(1)
    for number in range(2000):
        admission.arrive(task(f"alike-{number}", 8 + number), 0.0)
        admission.arrive(task(f"other-{number}", 8, type_=f"type-{number}"), 0.0)
    sentences = [one.sentence for one in admission.tick(1.0)]
    assert len(sentences) == 21
    assert sentences[-1] == "tasks of more than 1,000 other types can run on no worker either"
    assert admission.tick(2.0) == []
    admission.arrive(task("alike-again", 5000), 3.0)
    assert admission.tick(3.0) == []


def test_a_resource_that_no_worker_declares_is_told_with_the_one_that_was_meant():
    admission = cluster(4)
    admission.arrive(task("a", 1, type_="train", cpus=2), 0.0)
    admission.arrive(task("b", 1, type_="show", GPU=1), 0.0)
    assert [one.sentence for one in admission.tick(1.0)] == [
        "tasks 'train' wait for a worker that declares 'cpus' (did you mean 'cpu'?): none does",
        "tasks 'show' wait for a worker that declares 'GPU': none does",
    ]
