from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core import draining
from supreme_dask.core.draining import Drain, Facts, advance

INFINITY = float("inf")
facts = st.builds(
    Facts,
    now=st.floats(0, 100),
    present=st.booleans() | st.just(True),
    running=st.integers(0, 2),
    unique=st.integers(0, 2),
    bound=st.just("") | st.just("work for it alone came"),
    moved=st.sampled_from([None, True, False]),
)


def drain(deadline=INFINITY):
    return Drain("tcp://a:1", "small-1", "nothing to do", deadline)


def run(seen, one=None):
    """Return the last state and what was done at each step."""
    one, acts = one or drain(), []
    for seen_now in seen:
        one, act = advance(one, seen_now)
        acts.append(act)
    return one, acts


@given(st.lists(facts, max_size=20), st.floats(0, 100))
def test_it_is_removed_only_when_nothing_runs_and_nothing_is_held_by_it_alone(seen, deadline):
    one = drain(deadline)
    for now in seen:
        one, act = advance(one, now)
        if act == "remove":
            assert now.present
            assert now.moved
            assert not now.running
            assert not now.unique
            assert not now.bound


@given(st.lists(facts, max_size=20), st.floats(0, 100))
def test_what_has_ended_stays_ended_and_is_done_once(seen, deadline):
    ended, acts = run(seen, drain(deadline))
    assert acts.count("remove") <= 1
    assert acts.count("open") <= 1
    assert acts.count("cut") <= 1
    assert not ("remove" in acts and "open" in acts)
    if ended.state in draining.ENDED:
        assert run(seen, ended) == (ended, [None] * len(seen))


@given(st.lists(facts, max_size=20))
def test_every_drain_comes_to_an_end_when_its_worker_is_left_in_peace(seen):
    one, _ = run(seen)
    quiet = [Facts(1000.0), Facts(1001.0, moved=True), Facts(1002.0, moved=True), Facts(1003.0, present=False)]
    assert run(quiet, one)[0].state in draining.ENDED


def test_a_worker_with_work_ends_it_hands_over_and_leaves():
    one, acts = run([Facts(0, running=2, unique=3), Facts(1, unique=5), Facts(2, unique=2), Facts(3, moved=True)])
    assert acts == [None, "move", None, "remove"]
    assert one.state == "leaving"


def test_a_result_that_comes_while_others_are_copied_is_waited_for():
    one, acts = run([Facts(0), Facts(1, unique=1, moved=True), Facts(2, unique=1), Facts(3, moved=True)])
    assert acts == ["move", None, "move", "remove"]
    assert one.state == "leaving"


def test_after_the_deadline_tasks_that_may_run_again_are_cut_once():
    _, acts = run([Facts(4, running=1), Facts(5, running=2), Facts(6, running=1), Facts(7)], drain(deadline=5))
    assert acts == [None, "cut", None, "move"]


def test_a_worker_that_is_wanted_after_all_says_why():
    one, acts = run([Facts(0, running=1), Facts(1, running=1, bound="demand returned")])
    assert (one.state, one.reason, acts[-1]) == ("kept", "demand returned", "open")


def test_one_whose_results_nobody_can_take_is_kept():
    one, acts = run([Facts(0, unique=1), Facts(1, unique=1, moved=False)])
    assert (one.state, acts[-1]) == ("kept", "open")
    assert "no other worker" in one.reason


def test_who_was_told_to_go_is_not_had_back():
    one, _ = run([Facts(0), Facts(1, moved=True), Facts(2, bound="too late")])
    assert one.state == "leaving"
