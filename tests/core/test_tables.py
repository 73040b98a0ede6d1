"""What pages and programs are shown is what the ledger has, to the byte, and plain JSON."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.core import tables
from supreme_dask.core.axes import UNLIMITED
from supreme_dask.core.groups import WorkerGroup, group_of
from supreme_dask.core.plans import Plan, Target
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.snapshot import GroupView, Launch
from supreme_dask.core.timeline import Counts, Timeline, counts_of
from tests.core.clusters import GiB, cluster, join, task

GROUPS = ("small", "big")


def shown(admission, launching=(), draining=()):
    """Return a snapshot in which workers are named after their addresses."""
    views = tuple(GroupView(WorkerGroup(name, maximum=9), launching=tuple(launching)) for name in GROUPS)
    taken = admission.snapshot(
        7.0,
        lambda row: {
            "name": row.address,
            "group": group_of(row.address, GROUPS),
            "draining": row.address in draining,
        },
    )
    return replace(taken, groups=views)


def busy(demands, workers):
    admission = cluster()
    for number, (group, gibibytes, threads) in enumerate(workers):
        join(admission, f"{group}-{number}", gibibytes, threads)
    for number, (gibibytes, cores) in enumerate(demands):
        admission.arrive(task(number, gibibytes, type_=f"t{number % 3}", cpu=cores), float(number))
    admission.fill(7.0)
    return admission


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.5, 1, 3, 9]), st.integers(1, 4)), max_size=12),
    st.lists(st.tuples(st.sampled_from(["small", "big", "other"]), st.sampled_from([1, 4, 8]), st.integers(1, 4))),
    st.sampled_from([0, GiB // 4]),
)
def test_totals_are_the_sums_of_the_workers_and_parts_make_up_the_whole(demands, workers, burden):
    admission = busy(demands, workers)
    for row in admission.ledger.rows.values():
        admission.ledger.set_burden(row, burden)
    snapshot = shown(admission)
    rows = tables.workers(snapshot)
    for total in tables.totals(snapshot):
        name = total["resource"]
        members = [row for row in rows if total["group"] in ("*", row["group"])]
        assert total["capacity"] == sum(row["capacity"][name] for row in members)
        assert total["reserved"] == sum(row["reserved"][name] for row in members)
        if name == "memory":
            assert total["stored"] == sum(row["stored"] for row in members) == burden * len(members)
            assert total["free"] >= total["capacity"] - total["reserved"] - total["stored"]
    assert sum(row["running"] + row["behind"] for row in rows) == len(admission.ledger.reservations)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.5, 1, 3, 9]), st.integers(1, 4)), max_size=12))
def test_every_waiting_task_is_in_one_row_with_its_reason(demands):
    admission = busy(demands, [("small", 4, 2)])
    rows = tables.waiting(admission, {"small-0": "one"}, [], 7.0, 100)
    assert sum(row["tasks"] for row in rows) == len(admission.queues)
    assert all(row["why"] and row["cause"] and row["demand"]["memory"] for row in rows)
    assert tables.waiting(admission, {"small-0": "one"}, [], 7.0, 1) == rows[:1]


def test_a_row_is_json_as_every_language_reads_it():
    admission = busy([(1, 1), (9, 1)], [("small", 4, 2)])
    join(admission, "other-1", UNLIMITED / GiB)
    admission.finish(0, Measurement(1.0, memory=GiB), 7.0)
    snapshot, plan = shown(admission), Plan(3, (Target("small", 2, (), "because"),))
    said = [
        tables.workers(snapshot),
        tables.totals(snapshot),
        tables.groups(snapshot, plan),
        tables.waiting(admission, {}, [], 7.0, 9),
        list(tables.profiles(admission.kinds.profiles(), 9)),
    ]
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert tables.workers(snapshot)[0]["capacity"]["memory"] is None  # of no group, so it comes first


def test_workers_are_in_the_order_in_which_a_person_counts():
    admission = busy([], [("small", 1, 1)] * 11)
    names = [row["name"] for row in tables.workers(shown(admission))]
    assert names == [f"small-{number}" for number in range(11)]


def test_a_group_shows_what_is_there_on_its_way_in_and_on_its_way_out():
    admission = busy([], [("small", 1, 1)] * 3 + [("other", 1, 1)])
    snapshot = shown(admission, launching=[Launch("", 9.0)], draining={"small-2"})
    small, big, others = tables.groups(snapshot, Plan(1, (Target("small", 3, ("small-2",), "because"),)))
    counts = {"wanted": 3, "there": 2, "starting": 1, "draining": 1, "reason": "because", "maximum": 9}
    assert counts.items() <= small.items()
    assert big["wanted"] is None
    assert others == {"group": "", "there": 1}


def test_profiles_are_of_those_that_ran_most_often():
    admission = busy([], [("small", 4, 4)])
    for name, runs in (("seldom", 1), ("often", 3), ("never", 0)):
        for _ in range(runs):
            admission.kinds.learn(name, Measurement(2.0, memory=GiB))
        admission.kinds[name]
    found = list(tables.profiles(admission.kinds.profiles(), 5))
    assert [(row["type"], row["runs"]) for row in found] == [("often", 3), ("seldom", 1)]
    assert (found[0]["seconds"], found[0]["memory_high"]) == (2.0, GiB)
    assert len(list(tables.profiles(admission.kinds.profiles(), 1))) == 1


# -------------------------------------------------------------------------------------- timeline
def test_a_timeline_keeps_changes_and_ends_the_course_of_a_group_that_is_gone():
    timeline = Timeline()
    timeline.note({"small": Counts(1, 0, 1, 0)}, 0.0)
    timeline.note({"small": Counts(1, 0, 1, 0)}, 1.0)
    timeline.note({}, 2.0)
    timeline.note({}, 3.0)
    assert timeline.changes() == [(0.0, "small", Counts(1, 0, 1, 0)), (2.0, "small", Counts(0, 0, 0, 0))]


def test_a_timeline_is_bounded():
    timeline = Timeline()
    for number in range(10_000):
        timeline.note({"small": Counts(number, 0, 0, 0)}, float(number))
        timeline.tell(f"decision {number}", float(number))
    assert timeline.changes()[-1][2].wanted == 9999
    assert len(timeline.changes()) == 2000
    assert len(timeline.decisions()) == 100


def test_counts_are_those_of_the_table():
    admission = busy([], [("small", 1, 1)] * 3)
    snapshot = shown(admission, launching=[Launch("", 9.0)], draining={"small-2"})
    plan = Plan(1, (Target("small", 3, ("small-2",), "because"),))
    assert counts_of(snapshot, plan)["small"] == Counts(3, 2, 1, 1)
