"""Decisions to scale, on real schedulers: made soon, carried out without a loss, never in the way of computing."""

import asyncio
import pickle
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from time import monotonic

import pytest
from distributed import wait
from distributed.core import Status

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Progress
from supreme_dask.errors import PolicyError
from tests.scheduler.clusters import GiB, named, plugin, supreme, until
from tests.scheduler.gates import BEGUN, GO, hold

SMALL = WorkerGroup("small", cpu=2, memory="4 GiB", startup=0.2, maximum=10)
LARGE = WorkerGroup("large", cpu=2, memory="40 GiB", startup=0.2, maximum=10, cost=5.0)
SOON = {"demand": {"kind": "demand", "within-seconds": 0.1}, "idle": {"kind": "idle"}}
STAY = {"idle": {"kind": "idle", "after-seconds": 1000}}
LARGELY = {"memory": 20 * GiB}
FEW = {"resources": {"memory": GiB, "cpu": 1}, "pure": False}


def warnings(scheduler):
    """Return what clients were warned of."""
    return [pickle.loads(event["message"]) for _, event in scheduler.get_events("warn")]


class Controller:
    """Keeps the plans that it is given, and makes the workers of the test itself."""

    def __init__(self, scheduler, *groups, policy=None):
        self.plans = []
        self.engine = plugin(scheduler).scaling
        self.engine.begin(self.plans.append, policy=policy or SOON, groups=groups)

    @property
    def counts(self):
        return {target.group: target.workers for target in self.plans[-1].targets} if self.plans else {}

    @property
    def removable(self):
        return self.plans[-1].removable if self.plans else ()


@supreme()
async def test_a_burst_is_decided_on_as_soon_as_its_graph_is_in(client, scheduler):
    controller = Controller(scheduler, SMALL, LARGE)
    await until(lambda: controller.plans)
    futures = client.map(hold, range(12), **FEW)
    await until(lambda: controller.counts.get("small") == 6)
    assert controller.counts["large"] == 0
    assert "12 waiting tasks" in controller.plans[-1].targets[0].reason
    GO.set()
    await client.cancel(futures)


@supreme()
async def test_what_is_on_its_way_is_asked_for_once(client, scheduler):
    controller = Controller(scheduler, SMALL)
    futures = client.map(hold, range(4), **FEW)
    await until(lambda: controller.counts.get("small") == 2)
    before = len(controller.plans)
    await asyncio.sleep(0.3)
    assert len(controller.plans) == before
    async with named(scheduler, "small-0"), named(scheduler, "small-1"):
        await until(lambda: len(controller.engine.evaluate_scaling().targets[0].victims) == 0)
        assert controller.counts["small"] == 2
        GO.set()
        assert await client.gather(futures) == list(range(4))


@supreme()
async def test_idle_workers_are_drained_and_only_then_named_as_removable(client, scheduler):
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(named(scheduler, f"small-{number}")) for number in range(3)]
        kept = await client.scatter([b"x" * 1000 for _ in range(3)], workers=[workers[0].address], hash=False)
        busy = client.submit(hold, 1, workers=[workers[1].address], **FEW)
        await until(lambda: scheduler.workers[workers[1].address].processing)
        controller = Controller(scheduler, SMALL)
        await until(lambda: controller.removable == ("small-0", "small-2"))
        assert all(set(plan.removable) <= set(plan.targets[0].victims) for plan in controller.plans)
        assert controller.counts["small"] == 1
        for worker in (workers[0], workers[2]):
            await worker.close()
        assert await client.gather(kept) == [b"x" * 1000 for _ in range(3)]
        await until(lambda: controller.removable == ())
        GO.set()
        assert await busy == 1


@supreme()
async def test_one_that_was_started_by_hand_under_the_name_of_a_group_is_closed_when_it_may_go(client, scheduler):
    async with named(scheduler, "small-7") as worker:
        controller = Controller(scheduler, SMALL)
        controller.engine.report(Progress("local"))
        await until(lambda: worker.status == Status.closed)
        assert not controller.removable


@supreme()
async def test_one_that_has_left_and_not_ended_is_not_taken_for_one_on_its_way(client, scheduler):
    async with named(scheduler, "small-0") as worker:
        controller = Controller(scheduler, SMALL)
        existing = {"small-0": "small"}
        controller.engine.report(Progress("local", existing))
        await until(lambda: controller.removable == ("small-0",))
        await worker.close()
        await until(lambda: not scheduler.workers)
        controller.engine.report(Progress("local", existing))
        for number in range(1, 4):
            assert controller.engine.evaluate_scaling().targets[0].workers == number - 1
            existing[f"small-{number}"] = "small"
            controller.engine.report(Progress("local", existing))
        assert controller.removable == ("small-0",)


@supreme()
async def test_workers_on_their_way_come_also_when_their_controller_is_gone(client, scheduler):
    controller = Controller(scheduler, SMALL)
    futures = client.map(hold, range(4), **FEW)
    await until(lambda: controller.counts.get("small") == 2)
    controller.engine.report_all({"local": Progress("local", {"small-0": "small", "small-1": "small"})})
    controller.engine.report_all({})
    assert controller.engine.evaluate_scaling().targets[0].workers == 2
    assert not warnings(scheduler)
    controller.engine.report_all({"other": Progress("other", {"small-0": "small"})})
    await until(lambda: controller.plans[-1].others == {"small-1": "small"})
    assert controller.counts["small"] == 2
    assert not warnings(scheduler)
    await client.cancel(futures)


@supreme()
async def test_one_that_leaves_is_had_back_before_another_is_asked_for(client, scheduler):
    slow = WorkerGroup("small", cpu=2, memory="4 GiB", startup=0.0, maximum=10)
    async with named(scheduler, "small-0") as a, named(scheduler, "small-1") as b:
        first = client.map(hold, range(2), workers=[a.address], **FEW)
        await until(lambda: len(scheduler.workers[a.address].processing) == 2)
        spread = await client.scatter(b"x", workers=[b.address])
        running = client.submit(hold, 7, workers=[b.address], allow_other_workers=True, **FEW)
        await until(lambda: scheduler.workers[b.address].processing)
        controller = Controller(scheduler, slow)
        plugin(scheduler).drains.drain(["small-1"], reason="the plan of before")
        await until(lambda: plugin(scheduler).drains.states())
        more = client.map(hold, range(10, 12), **FEW)
        await until(lambda: not plugin(scheduler).drains.states())
        assert controller.counts["small"] == 2
        GO.set()
        assert await client.gather([*first, running, *more]) == [0, 1, 7, 10, 11]
        del spread


@supreme()
async def test_a_drain_that_a_person_began_is_left_alone(client, scheduler):
    async with named(scheduler, "small-0") as a, named(scheduler, "small-1") as b:
        running = [client.submit(hold, n, workers=[w.address], **FEW) for n, w in enumerate([a, b])]
        await until(lambda: all(ws.processing for ws in scheduler.workers.values()))
        controller = Controller(scheduler, SMALL)
        plugin(scheduler).drains.drain(["small-0"], reason="a person", origin="person")
        waiting = client.map(hold, range(20), **FEW)
        await until(lambda: controller.counts.get("small", 0) > 5)
        assert plugin(scheduler).drains.states() == {"small-0": "finishing"}
        GO.set()
        await client.gather([*running, *waiting])


@supreme()
async def test_a_demand_that_no_group_could_host_is_told_once_and_nothing_launched(client, scheduler):
    controller = Controller(scheduler, SMALL)
    future = client.submit(hold, 1, resources={"GPU": 1})
    await until(lambda: controller.plans and controller.plans[-1].unmet)
    assert controller.counts == {"small": 0}
    assert "GPU" in controller.plans[-1].unmet[0]
    await asyncio.sleep(0.2)
    assert warnings(scheduler).count(controller.plans[-1].unmet[0]) == 1
    await future.cancel()


@supreme()
async def test_a_group_that_was_made_larger_is_known_by_what_it_promises_now(client, scheduler):
    controller = Controller(scheduler, SMALL)
    async with named(scheduler, "small-0"):
        busy = client.submit(hold, 1, **FEW)
        await until(lambda: BEGUN and controller.counts.get("small") == 1)
        controller.engine.begin(controller.plans.append, groups=[replace(SMALL, memory="64 GiB")])
        future = client.submit(abs, -1, resources={"memory": 20 * GiB, "cpu": 1})
        await until(lambda: controller.counts["small"] == 2)
        assert not warnings(scheduler)
        GO.set()
        assert await busy == 1
    await until(lambda: not scheduler.workers)
    assert controller.engine.metrics_monitor.snapshot().groups[0].room["memory"] > 50 * GiB
    await client.cancel([busy, future])


@supreme()
async def test_workers_that_are_too_small_are_no_news_where_larger_ones_are_made(client, scheduler):
    async with named(scheduler, "small-0"):
        controller = Controller(scheduler, SMALL, LARGE)
        gpu, large = (client.submit(hold, number, resources=one) for number, one in enumerate(({"GPU": 1}, LARGELY)))
        await until(lambda: controller.counts.get("large") == 1 and controller.plans[-1].unmet)
        await asyncio.sleep(1.2)  # admission reports every half second
        assert warnings(scheduler) == list(controller.plans[-1].unmet)
        bound = client.submit(hold, 2, resources={"GPU": 1}, workers=["small-0"])
        await until(lambda: len(warnings(scheduler)) == 2)  # no worker of a group could help there
        assert "wait for a worker that declares 'GPU': none does" in warnings(scheduler)[1]
        for future in (gpu, large, bound):
            await future.cancel()


@supreme(config={"supreme.scaling.launch-timeout": "100ms"})
async def test_a_worker_that_never_arrives_is_given_up_with_a_reason(client, scheduler):
    impatient = WorkerGroup("small", cpu=2, memory="4 GiB", startup=0.0)
    controller = Controller(scheduler, impatient)
    future = client.submit(hold, 1, **FEW)
    await until(lambda: controller.counts.get("small") == 1)
    await until(lambda: controller.counts.get("small") == 0)
    assert "small was asked for and did not join in time" in warnings(scheduler)[0]
    await future.cancel()


@supreme(config={"supreme.scaling.launch-timeout": "100ms"})
async def test_one_that_joins_after_it_was_given_up_is_sent_away_unused(client, scheduler):
    impatient = WorkerGroup("small", cpu=2, memory="4 GiB", startup=0.0)
    controller = Controller(scheduler, impatient)
    future = client.submit(hold, 1, **FEW)
    await until(lambda: controller.counts.get("small") == 1)
    controller.engine.report(Progress("local", {"small-0": "small"}))
    await until(lambda: controller.removable == ("small-0",))
    async with named(scheduler, "small-0") as late:
        await until(lambda: late.status == Status.closed)
    assert not BEGUN
    controller.engine.report(Progress("local", {}))
    await until(lambda: controller.removable == ())
    await future.cancel()


@supreme(config={"supreme.scaling.launch-timeout": "100ms"})
async def test_one_that_is_lost_and_does_not_end_may_be_removed_after_a_while(client, scheduler):
    impatient = WorkerGroup("small", cpu=2, memory="4 GiB", startup=0.0)
    controller = Controller(scheduler, impatient, policy=STAY)
    async with named(scheduler, "small-0"):
        controller.engine.report(Progress("local", {"small-0": "small"}))
        await until(lambda: controller.counts.get("small") == 1)
    await until(lambda: controller.removable == ("small-0",))


@supreme(config={"supreme.scaling.launch-timeout": "100ms"})
async def test_one_that_joins_when_its_group_is_gone_is_not_given_up(client, scheduler):
    impatient = WorkerGroup("old", cpu=2, memory="4 GiB", startup=0.0, minimum=1)
    controller = Controller(scheduler, impatient, policy=STAY)
    await until(lambda: controller.counts.get("old") == 1)
    controller.engine.report(Progress("local", {"old-0": "old"}))
    controller.engine.begin(controller.plans.append, groups=[SMALL])
    async with named(scheduler, "old-0"):
        await asyncio.sleep(0.2)
        controller.engine.evaluate_scaling()
        controller.engine.report(Progress("local", {"old-0": "old"}, {"small": "no more"}))
        await until(lambda: "small" in controller.counts)
        assert not controller.removable
    assert not any("did not join" in warning for warning in warnings(scheduler))


@supreme()
async def test_workers_of_a_group_that_is_removed_are_drained_and_without_any_group_they_stay(client, scheduler):
    controller = Controller(scheduler, SMALL, LARGE, policy=STAY)
    progress = Progress("local", {"small-0": "small", "large-0": "large"})
    async with named(scheduler, "small-0") as small, named(scheduler, "large-0") as large:
        controller.engine.report(progress)
        kept = await client.scatter({"x": 1}, workers=[large.address])
        controller.engine.begin(controller.plans.append, groups=[SMALL])
        await until(lambda: large.status == Status.closed)
        assert await client.gather(kept) == {"x": 1}
        assert small.status == Status.running
        controller.engine.begin(controller.plans.append, groups=[])
        controller.engine.take_document("groups/default", None)
        sentence = "no worker group is there any more: workers of large, small stay as they are"
        await until(lambda: sentence in warnings(scheduler))
        assert small.status == Status.running


@supreme()
async def test_a_group_that_cannot_be_had_is_replaced_by_another(client, scheduler):
    controller = Controller(scheduler, SMALL, LARGE)
    future = client.submit(hold, 1, **FEW)
    await until(lambda: controller.counts.get("small") == 1)
    controller.engine.report(Progress("local", {}, {"small": "no such image"}))
    await until(lambda: controller.counts == {"small": 0, "large": 1})
    await future.cancel()


def broken(snapshot):
    raise RuntimeError("a mistake")


@supreme()
async def test_a_policy_that_fails_leaves_everything_as_it_is(client, scheduler):
    async with named(scheduler, "small-0"):
        controller = Controller(scheduler, SMALL, policy={"keep": {"kind": "rate", "add": 1, "per-seconds": 60}})
        await until(lambda: controller.plans)
        controller.engine.rules.scaling.plan = broken
        before = controller.engine.plan
        assert controller.engine.evaluate_scaling() is before
        assert await client.submit(abs, -1) == 1
        assert not plugin(scheduler).drains.states()


@supreme()
async def test_a_policy_that_cannot_be_used_is_refused_with_its_path(client, scheduler):
    controller = Controller(scheduler, SMALL)
    with pytest.raises(PolicyError, match="names no metric"):
        controller.engine.begin(print, policy={"high_moon": {"threshold": 80, "action": "add_node"}})
    assert controller.engine.scaling_policies == SOON


@supreme(config={"supreme.scaling.groups": {"small": {"cpu": -1}}, "supreme.scaling.policy": SOON})
async def test_groups_in_config_that_cannot_be_used_are_refused_and_work_goes_on(client, scheduler):
    engine = plugin(scheduler).scaling
    assert engine.rules.groups == {}
    assert engine.scaling_policies == SOON
    async with named(scheduler, "any"):
        assert await client.submit(abs, -1) == 1


@supreme()
async def test_thresholds_as_the_plan_of_the_product_writes_them(client, scheduler):
    policy = {"high_allocated": {"threshold": 40, "action": "add_node", "for-seconds": 0}}
    async with named(scheduler, "small-0"):
        controller = Controller(scheduler, SMALL, policy=policy)
        future = client.submit(hold, 1, **FEW)
        await until(lambda: controller.counts.get("small", 0) >= 2)
        GO.set()
        await future


@supreme()
async def test_decisions_take_a_small_part_of_the_time(client, scheduler):
    async with named(scheduler, "small-0", threads=1):
        controller = Controller(scheduler, SMALL)
        begun = monotonic()
        engine = controller.engine
        decided = []
        evaluate = engine.evaluate_scaling
        engine.evaluate_scaling = lambda: decided.append(0) or evaluate()
        futures = client.map(time.sleep, [0.001] * 300, pure=False)
        await wait(futures)
        assert len(decided) <= 1 + (monotonic() - begun) / 0.05
