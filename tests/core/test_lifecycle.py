"""One table of workers, on which the plan and the controllers agree."""

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.lifecycle import Life, Lifecycle, Status
from supreme_dask.core.plans import Plan, Progress

SMALL = WorkerGroup("small", startup=1)
GROUPS = {"small": SMALL}


def told(workers=(), *, name="a", life="first", term=1):
    return {name: Progress(name, dict.fromkeys(workers, "small"), life=life, term=term)}


def reported(*names, now=0.0):
    lifecycle = Lifecycle(timeout=60)
    lifecycle.report(told(names))
    lifecycle.look(set(), GROUPS, now)
    return lifecycle


def lives(lifecycle, *joined, draining=()):
    return lifecycle.lives(dict.fromkeys(joined, "small"), draining)


def plan(lifecycle, *joined):
    return lifecycle.complete(Plan(1, ()), lives(lifecycle, *joined))


def test_each_has_one_status():
    lifecycle = reported("small-0", "small-1", "small-2", "small-3", "small-4")
    lifecycle.look({"small-1", "small-2", "small-3"}, GROUPS, 1.0)
    lifecycle.drained("small-2")
    lifecycle.look({"small-2", "small-3"}, GROUPS, 2.0)
    statuses = {
        name: one.status for name, one in lives(lifecycle, *("small-2", "small-3"), draining=["small-3"]).items()
    }
    assert statuses == {
        "small-0": Status.STARTING,
        "small-1": Status.LOST,
        "small-2": Status.REMOVABLE,
        "small-3": Status.DRAINING,
        "small-4": Status.STARTING,
    }


def test_one_that_is_late_is_abandoned_and_removed_by_its_controller():
    lifecycle = reported("small-0")
    assert lifecycle.expire(60.0)
    assert lives(lifecycle)["small-0"] == Life("small-0", "small", Status.ABANDONED, "a", is_led=True)
    assert plan(lifecycle).removable == ("small-0",)


def test_workers_of_no_controller_and_of_one_that_launches_no_more_are_named_as_others():
    lifecycle = reported("small-0")
    lifecycle.report(told(["small-1"], name="b", term=2))
    assert plan(lifecycle, "small-0", "small-mine").others == {"small-0": "small", "small-mine": "small"}
    assert plan(lifecycle).heard == 2


def test_what_a_controller_has_forgotten_counts_until_it_is_late():
    lifecycle = reported("small-0")
    lifecycle.report(told(life="second", term=2))
    assert lifecycle.look(set(), GROUPS, 1.0) == []
    assert plan(lifecycle).others == {"small-0": "small"}
    assert lifecycle.expire(60.0)
    lifecycle.look(set(), GROUPS, 60.0)
    assert not lives(lifecycle)


def test_what_a_controller_has_forgotten_and_has_joined_is_counted_once():
    lifecycle = reported("small-0")
    lifecycle.report(told(life="second", term=2))
    lifecycle.launches.joined("small", "small-0")
    lifecycle.look({"small-0"}, GROUPS, 1.0)
    assert lives(lifecycle, "small-0") == {"small-0": Life("small-0", "small", Status.JOINED)}
    assert not lives(lifecycle)


def test_one_that_the_same_process_reports_no_more_has_ended():
    lifecycle = reported("small-0")
    lifecycle.report(told())
    (sentence,) = lifecycle.look(set(), GROUPS, 1.0)
    assert "small-0 ended before joining" in sentence
    assert not lives(lifecycle)


def test_one_that_may_be_removed_and_whose_controller_is_gone_is_for_the_scheduler_to_end():
    lifecycle = reported("small-0")
    lifecycle.drained("small-0")
    assert lifecycle.unclaimed({"small-0"}) == []
    lifecycle.report(told(name="b", term=2), complete=True)
    assert lifecycle.unclaimed({"small-0"}) == ["small-0"]
