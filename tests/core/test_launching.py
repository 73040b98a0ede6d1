"""Workers that were asked for: they come, or they are given up."""

from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.launching import Launches

SMALL = WorkerGroup("small", startup=10)
GROUPS = {"small": SMALL}


def asked(count, now=0.0):
    launches = Launches(timeout=60)
    launches.want(SMALL, count, now)
    return launches


@given(st.lists(st.integers(0, 20), min_size=1))
def test_a_plan_says_how_many_are_on_the_way_in_all(counts):
    launches = Launches(timeout=60)
    for count in counts:
        launches.want(SMALL, count, 0.0)
    assert len(launches.of("small")) == counts[-1]


def test_who_joins_is_on_the_way_no_more():
    launches = asked(2)
    launches.joined("small", "small-0")
    assert len(launches.of("small")) == 1


def test_the_one_that_joins_takes_its_own_name_off():
    launches = asked(2)
    launches.report({"small-7": "small"}, set(), GROUPS, 1.0)
    launches.joined("small", "small-7")
    assert [launch.name for launch in launches.of("small")] == [""]


def test_one_that_is_late_is_given_up_and_its_group_waits_longer_each_time():
    launches = asked(1)
    assert launches.expire(59.9) == []
    (sentence,) = launches.expire(60.0)
    assert "1 worker of small was asked for and did not join" in sentence
    assert "10 s" in sentence
    assert launches.blocked("small", 69.9)
    assert not launches.blocked("small", 70.0)
    launches.want(SMALL, 1, 70.0)
    (sentence,) = launches.expire(130.0)
    assert "20 s" in sentence


def test_a_blocked_group_is_asked_for_nobody():
    launches = asked(1)
    assert launches.refuse("small", "no such image", 1.0)
    assert not launches.refuse("small", "no such image", 2.0)
    launches.want(SMALL, 5, 3.0)
    assert launches.of("small") == ()
    assert launches.blocked("small", 3.0) == "no such image"


def test_when_one_joins_its_group_is_asked_for_more_at_once():
    launches = asked(1)
    launches.refuse("small", "quota", 1.0)
    launches.joined("small", "small-0")
    assert not launches.blocked("small", 2.0)


def test_a_slow_group_has_three_times_its_startup():
    launches = Launches(timeout=60)
    launches.want(WorkerGroup("gpu", startup=300), 1, 0.0)
    assert launches.expire(899.0) == []
    assert launches.expire(900.0)


def test_one_that_exists_and_never_joins_may_be_removed():
    launches = asked(1)
    launches.report({"small-0": "small"}, set(), GROUPS, 1.0)
    launches.expire(60.0)
    assert launches.abandoned == {"small-0"}
    launches.report({"small-0": "small"}, set(), GROUPS, 61.0)
    assert launches.of("small") == ()
    launches.report({}, set(), GROUPS, 62.0)
    assert not launches.abandoned


def test_those_that_exist_already_are_on_the_way_to_a_scheduler_that_begins():
    launches = Launches(timeout=60)
    launches.report({"small-0": "small", "small-1": "small", "other-0": "other"}, {"small-1"}, GROUPS, 0.0)
    assert [launch.name for launch in launches.of("small")] == ["small-0"]
    launches.want(SMALL, 0, 0.0)
    assert len(launches.of("small")) == 1


def test_one_that_ends_before_it_joins_has_failed():
    launches = asked(1)
    launches.report({"small-0": "small"}, set(), GROUPS, 1.0)
    (sentence,) = launches.report({}, set(), GROUPS, 2.0)
    assert "small-0 ended before joining" in sentence
    assert launches.blocked("small", 3.0)


def test_one_that_crashes_later_has_not_failed_to_start():
    launches = asked(1)
    launches.joined("small", "small-0")
    launches.report({"small-0": "small"}, set(), GROUPS, 1.0)
    assert launches.report({}, set(), GROUPS, 2.0) == []
    assert not launches.blocked("small", 3.0)


def test_one_whose_process_lives_on_is_on_its_way_again_and_has_not_failed_to_start():
    launches = Launches(timeout=60)
    launches.report({"small-0": "small"}, {"small-0"}, GROUPS, 0.0)
    launches.report({"small-0": "small"}, set(), GROUPS, 1.0)
    assert [launch.name for launch in launches.of("small")] == ["small-0"]
    assert launches.report({}, set(), GROUPS, 2.0) == []
    assert not launches.blocked("small", 3.0)


def test_who_came_while_nobody_looked_is_not_given_up():
    launches = asked(1)
    launches.report({"small-0": "small"}, set(), GROUPS, 1.0)
    launches.report({"small-0": "small"}, {"small-0"}, GROUPS, 59.0)
    assert launches.expire(60.0) == []
    assert not launches.abandoned


def test_nobody_is_given_up_who_was_on_the_way_to_a_group_that_is_there_no_more():
    launches = asked(2)
    launches.report({"small-0": "small"}, set(), GROUPS, 1.0)
    launches.report({"small-0": "small"}, set(), {}, 2.0)
    assert launches.expire(60.0) == []
    assert not launches.abandoned


def test_one_that_came_under_a_name_that_says_no_group_is_on_the_way_no_more():
    launches = asked(2)
    launches.report({"0": "small", "1": "small"}, {"0", "1"}, GROUPS, 1.0)
    assert launches.of("small") == ()
