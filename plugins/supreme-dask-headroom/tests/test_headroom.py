import pytest

from supreme_dask.core.policies import Situation
from supreme_dask.core.scaling import Scaling
from supreme_dask.errors import PolicyError
from supreme_dask.stores import schemas
from supreme_dask_headroom import Headroom
from tests.core.systems import group, system, targets, view, worker

SMALL = group()


def wanted(rule, busy, now=0.0):
    workers = [worker(f"small-{number}", SMALL, running=1) for number in range(busy)]
    return [one.workers for one in rule.propose(Situation.of(system([view(SMALL)], workers, now=now)))]


def test_the_spare_part_shrinks_with_the_size():
    assert [wanted(Headroom("small"), busy) for busy in (0, 1, 4, 100)] == [[], [2], [6], [110]]


def test_the_busiest_moment_counts_until_it_is_forgotten():
    rule = Headroom("small", memory_seconds=60)
    assert [wanted(rule, busy, now) for busy, now in ((9, 0), (4, 30), (1, 60), (1, 61), (1, 91))] == [
        [12],
        [12],
        [12],
        [6],
        [2],
    ]


def test_a_group_that_is_not_there_gets_nothing():
    assert wanted(Headroom("large"), 5) == []


def test_a_policy_finds_it_by_its_name():
    policy = schemas.policy({"ready": {"kind": "extension", "name": "headroom", "options": {"group": "small"}}})
    workers = [worker(f"small-{number}", SMALL, running=1) for number in range(4)]
    plan = Scaling(policy).plan(system([view(SMALL)], workers))
    assert targets(plan) == {"small": 6}
    assert plan.targets[0].reason == "4 at work lately, and 2 spare"


def test_options_that_cannot_be_are_refused_with_the_path():
    options = {"group": "small", "spare": -1}
    with pytest.raises(PolicyError, match=r"\$\.ready: spare=-1"):
        schemas.policy({"ready": {"kind": "extension", "name": "headroom", "options": options}})
