"""Where a task goes, and what is said when it goes nowhere."""

from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.placement import pick, refuse
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.reasons import Unplaceable
from tests.core.clusters import GiB, bound, cluster, join, keys, stored, task


def picked(admission, wanted):
    shape = admission.kinds.shape(wanted)
    row = pick(admission.ledger, shape, wanted.inputs)
    return row and row.address


def test_memory_goes_to_the_worker_where_least_is_left():
    assert picked(cluster(8, 2, 4), task("a", 2)) == "w1"


def test_cpu_goes_to_the_worker_with_most_threads_free():
    admission = cluster(4, 4)
    admission.arrive(task("busy", 1), 0.0)
    assert picked(admission, task("a", 0, cpu=2)) == "w1"


def test_a_task_of_unknown_memory_that_runs_alone_goes_to_the_largest_worker():
    assert picked(cluster(2, 8, 4, cautious=True), task("a")) == "w1"


def test_a_task_goes_where_its_inputs_are():
    admission = cluster(8, 8, 8)
    assert picked(admission, task("a", 1, inputs=stored(1, "w2"))) == "w2"


def test_a_task_goes_elsewhere_when_there_is_no_room_at_its_inputs():
    admission = cluster(2, 8)
    admission.arrive(task("full", 2), 0.0)
    assert picked(admission, task("a", 1, inputs=stored(1, "w0"))) == "w1"


def test_a_task_goes_only_where_it_may():
    assert picked(cluster(2, 8), bound("a", 1, "w1")) == "w1"
    assert picked(cluster(2, 8), bound("a", 4, "w0")) is None
    assert picked(cluster(2, 8), bound("a", 1, "gone")) is None
    assert picked(cluster(2, 8), bound("a", 1, "gone", loose=True)) == "w0"


def test_a_host_is_as_good_as_an_address():
    assert picked(cluster(2, 8), bound("a", 1, "host-of-w1")) is None  # an address that nobody has


def test_a_refusal_names_what_lacks_on_the_worker_that_comes_nearest():
    admission = cluster(4, 2)
    admission.arrive(task("a", 3), 0.0)
    assert refuse(admission.ledger, admission.kinds.shape(task("b", 4))) == Unplaceable(
        "w0", "memory", 4 * GiB, 1 * GiB, ever=True
    )
    assert refuse(admission.ledger, admission.kinds.shape(task("c", 1, GPU=2))).resource == "GPU"
    assert refuse(admission.ledger, admission.kinds.shape(bound("d", 1, "gone"))).resource == "worker"


def test_a_refusal_names_all_that_no_worker_ever_has():
    admission = cluster(4, 2)
    why = refuse(admission.ledger, admission.kinds.shape(task("a", 9, cpu=64)))
    assert {why.resource, *(name for name, _, _ in why.further)} == {"cpu", "memory"}
    assert refuse(admission.ledger, admission.kinds.shape(task("b", 9))).further == ()


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 5]), st.booleans(), st.integers(0, 2)), max_size=40))
def test_equal_histories_give_equal_decisions(story):
    def decisions():
        admission = cluster(4, 8, 4, 2)
        decided = []
        for number, (size, ends, input_) in enumerate(story):
            wanted = task(number, size, inputs=stored(0.1, f"w{input_}") if input_ else None)
            decided.append(admission.arrive(wanted, float(number)))
            if ends:
                admission.finish(number // 2, Measurement(0.5, 0.5, size * GiB), float(number))
                decided.extend(admission.fill(float(number)))
        return decided

    assert decisions() == decisions()


def test_a_decision_costs_the_same_with_many_workers_as_with_few():
    def visits(workers):
        admission = cluster(*[4] * workers)
        for number in range(workers - 1):
            admission.arrive(task(number, 4), 0.0)
        before = admission.ledger.index.visits
        admission.arrive(task("last", 4), 0.0)
        return admission.ledger.index.visits - before

    assert visits(1024) <= visits(64) + 4 * 2 * 8


def test_a_worker_that_joins_looks_at_shapes_not_at_tasks():
    admission = cluster(1)
    for number in range(5000):
        admission.arrive(task(number, 1), 0.0)
    before = admission.considered
    join(admission, "new", 1)
    assert len(admission.fill(0.0)) == 1
    assert admission.considered - before < 10


def test_waiting_tasks_go_to_the_worker_that_holds_their_inputs():
    admission = cluster(1, 1)
    for address in ("w0", "w1"):
        admission.arrive(bound(f"busy-{address}", 1, address), 0.0)
    for number in range(10):
        admission.arrive(task(number, 1, inputs=stored(0.01, f"w{number % 2}")), 0.0)
    admission.fill(0.0)
    admission.finish("busy-w1", None, 1.0)
    assert keys(admission.fill(1.0)) == [1]
