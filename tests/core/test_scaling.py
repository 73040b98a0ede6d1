"""What is settled of what rules propose."""

from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.core.plans import Plan
from supreme_dask.core.policies import DEFAULT_POLICY, AtLeast, AtMost, Cap, Policy, Spare, read_policy
from supreme_dask.core.scaling import Scaling
from tests.core.systems import group, system, targets, victims, view, waiting, worker

SMALL, LARGE = group(cost=1.0, startup=5.0), group("large", cpu=8, gibibytes=32, cost=5.0, startup=20.0)


class Says:
    """A rule that proposes the same whatever it sees."""

    def __init__(self, *proposals):
        self._proposals = proposals

    def propose(self, situation):
        return self._proposals


def settle(snapshot, *proposals):
    return Scaling(Policy((("says", Says(*proposals)),))).plan(snapshot)


def default():
    return Scaling(read_policy(DEFAULT_POLICY))


names = st.sampled_from(["small", "large", "no-such"])
proposals = st.lists(
    st.builds(AtLeast, names, st.integers(0, 30), st.just("least"))
    | st.builds(AtMost, names, st.integers(0, 30), st.just("most"))
    | st.builds(Spare, names, st.tuples(st.sampled_from(["small-0", "small-1", "large-0", "gone"])), st.just("spare"))
    | st.builds(Cap, st.just("cap"), st.none() | st.integers(0, 5), st.none() | st.floats(0, 20)),
    max_size=8,
)


@st.composite
def snapshots(draw):
    groups, workers = [], []
    for of in (SMALL, LARGE):
        minimum = draw(st.integers(0, 3))
        bounded = group(
            of.name, of.cpu, 4, cost=of.cost, minimum=minimum, maximum=draw(st.none() | st.integers(minimum, 12))
        )
        groups.append(view(bounded, launching=draw(st.integers(0, 3)), blocked=draw(st.sampled_from(["", "quota"]))))
        workers += [
            worker(
                f"{of.name}-{number}",
                bounded,
                running=draw(st.integers(0, 2)),
                draining=draw(st.booleans()),
                leaving=draw(st.booleans()),
                pinned=draw(st.booleans()),
            )
            for number in range(draw(st.integers(0, 6)))
        ]
    shapes = [
        waiting(
            draw(st.integers(1, 50)), duration=draw(st.floats(0.01, 100)), memory=f"{draw(st.integers(1, 40))} GiB"
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return system(groups, workers, shapes, now=draw(st.floats(0, 100)))


@given(snapshots(), proposals)
def test_limits_hold_whatever_is_proposed(snapshot, proposed):
    plan = settle(snapshot, *proposed)
    workers = {one.name: one for one in snapshot.workers}
    for target, seen in zip(plan.targets, snapshot.groups, strict=True):
        staying = [one for one in snapshot.workers if one.group == target.group and not one.draining]
        supply = len(staying) + len(seen.launching)
        maximum = seen.group.maximum
        assert target.reason
        assert target.workers >= min(supply, seen.group.minimum)
        assert maximum is None or target.workers <= max(supply, maximum)
        assert all(workers[name].group == target.group for name in target.victims)
        sent = [name for name in target.victims if not workers[name].draining]
        returned = sum(one.draining for one in workers.values() if one.group == target.group) - (
            len(target.victims) - len(sent)
        )
        launched = target.workers - (supply - len(sent) + returned)
        assert launched >= 0
        assert not (sent and (launched or returned))
        assert not (launched and seen.blocked)
        caps = [one.workers for one in proposed if isinstance(one, Cap) and one.workers is not None]
        assert not caps or launched <= min(caps)
        assert all(one.name in target.victims for one in staying if one.leaving and one.draining)


@given(snapshots())
@settings(max_examples=200)
def test_by_default_nobody_leaves_who_works_and_nobody_is_launched_while_one_can_be_had_back(snapshot):
    plan = default().plan(snapshot)
    workers = {one.name: one for one in snapshot.workers}
    for target, seen in zip(plan.targets, snapshot.groups, strict=True):
        limit = seen.group.maximum
        there = sum(one.group == target.group and not one.draining for one in snapshot.workers)
        over = limit is not None and there > limit
        for name in target.victims:
            assert workers[name].draining or not workers[name].running or over


@given(snapshots())
def test_equal_snapshots_give_equal_plans_and_the_same_plan_twice(snapshot):
    scaling = default()
    first = scaling.plan(snapshot)
    assert default().plan(snapshot) == first
    assert scaling.plan(snapshot) is first


def test_the_most_that_is_asked_for_counts_and_the_least_that_is_allowed():
    snapshot = system([view(SMALL)])
    assert targets(settle(snapshot, AtLeast("small", 3, "a"), AtLeast("small", 5, "b"))) == {"small": 5}
    plan = settle(snapshot, AtLeast("small", 5, "b"), AtMost("small", 4, "c"), AtMost("small", 6, "d"))
    assert targets(plan) == {"small": 4}
    assert plan.targets[0].reason == "c"


def test_who_is_spared_stays_if_somebody_needs_it():
    snapshot = system([view(SMALL)], [worker(f"small-{number}", SMALL) for number in range(4)])
    plan = settle(snapshot, Spare("small", ("small-3", "small-1"), "idle"), AtLeast("small", 3, "needed"))
    assert (targets(plan), victims(plan)) == ({"small": 3}, ["small-3"])


def test_who_leaves_is_had_back_before_another_is_launched():
    leaving = [worker("small-0", SMALL, draining=True, leaving=True), worker("small-1", SMALL, draining=True)]
    plan = settle(system([view(SMALL)], leaving), AtLeast("small", 2, "work came"))
    assert (targets(plan), victims(plan)) == ({"small": 2}, ["small-0"])


def test_the_cheapest_are_launched_first_under_a_budget():
    snapshot = system([view(LARGE), view(SMALL)])
    plan = settle(snapshot, AtLeast("large", 3, "a"), AtLeast("small", 4, "a"), Cap("budget", cost=10.0))
    assert targets(plan) == {"large": 1, "small": 4}


def test_a_plan_has_a_new_number_only_if_it_says_something_new():
    scaling = default()
    burst = system([view(SMALL)], shapes=[waiting(8)])
    first = scaling.plan(burst)
    again = scaling.plan(system([view(SMALL, launching=targets(first)["small"])], shapes=[waiting(8)], now=0.1))
    assert again is first
    assert first.generation == 1
    assert scaling.plan(system([view(SMALL)])).generation == 2


def test_a_policy_that_changes_goes_on_from_the_plan_in_force():
    plan = Plan(7, ())
    assert Scaling(read_policy(DEFAULT_POLICY), plan).plan(system([view(SMALL)])).generation == 8
