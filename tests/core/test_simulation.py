import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.instructions import Settings
from supreme_dask.core.plans import Plan, Target
from supreme_dask.core.policies import DEFAULT_POLICY, read_policy
from supreme_dask.core.resources import Resources
from supreme_dask.core.scaling import Scaling
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.replay import Replay, simulate
from supreme_dask.core.simulation.traces import Job

MiB = 2**20
GiB = 2**30
PLAIN = Conditions(usable=1.0, base=0, terminate=1.0)
"""All of a worker's memory is for tasks."""


def job(key, duration=10.0, arrival=0.0, *, declared=MiB, **known):
    demand = Resources.of({"memory": declared}) if declared is not None else None
    return Job(str(key), known.pop("type_", "load"), arrival, duration, demand, **known)


def many(count, **known):
    return [job(number, **known) for number in range(count)]


def group(name="small", **known):
    return WorkerGroup(name, **{"memory": "1 GiB", "count": 1, "startup": 5.0, **known})


def default():
    return Scaling(read_policy(DEFAULT_POLICY))


class Script:
    """Wants so many workers at certain times, and lets the named ones go."""

    def __init__(self, *acts):
        self._acts = acts
        self._generation = 0

    def plan(self, snapshot):
        due = [act for act in self._acts if act[0] <= snapshot.now]
        _, workers, *victims = due[-1]
        name = snapshot.groups[0].group.name
        return Plan(len(due), (Target(name, workers, tuple(victims), "it is in the script"),))


def rules(**documents):
    return Scaling(read_policy(documents))


@pytest.mark.parametrize(
    ("groups", "planner"),
    [
        ([group(count=0, maximum=0)], default),
        ([group(count=0)], lambda: rules(rest={"kind": "idle"})),
        ([group(count=0)], lambda: rules(work={"kind": "demand"}, limit={"kind": "budget", "total": 0})),
        ([group(count=0)], lambda: None),
        ([], lambda: None),
        ([group(count=1, memory="1 MiB")], default),
    ],
)
@pytest.mark.parametrize("follows", [(), ("0",)])
def test_it_ends_where_nothing_can_ever_run(groups, planner, follows):
    jobs = [job(0, declared=GiB // 2), job(1, after=follows)]
    outcome = simulate(jobs, groups, planner(), conditions=PLAIN)
    assert "0" in outcome.unmet
    assert outcome.finished < 2


def test_time_in_which_there_is_nothing_to_do_is_skipped():
    jobs = [job(0), job(1, arrival=1e7)]
    short = simulate([job(0), job(1, arrival=1e5)], [group(count=0)], default(), conditions=PLAIN)
    long = simulate(jobs, [group(count=0)], default(), conditions=PLAIN)
    assert long.finished == short.finished == 2
    assert (long.launched, long.removed) == (short.launched, short.removed)
    assert long.usage.cost == pytest.approx(short.usage.cost, rel=0.01)
    assert long.evaluations < short.evaluations + 1e7 / 3000


def test_a_schedule_is_kept_however_long_there_is_nothing_to_do():
    night = {"kind": "schedule", "from": "02:00", "to": "02:10", "minimum": {"small": 1}}
    policy = {"work": {"kind": "demand"}, "rest": {"kind": "idle"}, "night": night}
    outcome = simulate([job(0), job(1, arrival=86_000.0)], [group(count=0)], rules(**policy), conditions=PLAIN)
    assert any(abs(event.time - 7200) <= 61 for event in outcome.scale_events if event.after)


# ------------------------------------------------------------------------------------ by hand
def test_tasks_of_one_thread_go_one_after_another():
    outcome = simulate(many(3), [group(cost=36.0)], conditions=PLAIN)
    assert outcome.makespan == 30.0
    assert (outcome.waiting.mean, outcome.waiting.p50, outcome.waiting.longest) == (10.0, 10.0, 20.0)
    assert outcome.usage.cost == pytest.approx(0.3)  # 30 s at 36 an hour
    assert outcome.usage.utilised == pytest.approx(1.0)


def test_a_worker_that_is_asked_for_is_there_after_its_startup_and_paid_from_the_start():
    outcome = simulate(many(1), [group(count=0, cost=36.0)], Script((0, 1)), PLAIN)
    assert outcome.makespan == 15.0
    assert outcome.usage.cost == pytest.approx(0.15)
    assert [(event.time, event.before, event.after) for event in outcome.scale_events] == [(0.0, 0, 1)]


def test_startup_times_that_were_measured_count_in_their_order():
    measured = dataclasses.replace(PLAIN, startups={"small": (2.0, 7.0)})
    outcome = simulate(many(2), [group(count=0)], Script((0, 2)), measured)
    assert outcome.makespan == 17.0


def test_a_task_starts_when_those_it_takes_results_of_have_ended():
    jobs = [job("a"), job("b", 4.0), job("c", after=("a", "b"))]
    assert simulate(jobs, [group(cpu=4)], conditions=PLAIN).makespan == 20.0


def test_what_a_worker_lacks_of_the_inputs_is_fetched():
    slow = dataclasses.replace(PLAIN, bandwidth=10 * MiB)
    assert simulate([job("a", inputs=20 * MiB)], [group()], conditions=slow).makespan == 12.0
    chain = [job("a"), job("b", inputs=20 * MiB, after=("a",))]
    assert simulate(chain, [group()], conditions=slow).makespan == 20.0


def test_a_busy_worker_that_is_let_go_ends_its_task_first():
    outcome = simulate(many(2), [group(count=2)], Script((0, 2), (3, 1, "small-1")), PLAIN)
    assert (outcome.makespan, outcome.reruns, outcome.removed) == (10.0, 0, 1)


def test_who_is_wanted_again_takes_tasks_again():
    jobs = [job("a"), job("b"), job("c", 10.0, 5.0)]
    script = Script((0, 2), (3, 1, "small-1"), (5, 2))
    outcome = simulate(jobs, [group(count=2)], script, PLAIN)
    assert (outcome.makespan, outcome.removed, outcome.launched) == (20.0, 0, 0)


# -------------------------------------------------------------------------- kills, deaths, notice
def test_tasks_that_take_more_than_they_say_are_killed_and_run_alone_next():
    jobs = many(2, declared=400 * MiB, memory=700 * MiB)
    outcome = simulate(jobs, [group(cpu=2)], conditions=PLAIN)
    killed_at = 1024 / 140  # both together gain 140 MiB a second
    assert (outcome.kills, outcome.reruns, outcome.finished) == (1, 2, 2)
    assert outcome.makespan == pytest.approx(killed_at + PLAIN.restart + 20.0)


def test_a_task_that_no_worker_can_hold_fails_and_what_depends_on_it_never_runs():
    jobs = [job("huge", memory=2 * GiB), job("after", after=("huge",)), job("later", after=("after",)), job("other")]
    outcome = simulate(jobs, [group()], conditions=PLAIN)
    assert list(outcome.failed) == ["huge"]
    assert "more memory than any worker has" in outcome.failed["huge"]
    assert outcome.unmet == ("after", "later")
    assert outcome.finished == 1


def test_sizes_are_learned_so_that_undeclared_tasks_share_workers():
    jobs = [job(number, declared=None, memory=100 * MiB) for number in range(40)]
    outcome = simulate(jobs, [group(cpu=8)], conditions=PLAIN)
    assert outcome.kills == 0
    assert outcome.makespan < 40 * 10 / 4


def test_workers_that_die_are_replaced_and_their_tasks_run_again():
    conditions = dataclasses.replace(PLAIN, failures=60.0)
    outcome = simulate(many(100), [group(count=4)], conditions=conditions)
    assert outcome.finished == 100
    assert outcome.failures > 0
    assert outcome.reruns > 0
    assert outcome.launched >= outcome.failures


def test_notice_long_enough_to_end_what_runs_loses_nothing():
    spot = group(count=4, interruptions=60.0)
    without = simulate(many(100), [spot], conditions=PLAIN)
    noticed = simulate(many(100), [spot], conditions=dataclasses.replace(PLAIN, notice=30.0))
    assert without.reruns > 0
    assert noticed.interruptions > 0
    assert noticed.reruns == 0


def test_one_that_was_given_notice_is_replaced_while_it_ends_what_it_runs():
    spot = group(startup=60.0, interruptions=1.0)
    outcome = simulate(many(4, duration=1000.0), [spot], conditions=dataclasses.replace(PLAIN, notice=900.0))
    assert outcome.interruptions > 0
    assert outcome.makespan <= 4000.0  # nobody waits for the other to start


def test_what_can_never_run_ends_the_simulation_and_is_reported():
    outcome = simulate([job("a"), job("b", declared=64 * GiB)], [group()], default(), PLAIN)
    assert outcome.unmet == ("b",)
    assert outcome.makespan == 10.0
    assert "memory 64.00 GiB" in outcome.unhosted[0]


def test_without_scaling_it_is_told_what_those_wait_for_that_never_run():
    outcome = simulate([job("a"), job("b", declared=64 * GiB)], [group()], conditions=PLAIN)
    assert outcome.unmet == ("b",)
    assert outcome.unhosted == (
        "tasks 'load' wait for a larger worker: they need memory 64.00 GiB, the largest worker has 1.00 GiB",
    )


def test_a_task_for_which_no_worker_came_fails_if_the_operator_says_so():
    impatient = dataclasses.replace(PLAIN, settings=Settings(infeasible_timeout=30.0))
    assert list(simulate([job("b", declared=64 * GiB)], [group()], conditions=impatient).failed) == ["b"]


def test_no_jobs_take_no_time():
    outcome = simulate([], [group()])
    assert (outcome.makespan, outcome.usage.cost, outcome.tasks) == (0.0, 0.0, 0)


# ------------------------------------------------------------------------------------ with scaling
def test_a_burst_is_met_and_the_workers_leave_when_it_is_over():
    outcome = simulate(many(40, duration=60.0), [group(count=0, cpu=2, maximum=10)], default(), PLAIN)
    assert outcome.finished == 40
    assert max(event.after for event in outcome.scale_events) == 10
    assert outcome.reruns == 0


def test_the_cheaper_of_two_groups_that_fit_is_chosen():
    groups = [group("dear", count=0, cost=9.0), group("cheap", count=0, cost=1.0)]
    outcome = simulate(many(10, duration=60.0), groups, default(), PLAIN)
    assert outcome.usage.worker_hours["dear"] == 0.0
    assert outcome.usage.worker_hours["cheap"] > 0.0


def test_more_workers_never_make_parallel_work_slower():
    spans = [
        simulate(many(60), [group(count=count)], conditions=PLAIN).makespan for count in (1, 2, 3, 7, 20, 60, 90)
    ]
    assert spans == [math.ceil(60 / count) * 10.0 for count in (1, 2, 3, 7, 20, 60, 90)]


# -------------------------------------------------------------------------------------- properties
jobs_of_all_kinds = st.lists(
    st.builds(
        lambda arrival, duration, declared, peak, kind: job(
            0, duration, arrival, declared=declared, memory=peak, type_=kind
        ),
        arrival=st.floats(0, 100),
        duration=st.sampled_from([0.0, 0.001, 0.5, 10.0, 70.0]),
        declared=st.one_of(st.none(), st.integers(0, 3 * GiB)),
        peak=st.one_of(st.none(), st.integers(0, 3 * GiB)),
        kind=st.sampled_from("ab"),
    ),
    max_size=30,
).map(lambda jobs: [dataclasses.replace(one, key=str(number)) for number, one in enumerate(jobs)])
worlds = st.builds(
    Conditions,
    seed=st.integers(0, 5),
    failures=st.sampled_from([0.0, 30.0]),
    notice=st.sampled_from([0.0, 20.0]),
    spread=st.sampled_from([0.0, 0.5]),
)
GROUPS = [group(count=1, cpu=2, maximum=4), group("spot", count=0, memory="4 GiB", interruptions=30.0, maximum=3)]


@settings(max_examples=60, deadline=None)
@given(jobs_of_all_kinds, worlds)
def test_no_worker_is_ever_given_more_than_it_has(jobs, world):
    replay = Replay(jobs, GROUPS, default(), world)
    for _ in range(400):
        if not (replay.tasks.unended and replay.agenda):
            break
        replay.step()
        for row in replay.admission.ledger.rows.values():
            assert min(row.free) >= 0


@settings(max_examples=60, deadline=None)
@given(jobs_of_all_kinds, worlds)
def test_every_task_ends_once_or_is_reported(jobs, world):
    outcome = simulate(jobs, GROUPS, default(), world)
    assert outcome.finished + len(outcome.failed) + len(outcome.unmet) == outcome.tasks == len(jobs)
    assert not set(outcome.failed) & set(outcome.unmet)


@settings(max_examples=30, deadline=None)
@given(jobs_of_all_kinds, worlds)
def test_equal_seeds_give_equal_outcomes(jobs, world):
    assert simulate(jobs, GROUPS, default(), world) == simulate(jobs, GROUPS, default(), world)


@settings(max_examples=30, deadline=None)
@given(jobs_of_all_kinds)
def test_scaling_down_runs_nothing_twice(jobs):
    calm = [dataclasses.replace(one, memory=None) for one in jobs]
    steady = [group(count=1, cpu=2, maximum=4), group("large", count=0, memory="4 GiB", maximum=3)]
    assert simulate(calm, steady, default(), Conditions()).reruns == 0
