"""What a worker holds for one task, no other gets."""

from dataclasses import replace

from supreme_dask.core.axes import MEMORY_AXIS, THREADS_AXIS
from supreme_dask.core.profiles import Measurement
from tests.core.clusters import GiB, bound, cluster, join, stored, task


def actor(admission, key, gibibytes=None):
    return admission.arrive(replace(task(key, gibibytes, type_="actor"), actor=True), 0.0)


def free_memory(admission, address):
    return admission.ledger.rows[address].free[MEMORY_AXIS]


def test_no_task_is_placed_into_the_memory_of_an_actor():
    admission = cluster(4)
    assert actor(admission, "actor", 3) == "w0"
    assert admission.arrive(task("large", 2), 0.0) is None
    assert admission.arrive(task("small", 1), 0.0) == "w0"


def test_an_actor_waits_for_the_memory_that_it_declares():
    admission = cluster(4)
    assert actor(admission, "first", 3) == "w0"
    assert actor(admission, "second", 2) is None
    admission.finish("first", None, 1.0)
    assert admission.fill(1.0) == [("second", "w0")]


def test_an_actor_waits_for_the_first_worker():
    admission = cluster()
    assert actor(admission, "early") is None
    join(admission, "w0", 4)
    assert admission.fill(1.0) == [("early", "w0")]


def test_an_actor_that_declares_nothing_needs_no_memory():
    admission = cluster(4)
    admission.arrive(task("all", 4), 0.0)
    admission.ledger.set_burden(admission.ledger.rows["w0"], GiB)
    assert actor(admission, "beside") == "w0"


def test_an_actor_is_made_where_a_thread_is_free():
    admission = cluster(4, 4, threads=1)
    assert actor(admission, "lives") == "w0"
    admission.arrive(bound("busy", 1, "w1"), 0.0)
    assert actor(admission, "made") == "w0"


def test_an_actor_that_ends_gives_its_memory_back():
    admission = cluster(4)
    actor(admission, "first", 3)
    admission.finish("first", None, 1.0)
    assert actor(admission, "second", 4) == "w0"


def test_a_task_that_left_its_thread_gives_back_its_memory_too():
    """It may wait for tasks that need it; the heartbeats of its worker tell what it goes on to hold."""
    admission = cluster(4)
    admission.arrive(task("waits-for-others", 3), 0.0)
    admission.secede("waits-for-others")
    assert admission.ledger.rows["w0"].free[THREADS_AXIS] == 4
    assert free_memory(admission, "w0") == 4 * GiB


def test_a_cancelled_task_keeps_its_memory_until_its_thread_is_done():
    admission = cluster(4)
    admission.arrive(task("cancelled", 3), 0.0)
    admission.abandon("cancelled")
    assert admission.arrive(task("next", 2), 0.0) is None
    admission.ledger.settle("w0", "cancelled")
    assert admission.fill(1.0) == [("next", "w0")]


def test_a_ghost_and_a_new_run_of_the_same_task_are_two():
    admission = cluster(4)
    again = task("again", 1)
    admission.arrive(again, 0.0)
    admission.abandon("again")
    assert admission.arrive(again, 0.0) == "w0"
    assert free_memory(admission, "w0") == 2 * GiB
    admission.ledger.settle("w0", "again")
    assert free_memory(admission, "w0") == 3 * GiB
    admission.remove_worker("w0")
    assert not admission.ledger.reservations


def test_what_a_task_fetched_is_learned():
    admission = cluster(4, 4, threads=1)
    assert admission.arrive(task("blocks", 1, type_="other"), 0.0) == "w0"
    admission.close_worker("w0")
    assert admission.arrive(task("load-1", 1, inputs=stored(2, "w0")), 0.0) == "w1"
    admission.open_worker("w0")
    admission.finish("load-1", Measurement(4.0), 4.0)
    assert admission.kinds["load"].profile.network == GiB / 2
    admission.finish("blocks", None, 4.0)
    assert admission.arrive(task("load-2", 1, inputs=stored(2, "w0")), 4.0) == "w0"
    admission.finish("load-2", Measurement(4.0), 8.0)
    assert admission.kinds["load"].profile.network == GiB / 4


def test_a_task_that_may_have_brought_a_worker_down_runs_alone_where_what_it_had_fits():
    admission = cluster(2, 4, 4)
    assert admission.arrive(task("known", 1), 0.0) == "w0"
    for number in (1, 2):
        suspect = replace(task(f"suspect-{number}", 3), alone=True)
        assert admission.arrive(suspect, 0.0) == f"w{number}"
    assert admission.arrive(replace(task("suspect-3", 1), alone=True), 0.0) is None
    assert admission.arrive(task("small", 0.5, type_="other"), 0.0) == "w0"
    admission.finish("suspect-1", None, 1.0)
    assert admission.fill(1.0) == [("suspect-3", "w1")]


def test_where_it_could_bring_its_worker_down_a_task_of_unknown_memory_runs_alone():
    admission = cluster(4, 4, cautious=True)
    assert admission.arrive(task("known", 1), 0.0) == "w0"
    assert admission.arrive(task("unknown", type_="new"), 0.0) == "w1"
    assert admission.arrive(task("other", 4), 0.0) is None
    assert admission.arrive(task("small", 1, type_="little"), 0.0) == "w0"


def test_a_task_of_unknown_memory_takes_no_more_than_there_is_whatever_it_fetches():
    admission = cluster(4, 4, cautious=True)
    admission.arrive(task("one", inputs=stored(1, "w0")), 0.0)
    admission.close_worker("w0")
    assert admission.arrive(task("two", type_="new", inputs=stored(1, "w0")), 0.0) == "w1"
    assert free_memory(admission, "w1") == 0


def test_inputs_that_have_to_be_fetched_are_counted_where_they_are_not():
    admission = cluster(4, 4)
    assert admission.arrive(task("near", 3, inputs=stored(2, "w0")), 0.0) == "w0"
    assert admission.arrive(task("far", 3, inputs=stored(2, "w0")), 0.0) is None
    assert admission.arrive(task("fits", 2, type_="other", inputs=stored(2, "w0")), 0.0) == "w1"
    assert free_memory(admission, "w1") == 0


def test_what_a_worker_stores_is_not_free_while_anything_runs_there():
    admission = cluster(4)
    row = admission.ledger.rows["w0"]
    admission.ledger.set_burden(row, 3 * GiB)
    assert admission.arrive(task("first", 1), 0.0) == "w0"
    assert admission.arrive(task("second", 1), 0.0) is None
    admission.ledger.set_burden(row, 2 * GiB)
    assert admission.fill(1.0) == [("second", "w0")]


def test_an_idle_worker_runs_a_task_that_only_an_empty_one_can_hold():
    admission = cluster(4)
    admission.ledger.set_burden(admission.ledger.rows["w0"], 3 * GiB)
    assert admission.arrive(task("large", 4), 0.0) == "w0"


def test_a_worker_may_declare_what_the_ledger_calls_something_else():
    admission = cluster()
    join(admission, "w0", 4, threads=2, idle=5000, worker=1000)
    admission.ledger.resize(
        admission.ledger.rows["w0"], 2, {"cpu": 2000, "memory": 4 * GiB, "threads": 8000, "idle": 5000}
    )
    for number in range(2):
        assert admission.arrive(task(number, 1, threads=1, idle=1), 0.0) == "w0"
    assert admission.arrive(task("third", 1, threads=1, idle=1), 0.0) is None


def test_a_worker_that_says_it_has_less_gets_nothing_until_it_has_room_again():
    admission = cluster(4)
    admission.arrive(task("first", 3), 0.0)
    join(admission, "w0", 2)
    assert free_memory(admission, "w0") == -1 * GiB
    assert admission.arrive(task("second", 1), 0.0) is None
    admission.finish("first", None, 1.0)
    assert admission.fill(1.0) == [("second", "w0")]


def test_a_lost_worker_leaves_nothing_behind():
    admission = cluster(4, 4, 4)
    placed = {key: admission.arrive(task(key, 4), 0.0) for key in "abc"}
    admission.abandon("a")
    for address in placed.values():
        admission.remove_worker(address)
    assert not admission.ledger.reservations
    assert not admission.ledger.ghosts
    assert admission.ledger.total == [0] * len(admission.ledger.names)
    assert admission.arrive(task("d", 1), 1.0) is None
    admission.finish("b", Measurement(1.0, 1.0, GiB), 1.0)  # its message was on the way
    join(admission, "new", 4)
    assert admission.fill(2.0) == [("d", "new")]


def test_a_task_wanted_again_while_its_ghost_runs_holds_what_the_ghost_held():
    admission = cluster(4)
    admission.arrive(task("again", 3), 0.0)
    admission.abandon("again")
    admission.ledger.resume("w0", "again")
    assert free_memory(admission, "w0") == 1 * GiB
    admission.finish("again", None, 1.0)
    assert free_memory(admission, "w0") == 4 * GiB


def test_a_task_cancelled_twice_on_one_worker_holds_its_place_once():
    admission = cluster(4)
    for _ in range(2):
        admission.arrive(task("again", 1), 0.0)
        admission.abandon("again")
    admission.ledger.settle("w0", "again")
    assert free_memory(admission, "w0") == 4 * GiB


def test_a_task_that_takes_a_whole_worker_takes_no_more_whatever_it_fetches():
    admission = cluster(4)
    assert admission.arrive(task("whole", 4, inputs=stored(1, "elsewhere")), 0.0) == "w0"
    assert free_memory(admission, "w0") == 0
