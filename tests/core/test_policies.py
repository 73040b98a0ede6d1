"""What each rule proposes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.policies import DEFAULT_POLICY, read_policy
from supreme_dask.core.policies.idle import Regret
from supreme_dask.core.scaling import Scaling
from supreme_dask.errors import PolicyError
from supreme_dask.stores import schemas
from tests.core.systems import group, high, system, targets, victims, view, waiting, worker

GiB = 2**30
SMALL = group(cost=1.0, startup=5.0)
LARGE = group("large", cpu=8, gibibytes=32, cost=5.0, startup=5.0)
GPU = group("gpu", cpu=4, gibibytes=16, cost=20.0, startup=5.0, resources={"GPU": 1})


def scaling(**rules):
    return Scaling(schemas.policy(rules))


def default(**groups_and_more):
    return Scaling(read_policy(DEFAULT_POLICY)).plan(system(**groups_and_more))


# ------------------------------------------------------------------------------------------ demand
def test_a_burst_gets_as_many_as_do_it_in_time():
    # 80 tasks of 1 s on workers of 2 cores, to be done in 5 s.
    plan = default(groups=[view(SMALL)], shapes=[waiting(80, duration=1.0)])
    assert targets(plan) == {"small": 8}
    assert plan.targets[0].reason == "for 80 waiting tasks of load"


def test_long_tasks_get_a_place_each():
    assert targets(default(groups=[view(SMALL)], shapes=[waiting(7, duration=100.0)])) == {"small": 4}


def test_many_types_that_need_the_same_are_as_one():
    groups = [view(SMALL), view(LARGE)]
    one = default(groups=groups, shapes=[waiting(300, duration=100.0)])
    many = [waiting(1, type_=f"load-{number}", duration=100.0) for number in range(300)]
    assert targets(default(groups=groups, shapes=many)) == targets(one)


def test_only_a_group_that_can_host_them_is_launched():
    plan = default(groups=[view(SMALL), view(LARGE), view(GPU)], shapes=[waiting(2, duration=60.0, GPU=1)])
    assert targets(plan) == {"small": 0, "large": 0, "gpu": 2}
    plan = default(groups=[view(SMALL), view(LARGE), view(GPU)], shapes=[waiting(3, duration=60.0, memory="9 GiB")])
    assert targets(plan) == {"small": 0, "large": 1, "gpu": 0}


def test_what_no_group_could_host_is_told_and_launches_nothing():
    plan = default(groups=[view(SMALL), view(GPU)], shapes=[waiting(5, type_="train", GPU=2)])
    assert targets(plan) == {"small": 0, "gpu": 0}
    assert plan.unmet == (
        "tasks 'train' can run on no worker of any group: they need GPU 2, the most that one has is 1",
    )


def test_a_resource_that_no_worker_has_is_told_with_the_one_that_was_meant():
    (sentence,) = default(groups=[view(SMALL), view(GPU)], shapes=[waiting(1, type_="train", cpus=2)]).unmet
    assert sentence == "tasks 'train' can run on no worker of any group: none declares 'cpus' (did you mean 'cpu'?)"


def test_of_many_that_no_group_could_host_each_sort_is_said_once_and_few_by_name():
    shapes = [waiting(1, type_="train", memory=f"{100 + number} GiB") for number in range(4000)]
    assert len(default(groups=[view(SMALL)], shapes=shapes).unmet) == 1
    shapes = [waiting(1, type_=f"train-{number}", memory="100 GiB") for number in range(4000)]
    plan = default(groups=[view(SMALL)], shapes=[*shapes, waiting(1)])
    assert len(plan.unmet) == 21
    assert plan.unmet[-1] == "tasks of more than 1,000 other types can run on no worker either"
    assert targets(plan) == {"small": 1}


def test_what_is_said_of_it_does_not_change_with_every_byte_that_a_worker_has_less():
    one, huge = Scaling(read_policy(DEFAULT_POLICY)), [waiting(1, memory="90 GiB")]
    plans = [one.plan(system([view(group(gibibytes=size))], shapes=huge)) for size in (8, 7.9, 7.8, 32)]
    said = [plan.unmet[0].rpartition("has is ")[2] for plan in plans]
    assert said[0] == said[1] == said[2]
    assert said[0] != said[3]


def test_one_that_outgrew_a_small_worker_and_runs_alone_next_gets_a_large_one():
    shapes = [waiting(1, memory="6 GiB", measured=False)]
    plan = default(groups=[view(SMALL), view(LARGE)], workers=[worker("small-0", SMALL)], shapes=shapes)
    assert targets(plan)["large"] == 1


def test_what_certain_workers_only_may_run_launches_nothing():
    assert targets(default(groups=[view(SMALL)], shapes=[waiting(9, bound=True)])) == {"small": 0}


def test_those_on_their_way_are_counted():
    plan = default(groups=[view(SMALL, launching=3)], shapes=[waiting(8, duration=60.0)])
    assert targets(plan) == {"small": 4}


def test_nobody_is_launched_who_would_arrive_to_nothing():
    # Two workers of two cores do 8 tasks of 2 s in 4 s; a further one would take 5 s to start.
    busy = [worker(f"small-{number}", SMALL, running=2, remaining=1.0) for number in range(2)]
    assert targets(default(groups=[view(SMALL)], workers=busy, shapes=[waiting(8, duration=2.0)])) == {"small": 2}
    plan = default(groups=[view(SMALL)], workers=busy, shapes=[waiting(80, duration=2.0)])
    assert targets(plan) == {"small": 16}


def test_a_worker_that_will_be_busy_for_long_is_no_room():
    busy = [worker("small-0", SMALL, running=2, remaining=100.0)]
    assert targets(default(groups=[view(SMALL)], workers=busy, shapes=[waiting(2, duration=60.0)])) == {"small": 2}


def test_of_an_unknown_type_one_is_measured_first():
    plan = default(groups=[view(SMALL)], shapes=[waiting(100, duration=0.5, measured=False)])
    assert targets(plan) == {"small": 1}
    # Those that are measured take all memory of their workers.
    probing = [worker(f"small-{number}", SMALL, running=1, remaining=100.0, stored=4 * GiB) for number in range(2)]
    unknown = replace(waiting(100, duration=0.5, measured=False), running=2)
    assert targets(default(groups=[view(SMALL)], workers=probing, shapes=[unknown])) == {"small": 4}


def test_a_blocked_group_is_left_to_others():
    plan = default(groups=[view(SMALL, blocked="quota"), view(LARGE)], shapes=[waiting(4, duration=60.0)])
    assert targets(plan) == {"small": 0, "large": 1}


def test_a_group_that_is_taken_away_often_is_dear():
    spot = group("spot", cost=0.9, interruptions=6.0, startup=5.0)
    hours = [waiting(4, duration=3600.0)]
    assert targets(default(groups=[view(SMALL), view(spot)], shapes=hours)) == {"small": 2, "spot": 0}
    minutes = [waiting(4, duration=20.0)]
    assert targets(default(groups=[view(SMALL), view(spot)], shapes=minutes)) == {"small": 0, "spot": 2}


# -------------------------------------------------------------------------------------------- idle
def test_an_idle_worker_stays_for_as_long_as_it_takes_to_start_one():
    idle = [worker("small-0", SMALL, idle_since=0.0)]
    assert victims(default(groups=[view(SMALL)], workers=idle, now=4.9)) == []
    plan = default(groups=[view(SMALL)], workers=idle, now=5.0)
    assert (targets(plan), victims(plan)) == ({"small": 0}, ["small-0"])
    assert plan.targets[0].reason == "nothing to do for 5 s"


def test_idle_workers_stay_where_the_others_could_not_store_their_results():
    idle = [worker(f"small-{number}", SMALL, stored=2 * GiB, idle_since=0.0) for number in range(4)]
    assert len(victims(default(groups=[view(SMALL)], workers=idle, now=100.0))) == 0
    idle = [worker(f"small-{number}", SMALL, stored=GiB, idle_since=0.0) for number in range(4)]
    assert len(victims(default(groups=[view(SMALL)], workers=idle, now=100.0))) == 2


def test_workers_stay_longer_where_those_that_went_were_wanted_again_soon():
    one = Scaling(read_policy(DEFAULT_POLICY))

    def left(now, count, idle_since):
        workers = [worker(f"small-{number}", SMALL, idle_since=idle_since) for number in range(count)]
        return targets(one.plan(system([view(SMALL)], workers, now=now)))["small"]

    assert left(5.0, 1, 0.0) == 0
    assert left(6.0, 0, 0.0) == 0
    assert left(10.0, 1, 10.0) == 1  # it is wanted again
    assert left(15.0, 1, 10.0) == 1
    assert left(20.0, 1, 10.0) == 0
    assert left(21.0, 0, 0.0) == 0
    assert left(500.0, 1, 500.0) == 1  # and now after long
    assert left(505.0, 1, 500.0) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1000)), max_size=50))
def test_how_much_longer_they_stay_has_an_end(changes):
    regret, now = Regret(), 0.0
    for count, seconds in changes:
        now += seconds
        regret.look(count, now, startup=5.0)
        assert 1.0 <= regret.factor <= 16.0


def test_the_last_worker_goes_too_when_it_stores_nothing():
    idle = [worker("small-0", SMALL, stored=5_000_000, unique=0, idle_since=0.0)]  # its process has grown
    assert targets(default(groups=[view(SMALL)], workers=idle, now=100.0)) == {"small": 0}


def test_who_stays_as_the_minimum_of_one_group_stores_what_another_gives_up():
    of = group("first", minimum=1)
    idle = [worker("first-0", of, idle_since=0.0), worker("small-0", SMALL, stored=GiB, idle_since=0.0)]
    plan = default(groups=[view(of), view(SMALL)], workers=idle, now=100.0)
    assert targets(plan) == {"first": 1, "small": 0}


def test_the_minimum_stays():
    of = group(minimum=2)
    idle = [worker(f"small-{number}", of, idle_since=0.0) for number in range(4)]
    assert targets(default(groups=[view(of)], workers=idle, now=100.0)) == {"small": 2}


# -------------------------------------------------------------------------------------- thresholds
PLAIN = {"high_cpu": {"threshold": 80, "action": "add_node"}, "low_cpu": {"threshold": 20, "action": "remove_node"}}


def planned(one, cpu, now, workers=2, launching=0):
    there = [worker(f"small-{number}", SMALL, running=1) for number in range(workers)]
    return one.plan(system([view(SMALL, launching=launching)], there, now=now, usage=high(cpu=cpu)))


def test_the_plain_form_adds_above_and_removes_below_when_that_has_been_so_for_long():
    one = scaling(**PLAIN)
    assert [targets(planned(one, 90, now))["small"] for now in (0, 29, 30)] == [2, 2, 3]
    one = scaling(**PLAIN)
    assert [targets(planned(one, 10, now))["small"] for now in (0, 119, 120)] == [2, 2, 1]


def test_a_dip_begins_the_wait_anew():
    one = scaling(**PLAIN)
    assert [targets(planned(one, cpu, now))["small"] for cpu, now in ((90, 0), (50, 20), (90, 31), (90, 60))] == [
        2
    ] * 4


def test_nothing_is_added_while_what_was_added_has_not_come():
    one = scaling(**PLAIN)
    assert targets(planned(one, 90, 0))["small"] == 2
    assert targets(planned(one, 90, 30))["small"] == 3
    assert [targets(planned(one, 90, now, launching=1))["small"] for now in (31, 60, 90)] == [3, 3, 3]


# ------------------------------------------------------------------------- schedules and budgets
MONDAY_NOON = 1_704_110_400  # 1 January 2024, 12:00 UTC


def wanted_at(one, wall, workers=0):
    there = [worker(f"small-{number}", SMALL, running=1) for number in range(workers)]
    return targets(one.plan(system([view(SMALL)], there, wall=wall)))["small"]


def test_a_schedule_holds_in_its_hours():
    one = scaling(
        office={"kind": "schedule", "from": "08:00", "to": "18:00", "days": ["mon", "tue"], "minimum": {"small": 5}}
    )
    hours = {"noon": 0, "evening": 7, "tuesday": 24, "wednesday": 48}
    assert {name: wanted_at(one, MONDAY_NOON + 3600 * hour) for name, hour in hours.items()} == {
        "noon": 5,
        "evening": 0,
        "tuesday": 5,
        "wednesday": 0,
    }


def test_hours_may_pass_midnight_and_have_a_zone():
    one = scaling(
        night={
            "kind": "schedule",
            "from": "22:00",
            "to": "06:00",
            "days": ["sun"],
            "time-zone": "Africa/Cairo",
            "maximum": {"small": 1},
        }
    )
    four_in_the_morning_there = MONDAY_NOON - 10 * 3600
    assert wanted_at(one, four_in_the_morning_there, workers=3) == 1
    assert wanted_at(one, four_in_the_morning_there + 2 * 3600, workers=3) == 3


def test_hours_go_with_summer_time():
    one = scaling(
        office={
            "kind": "schedule",
            "from": "08:00",
            "to": "18:00",
            "time-zone": "Europe/Berlin",
            "minimum": {"small": 5},
        }
    )
    hours_before_noon = {"winter": (6, 5), "summer": (7, 6)}
    days = {"winter": 0, "summer": 180}
    for season, (before, within) in hours_before_noon.items():
        noon = MONDAY_NOON + 24 * 3600 * days[season]
        assert [wanted_at(one, noon - 3600 * hour) for hour in (before, within)] == [0, 5]


def test_a_schedule_may_hold_whenever_another_does_not():
    one = scaling(
        office={"kind": "schedule", "from": "08:00", "to": "18:00", "minimum": {"small": 5}},
        else_={"kind": "schedule", "outside": "office", "minimum": {"small": 1}},
    )
    assert [wanted_at(one, MONDAY_NOON + 3600 * hour) for hour in (0, 7)] == [5, 1]


def test_a_budget_per_hour_holds():
    one = scaling(demand={"kind": "demand"}, budget={"kind": "budget", "per-hour": 3})
    plan = one.plan(system([view(SMALL)], [worker("small-0", SMALL, running=2)], [waiting(100, duration=60.0)]))
    assert targets(plan) == {"small": 3}
    assert plan.targets[0].reason == "no more for a budget of 3 per hour"


def test_a_budget_of_prices_that_are_no_binary_fractions_is_used_up():
    one = scaling(demand={"kind": "demand"}, budget={"kind": "budget", "per-hour": 0.6})
    assert targets(one.plan(system([view(group(cost=0.2))], [], [waiting(100)]))) == {"small": 3}


def test_when_everything_is_spent_groups_shrink_to_their_minimum():
    of = group(minimum=1)
    one = scaling(demand={"kind": "demand"}, budget={"kind": "budget", "total": 10})
    there = [worker(f"small-{number}", of, running=2) for number in range(3)]
    plan = one.plan(system([view(of)], there, [waiting(100)], spent=10.5))
    assert targets(plan) == {"small": 1}
    assert plan.targets[0].reason == "10.50 of a budget of 10 are spent"


def test_no_more_are_launched_in_a_time_than_allowed():
    one = scaling(demand={"kind": "demand"}, rate={"kind": "rate", "add": 5, "per-seconds": 60})
    burst = [waiting(100, duration=600.0)]
    wanted = [
        targets(one.plan(system([view(SMALL, launching=launching)], shapes=burst, now=now)))["small"]
        for now, launching in ((0, 0), (1, 5), (30, 5), (62, 5), (63, 10))
    ]
    assert wanted == [5, 5, 5, 10, 10]


def test_who_is_had_back_was_not_launched():
    one = scaling(demand={"kind": "demand"}, rate={"kind": "rate", "add": 2, "per-seconds": 60})

    def wanted(leaving, now, *shapes):
        there = [worker(f"small-{at}", SMALL, running=2, remaining=600.0, draining=at < leaving) for at in range(4)]
        return targets(one.plan(system([view(SMALL)], there, shapes, now=now)))["small"]

    assert [wanted(0, 0), wanted(2, 1), wanted(0, 2)] == [4, 2, 4]
    assert wanted(0, 3, waiting(100, duration=600.0)) == 6


# --------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            {"high_heat": {"threshold": 1, "action": "add_node"}},
            "$.high_heat: 'high_heat' names no metric: say metric: cpu, or call it high_cpu; known are cpu, memory,",
        ),
        ({"busy": {"threshold": 1, "action": "add_node"}}, "$.busy: 'busy' names no metric: say metric: cpu, or"),
        ({"high_cpu": {"threshold": "hot", "action": "add_node"}}, "$.high_cpu.threshold: 'hot' is not of type"),
        ({"high_cpu": {"threshold": float("nan"), "action": "add_node"}}, "$.high_cpu.threshold: nan is no number"),
        (
            {"x": {"kind": "schedule", "minimum": {"a": 10**6}}},
            "$.x.minimum.a: 1000000 is greater than the maximum of",
        ),
        ({"high_cpu": {"threshold": 80, "action": "explode"}}, "$.high_cpu.action: 'explode' is not one of"),
        ({"high_cpu": {"threshold": 80, "action": "remove_node"}}, "$.high_cpu.action: 'high' says add_node"),
        ({"high_cpu": {"action": "add_node"}}, "$.high_cpu: 'threshold' is a required property"),
        ({"x": {"kind": "wish"}}, "$.x.kind: 'wish' is not one of"),
        ({"x": {"minimum": {"a": 2}}}, "$.x: 'threshold' is a required property, for a rule that names no kind is"),
        ({"x": {"kind": "demand", "soon": 1}}, "$.x: unknown 'soon'; known are within-seconds, kind"),
        ({"x": {"kind": "rate", "ad": 1}}, "$.x: unknown 'ad' (did you mean 'add'?); known are add"),
        ({"x": {"kind": "demand", "within-seconds": 0}}, "$.x['within-seconds']: 0 is less than or equal to"),
        ({"x": {"kind": "budget", "per-hour": -1}}, "$.x['per-hour']: -1 is less than the minimum of 0"),
        ({"x": {"kind": "budget"}}, "$.x: {'kind': 'budget'} is no budget: say per-hour, total or both, in the unit"),
        ({"x": {"kind": "schedule"}}, "$.x: {'kind': 'schedule'} is no schedule: say minimum, maximum or both, by"),
        ({"x": {"kind": "rate", "add": 0, "per-seconds": 1}}, "$.x.add: 0 is less than the minimum of 1"),
        ({"x": {"kind": "schedule", "from": "25:00", "minimum": {}}}, "$.x.from: '25:00' is no time of the day"),
        (
            {"x": {"kind": "schedule", "minimum": {"a": 2}, "maximum": {"a": 1}}},
            "$.x.minimum.a: 2 is more than the max",
        ),
        (
            {"x": {"kind": "schedule", "days": ["mon"], "minimum": {}, "time-zone": "Mars/Base"}},
            "$.x.time-zone: there is no 'Mars/Base'; one is called Europe/Berlin",
        ),
        ({"x": {"kind": "schedule", "minimum": {}, "outside": "y"}}, "$.x.outside: there is no schedule 'y'"),
        ({"x": {"kind": "extension", "name": "oracle"}}, "$.x: no 'oracle' among the installed policies"),
        ({True: {"kind": "demand"}}, "$: True is not of type 'string'"),  # YAML reads `on:` so
        ("more", "$: 'more' is not of type 'object'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_path_and_the_reason(rules, said):
    with pytest.raises(PolicyError) as caught:
        schemas.policy(rules)
    assert said in str(caught.value)


def test_an_extension_that_fails_whatever_it_raises_is_refused_with_its_reason():
    def find(name):
        raise ImportError(f"no module of {name}")

    with pytest.raises(PolicyError, match="no module of oracle"):
        read_policy({"x": {"kind": "extension", "name": "oracle"}}, find)


def test_all_that_is_wrong_is_told_at_once():
    schedule = {"kind": "schedule", "minimum": {"a": 2}, "maximum": {"a": 1}, "outside": "hours"}
    wrong = {"kind": "schedule", "from": "25:00", "minimum": {}}
    with pytest.raises(PolicyError) as caught:
        schemas.policy({"x": {"kind": "budget"}, "y": schedule, "hours": wrong, "busy": PLAIN["high_cpu"]})
    paths = [problem.partition(":")[0] for problem in caught.value.problems]
    assert paths == ["$.hours.from", "$.x", "$.y.minimum.a", "$.busy"]
    assert str(caught.value).count("\n  $.") == 4  # a line each


def test_groups_that_are_not_there_are_told_beside_all_else_that_is_wrong():
    rules = {
        "high_cpu": {**PLAIN["high_cpu"], "group": "smal"},
        "night": {"kind": "schedule", "minimum": {"small": 1}, "maximum": {"large": 2}},
        "x": {"kind": "budget"},
    }
    with pytest.raises(PolicyError) as caught:
        schemas.policy(rules, ["small", "gpu"])
    assert caught.value.problems[1:] == [
        "$.high_cpu.group: unknown group 'smal'; known are small, gpu",
        "$.night.maximum: unknown group 'large'; known are small, gpu",
    ]
    assert schemas.policy({**rules, "x": {"kind": "demand"}})  # they may come later


def test_schedules_that_hold_outside_each_other_are_refused():
    one = {"kind": "schedule", "outside": "b", "minimum": {"small": 1}}
    with pytest.raises(PolicyError, match="a → b → a"):
        schemas.policy({"a": one, "b": {**one, "outside": "a"}})


def test_thresholds_that_would_add_and_remove_at_once_are_refused():
    with pytest.raises(PolicyError, match="in between it would do both"):
        schemas.policy({**PLAIN, "low_cpu": {"threshold": 85, "action": "remove_node"}})
