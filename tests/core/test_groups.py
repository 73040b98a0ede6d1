import pytest

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.errors import DemandError


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpu": 0},
        {"cpu": -1},
        {"memory": 0},
        {"memory": "much"},
        {"count": -1},
        {"resources": {"memory": 1}},
        {"resources": {"CPU": 1}},
        {"resources": {"GPU": -1}},
        {"startup": float("inf")},
        {"cost": float("nan")},
    ],
    ids=str,
)
def test_a_group_that_cannot_be_is_an_error(wrong):
    with pytest.raises(DemandError):
        WorkerGroup("group", **wrong)


def test_a_group_has_a_thread_for_each_begun_core():
    assert [WorkerGroup("group", cpu=cpu).threads for cpu in (0.5, 1, 1.5, 4)] == [1, 1, 2, 4]


def test_a_group_may_be_empty_and_have_what_it_likes():
    group = WorkerGroup("group", count=0, resources={"GPU": 2, "network": "1 Gbit/s"})
    assert dict(group.capacity)["GPU"] == 2000
    assert group.capacity["network"] == 125_000_000
