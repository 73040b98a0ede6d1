"""What users write wrong: told to them clearly, and nobody else notices."""

import math
import warnings

import pytest
from distributed import Worker, wait
from distributed.utils_test import inc

from tests.scheduler.clusters import OURS, all_free, plugin, supreme, until, worker


@pytest.mark.parametrize(
    "demand",
    [
        {"memory": -1},
        {"memory": "-4 GiB"},
        {"cpu": math.nan},
        {"cpu": math.inf},
        {"memory": "four"},
        {"memory": "4 Gibberish"},
        {"memory": 10**400},
        {"GPU": None},
        {"GPU": [1]},
        {"GPU": "1" * 10_000 + "!"},
        {5: 1},
        {"": 1},
    ],
    ids=lambda demand: str(demand)[:20],
)
@supreme(worker(2, 1))
async def test_a_demand_that_makes_no_sense_fails_with_a_clear_error(c, s, a, demand):
    future = c.submit(inc, 1, resources=demand)
    dependent = c.submit(inc, future)
    with pytest.raises(ValueError, match=r"zero or more|expected|more than any machine|name of a resource"):
        await future
    await wait(dependent)
    assert dependent.status == "error"
    assert plugin(s).active
    assert await c.submit(inc, 2, resources={"memory": "1 MB"}) == 3
    assert await c.submit(inc, 3) == 4


@pytest.mark.parametrize(
    "demand",
    [{}, {"memory": 0}, {"cpu": 0}, {"nothing-of-this": 0}, {"memory": "0.5 GiB"}, {"MEMORY": "1e8", "Cpu": "500m"}],
    ids=str,
)
@supreme(worker(2, 1))
async def test_a_demand_of_little_or_nothing_runs(c, s, a, demand):
    futures = c.map(inc, range(20), resources=demand, pure=False)
    assert await c.gather(futures) == list(range(1, 21))
    futures.clear()
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@pytest.mark.parametrize(
    ("demand", "sentence"),
    [
        ({"memory": "8 GiB"}, "memory 8.00 GiB, the largest worker has 1.00 GiB"),
        ({"cpu": 16}, "cpu 16, the largest worker has 2"),
        ({"unheard-of": 1}, "wait for a worker that declares 'unheard-of': none does"),
    ],
)
@supreme(worker(2, 1))
async def test_what_no_worker_can_run_waits_with_a_warning_until_one_joins(c, s, a, demand, sentence):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        future = c.submit(inc, 1, resources=demand)
        await until(lambda: any(sentence in str(warning.message) for warning in caught))
    assert not future.done()
    everything = {"memory": 8 * 2**30, "cpu": 16, "unheard-of": 1}
    async with Worker(s.address, nthreads=16, resources=everything, memory_limit=0) as large:
        assert await future == 2
        assert s.tasks[future.key].who_has == {s.workers[large.address]}


@supreme(worker(2, 1), config={"supreme.infeasible-timeout": "100ms"})
async def test_what_no_worker_can_run_fails_in_the_time_that_the_operator_set(c, s, a):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        future = c.submit(inc, 1, resources={"memory": "8 GiB"})
        with pytest.raises(TimeoutError, match=r"gave up after 0.1 s .*supreme.infeasible-timeout"):
            await future
    assert plugin(s).active


@supreme(worker(2, 1), config={**OURS, "supreme.demands": {"inc": {"memory": "0.75 GiB"}}})
async def test_a_rule_by_prefix_is_a_demand_of_tasks_that_declare_none(c, s, a):
    assert await c.submit(inc, 1) == 2
    (shape,) = plugin(s).admission.kinds["inc"].shapes.values()
    assert shape.declared["memory"] == 0.75 * 2**30


@supreme(worker(2, 1))
async def test_a_task_with_a_bad_demand_may_be_submitted_again_with_a_good_one(c, s, a):
    bad = c.submit(inc, 1, key="same", resources={"memory": "four"})
    await wait(bad)
    del bad
    await until(lambda: "same" not in s.tasks)
    assert await c.submit(inc, 1, key="same", resources={"memory": "4 MB"}) == 2
