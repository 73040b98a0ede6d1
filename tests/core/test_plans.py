import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.plans import Plan, Progress, Steps, Target, steps, supersedes

GROUPS = ("small", "large", "other")
names = st.builds("{}-{}".format, st.sampled_from(GROUPS), st.integers(0, 5))
several = st.lists(names, unique=True, max_size=6).map(tuple)
targets = st.builds(
    lambda *of_groups: tuple(
        Target(group, *of_one, "a reason") for group, of_one in zip(GROUPS, of_groups, strict=False)
    ),
    *[st.tuples(st.integers(0, 8), several)] * 2,
)
plans = st.builds(
    Plan,
    generation=st.integers(0, 3),
    targets=targets,
    unmet=st.lists(st.text(), max_size=2).map(tuple),
    epoch=st.integers(0, 3),
    removable=several,
    others=several.map(lambda found: {name: name.rpartition("-")[0] for name in found}),
)
existing_ones = several.map(lambda found: {name: name.rpartition("-")[0] for name in found})


def carried_out(to_do, existing):
    """Return what exists once some steps are done."""
    left = {name: group for name, group in existing.items() if name not in to_do.remove}
    new = {f"{group}-{100 + number}": group for group, count in to_do.launch.items() for number in range(count)}
    return left | new


@given(plans, existing_ones)
def test_a_plan_that_was_carried_out_asks_for_nothing(plan, existing):
    assert steps(plan, carried_out(steps(plan, existing), existing)) == Steps()


@given(plans, existing_ones, st.data())
def test_a_plan_that_was_half_carried_out_can_be_gone_on_with(plan, existing, data):
    whole = steps(plan, existing)
    some = {group: data.draw(st.integers(0, count)) for group, count in whole.launch.items()}
    half = Steps(whole.remove[: data.draw(st.integers(0, len(whole.remove)))], some)
    rest = steps(plan, carried_out(half, existing))
    assert set(half.remove) | set(rest.remove) == set(whole.remove)
    assert all(some[group] + rest.launch.get(group, 0) == count for group, count in whole.launch.items())


@given(plans, existing_ones)
def test_exactly_those_that_exist_and_were_retired_are_removed(plan, existing):
    assert set(steps(plan, existing).remove) == set(existing) & set(plan.removable)


@given(plans, existing_ones)
def test_each_group_comes_to_its_count_without_those_on_their_way_out(plan, existing):
    there = carried_out(steps(plan, existing), existing)
    leaving = {*plan.removable, *(victim for target in plan.targets for victim in target.victims)}
    for target in plan.targets:
        before, after = (
            sum(group == target.group and name not in leaving for name, group in {**plan.others, **found}.items())
            for found in (existing, there)
        )
        assert after == max(before, target.workers)


@given(plans, existing_ones)
def test_a_group_that_the_plan_does_not_name_is_left_alone(plan, existing):
    assert "other" not in steps(plan, existing).launch


def test_a_victim_stays_until_it_was_retired_and_is_replaced_at_once():
    existing = {"small-0": "small", "small-1": "small"}
    wanted = (Target("small", 2, ("small-1",), "small-1 is old"),)
    assert steps(Plan(1, wanted), existing) == Steps((), {"small": 1})
    assert steps(Plan(2, wanted, removable=("small-1",)), existing) == Steps(("small-1",), {"small": 1})


@given(plans, plans, plans)
def test_only_a_later_plan_takes_the_place_of_another(one, two, three):
    assert not supersedes(one, one)
    assert not (supersedes(one, two) and supersedes(two, one))
    assert supersedes(one, None)
    if supersedes(one, two) and supersedes(two, three):
        assert supersedes(one, three)


def test_the_plan_of_an_earlier_scheduler_is_refused_whatever_its_generation():
    assert not supersedes(Plan(99, (), epoch=1), Plan(1, (), epoch=2))
    assert supersedes(Plan(1, (), epoch=2), Plan(99, (), epoch=1))


@given(plans)
def test_a_plan_is_the_same_after_a_journey(plan):
    assert Plan.from_wire(json.loads(json.dumps(plan.to_wire()))) == plan


@given(st.text(), existing_ones, st.dictionaries(st.sampled_from(GROUPS), st.text()))
def test_progress_is_the_same_after_a_journey(controller, workers, blocked):
    progress = Progress(controller, workers, blocked)
    assert Progress.from_wire(json.loads(json.dumps(progress.to_wire()))) == progress


def test_an_unknown_part_of_a_plan_is_refused():
    with pytest.raises(TypeError, match="colour"):
        Plan.from_wire({**Plan(1, ()).to_wire(), "colour": "blue"})
