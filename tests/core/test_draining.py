from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core import draining
from supreme_dask.core.draining import TRANSITIONS, Drain, Facts, advance, must_be_stored

INFINITY = float("inf")
origins = st.sampled_from(["plan", "person", "notice"])
facts = st.builds(
    Facts,
    now=st.floats(0, 100),
    present=st.booleans() | st.just(True),
    running=st.integers(0, 2),
    unique=st.integers(0, 2),
    bound=st.just("") | st.just("work for it alone came"),
    takers=st.booleans(),
)


def drain(deadline=INFINITY, origin="plan"):
    return Drain("tcp://a:1", "small-1", "nothing to do", deadline, origin)


def run(seen, one=None):
    """Return the last state and what was done at each step."""
    one, acts = one or drain(), []
    for seen_now in seen:
        one, act = advance(one, seen_now)
        acts.append(act)
    return one, acts


@given(st.lists(facts, max_size=20), st.floats(0, 100), origins)
def test_it_is_removed_only_when_nothing_runs_and_nothing_is_held_by_it_alone(seen, deadline, origin):
    one = drain(deadline, origin)
    for now in seen:
        before, (one, act) = one, advance(one, now)
        if act == "remove":
            assert before.state == "moving"
            assert now.present
            assert not now.running
            assert not now.unique
            assert not now.bound or origin == "notice"


@given(st.lists(facts, max_size=20), st.floats(0, 100), origins)
def test_what_has_ended_stays_ended_and_is_done_once(seen, deadline, origin):
    ended, acts = run(seen, drain(deadline, origin))
    assert acts.count("cordon") <= 1
    assert acts.count("remove") <= 1
    assert acts.count("open") <= 1
    assert acts.count("cut") <= 1
    assert not ("remove" in acts and "open" in acts)
    if ended.state in draining.ENDED:
        assert run(seen, ended) == (ended, [None] * len(seen))


def test_what_comes_in_between_when_it_is_late_is_cut_as_well():
    late = Facts(100.0, running=1)
    _, acts = run([Facts(0.0), Facts(0.0), late, late], drain(deadline=50.0))
    assert acts == ["cordon", "move", None, "cut"]


@given(st.lists(facts, max_size=20), origins)
def test_every_drain_comes_to_an_end_when_its_worker_is_left_in_peace(seen, origin):
    one, _ = run(seen, drain(origin=origin))
    quiet = [Facts(1000.0 + number) for number in range(4)]
    assert run([*quiet, Facts(1005.0, present=False)], one)[0].state in draining.ENDED


@given(st.lists(facts, max_size=20), st.floats(0, 100))
def test_one_that_was_given_notice_is_never_kept(seen, deadline):
    one, acts = run(seen, drain(deadline, "notice"))
    assert one.state != "kept"
    assert "open" not in acts


@given(facts, st.sampled_from(sorted({state for state, _ in TRANSITIONS})), origins)
def test_every_step_by_which_something_may_be_lost_is_stored_first(seen, state, origin):
    before = Drain("tcp://a:1", "small-1", "nothing to do", 50.0, origin, state)
    after, act = advance(before, seen)
    if act in ("cordon", "cut", "remove"):
        assert must_be_stored(before, after) == (origin != "notice")
    if after.state in draining.ENDED:
        assert not must_be_stored(before, after)


def test_a_worker_with_work_ends_it_hands_over_and_leaves():
    one, acts = run([Facts(0), Facts(1, running=2), Facts(2), Facts(3, unique=5), Facts(4, unique=2), Facts(5)])
    assert acts == ["cordon", None, "move", "move", "move", "remove"]
    assert one.state == "leaving"


def test_a_task_that_comes_while_others_copy_is_waited_for():
    one, acts = run([Facts(0), Facts(1), Facts(2, running=1), Facts(3), Facts(4, unique=1), Facts(5)])
    assert acts == ["cordon", "move", None, "move", "move", "remove"]
    assert one.state == "leaving"


def test_after_the_deadline_tasks_that_may_run_again_are_cut_once():
    seen = [Facts(3), Facts(4, running=1), Facts(5, running=2), Facts(6, running=1), Facts(7)]
    assert run(seen, drain(deadline=5))[1] == ["cordon", None, "cut", None, "move"]


def test_a_worker_that_is_wanted_after_all_says_why():
    one, acts = run([Facts(0, running=1), Facts(1, running=1, bound="demand returned")])
    assert (one.state, one.reason, acts[-1]) == ("kept", "demand returned", "open")


def test_one_whose_results_nobody_can_take_is_kept():
    one, acts = run([Facts(0), Facts(1, unique=1, takers=False), Facts(2, unique=1, takers=False)])
    assert (one.state, acts[-1]) == ("kept", "open")
    assert "no other worker" in one.reason


def test_one_with_notice_waits_for_somebody_who_takes_its_results():
    one, acts = run([Facts(0), Facts(1), Facts(2, unique=1, takers=False), Facts(3)], drain(origin="notice"))
    assert (one.state, acts) == ("leaving", ["cordon", "move", "move", "remove"])


def test_one_with_notice_hands_over_while_its_tasks_run():
    _, acts = run([Facts(0), Facts(1, running=1), Facts(9, running=1), Facts(10, running=1)], drain(9, "notice"))
    assert acts == ["cordon", "move", "cut", "move"]


def test_who_was_told_to_go_is_not_had_back():
    one, _ = run([Facts(0), Facts(1), Facts(2), Facts(3, bound="too late")])
    assert one.state == "leaving"
