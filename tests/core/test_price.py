"""The price of a failure follows from what would be lost with the worker."""

import random

from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.shapes import Inputs
from tests.core.clusters import GiB, cluster, join, task

HOUR = 3600.0


def learn(admission):
    """Teach a type whose runs mostly need 1 GiB, sometimes 3."""
    chance = random.Random(1)
    for _ in range(300):
        memory = int(GiB * (3 if chance.random() < 0.05 else 1) * chance.uniform(0.95, 1.05))
        admission.kinds.learn("load", Measurement(10.0, memory=memory))


def needed(admission):
    """Return the bytes that the next such task gets."""
    return dict(admission.kinds.shape(task("next")).need)[MEMORY_AXIS]


def test_where_nothing_runs_beside_it_a_task_gets_what_most_of_its_like_need():
    admission = cluster(16, threads=1)
    learn(admission)
    assert needed(admission) < 1.3 * GiB


def test_beside_more_of_its_like_it_gets_more():
    few, many = cluster(64, threads=1, cautious=True), cluster(64, threads=48, cautious=True)
    learn(few)
    learn(many)
    assert needed(many) > 3 * GiB > needed(few)


def test_where_results_would_be_lost_it_gets_more():
    admission = cluster(16, threads=1, cautious=True)
    admission.ledger.set_stake(admission.ledger.rows["w0"], redo=HOUR)
    learn(admission)
    assert needed(admission) > 3 * GiB


def test_what_was_at_stake_with_a_worker_that_is_gone_is_at_stake_no_more():
    admission = cluster(16, threads=1)
    join(admission, "w1", 16)
    admission.ledger.set_stake(admission.ledger.rows["w1"], redo=HOUR)
    assert admission.ledger.stake == HOUR * 4 * GiB / 2
    admission.remove_worker("w1")
    assert admission.ledger.stake == 0.0


def test_a_task_gets_what_its_inputs_need_not_what_the_largest_of_similar_ones_would():
    admission = cluster(64)
    for mebibytes in (10, 20, 30, 40, 50):
        size = mebibytes << 20
        admission.kinds.learn("load", Measurement(10.0, memory=100 * size, inputs=size))

    def need(mebibytes):
        wanted = task("next", inputs=Inputs(mebibytes << 20))
        return dict(admission.kinds.shape(wanted).need)[MEMORY_AXIS]

    assert need(24) < 1.1 * 100 * (24 << 20)
    assert need(30) >= 100 * (30 << 20)
    assert need(24) >= 100 * (30 << 20), "they share a queue"


def test_half_of_what_runs_is_at_stake():
    admission = cluster(16, threads=4)
    learn(admission)
    for number in range(4):
        admission.arrive(task(f"load-{number}", 2), 0.0)
    row = admission.ledger.rows["w0"]
    admission.ledger.set_stake(row, redo=0.0)
    assert row.stake == 4 * 2 * GiB * 10.0 / 2
