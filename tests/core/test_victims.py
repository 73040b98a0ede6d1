from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.core.resources import Resources
from supreme_dask.core.snapshot import WorkerView
from supreme_dask.core.victims import choose

SOME = Resources.parse({"memory": "1 GiB"})


def view(name, host="h", running=0, **known):
    return WorkerView(f"tcp://{name}", host, True, 2, SOME, SOME, running, 0, name=name, **known)


views = st.lists(
    st.builds(
        view,
        name=st.uuids().map(str),
        host=st.sampled_from("abc"),
        running=st.integers(0, 2),
        draining=st.booleans(),
        pinned=st.booleans(),
        elapsed=st.floats(0, 1000),
        unique=st.integers(0, 1000),
    ),
    max_size=12,
)


@given(views, st.integers(-2, 15))
def test_only_those_that_may_go_go_and_no_busy_one_before_an_idle_one(workers, count):
    chosen = choose(workers, count)
    by_name = {worker.name: worker for worker in workers}
    may_go = [worker for worker in workers if not worker.draining and not worker.pinned]
    assert len(chosen) == len(set(chosen)) == min(max(count, 0), len(may_go))
    assert all(by_name[name] in may_go for name in chosen)
    if any(by_name[name].running for name in chosen):
        assert all(worker.name in chosen for worker in may_go if not worker.running)


@given(views, st.integers(0, 12))
def test_who_goes_of_fewer_goes_of_more_too(workers, count):
    assert choose(workers, count) == choose(workers, count + 1)[:count]


@given(views, st.integers(0, 12))
def test_no_other_choice_of_as_many_loses_less_work(workers, count):
    chosen = set(choose(workers, count))
    lost = sorted(worker.elapsed if worker.running else 0.0 for worker in workers if worker.name in chosen)
    others = (worker for worker in workers if not worker.draining and not worker.pinned)
    ascending = sorted(worker.elapsed if worker.running else 0.0 for worker in others)
    assert lost == ascending[: len(lost)]


def emptied(workers, chosen):
    staying = {worker.host for worker in workers if worker.name not in chosen}
    return len({worker.host for worker in workers} - staying)


hosts = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 3), st.integers(0, 1), st.booleans()))


@settings(deadline=None)
@given(hosts, st.integers(0, 6))
def test_no_other_choice_of_idle_workers_empties_more_hosts(hosts, count):
    workers = [
        view(f"{host}{number}", host, running=int(number < busy), pinned=number == idle + busy - 1 and pinned)
        for host, (idle, busy, pinned) in hosts.items()
        for number in range(idle + busy)
    ]
    free = [worker.name for worker in workers if not worker.running and not worker.pinned]
    count = min(count, len(free))
    best = max(emptied(workers, other) for other in combinations(free, count))
    assert emptied(workers, choose(workers, count)) == best


def test_a_host_that_cannot_become_empty_is_left_alone():
    workers = [view("a1", "a"), view("a2", "a", pinned=True), view("b1", "b"), view("b2", "b"), view("b3", "b")]
    assert choose(workers, 3) == ("b3", "b2", "b1")


def test_whole_hosts_become_empty():
    workers = [view("a1", "a", 1), view("a2", "a"), view("b1", "b"), view("b2", "b"), view("c1", "c", 2)]
    assert choose(workers, 2) == ("b2", "b1")


def test_the_one_with_least_done_goes_first():
    assert choose([view("a", running=1, elapsed=60), view("b", running=1, elapsed=2)], 1) == ("b",)


def test_the_one_with_least_to_hand_over_goes_first():
    assert choose([view("a", unique=9), view("b", unique=1), view("c", unique=5)], 2) == ("b", "c")
