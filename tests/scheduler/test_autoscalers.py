"""Stock autoscalers get better: the calls as Dask's `Adaptive` and dask-kubernetes' controller (2026.3) make them."""

import asyncio
import json
from contextlib import AsyncExitStack
from functools import partial

import dask.config
import pytest
from distributed import rpc
from tornado.httpclient import AsyncHTTPClient

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan
from supreme_dask.errors import ScalingError
from tests.scheduler.clusters import GiB, named, plugin, supreme, until
from tests.scheduler.gates import BEGUN, GO, hold

ONE = {"resources": {"memory": GiB, "cpu": 1}, "pure": False}
SOON = {"demand": {"kind": "demand", "within-seconds": 0.1}, "idle": {"kind": "idle", "after-seconds": 0}}
ROUTES = [*dask.config.get("distributed.scheduler.http.routes"), "distributed.http.scheduler.api"]
CONFIG = {"supreme.scaling.policy": SOON, "distributed.scheduler.http.routes": ROUTES}
QUICK = {"c-default": {"cpu": 2, "memory": "4 GiB", "startup": 0}, "c-gpu": {"cpu": 2, "memory": "4 GiB"}}


class Operator:
    """Asks a scheduler what the controller of dask-kubernetes asks it."""

    def __init__(self, scheduler, *, http):
        self._scheduler = scheduler
        self._http = http

    async def desired(self):
        if self._http:
            return (await self._fetch("adaptive_target"))["workers"]
        async with rpc(self._scheduler.address) as comm:
            return await comm.adaptive_target()

    async def retire(self, count):
        """Return the names of the deployments that the controller deletes."""
        if self._http:
            retired = await self._fetch("retire_workers", method="POST", body=json.dumps({"n": count}))
            return [one["name"] for one in retired.values()]
        async with rpc(self._scheduler.address) as comm:
            names = await comm.workers_to_close(n=count, attribute="name")
            await comm.retire_workers(names=names)
            return list(names)

    async def _fetch(self, route, **options):
        url = f"http://127.0.0.1:{self._scheduler.http_server.port}/api/v1/{route}"
        return json.loads((await AsyncHTTPClient().fetch(url, **options)).body)


async def workers(stack, scheduler, *names):
    return [await stack.enter_async_context(named(scheduler, name)) for name in names]


either = pytest.mark.parametrize("http", [True, False], ids=["http", "rpc"])


def both(test, **config):
    """Run a test once over HTTP and once over RPC; `gen_cluster` takes no parameters of pytest's."""

    @either
    def run(http):
        @supreme(config={**CONFIG, **config})
        async def story(client, scheduler):
            await test(client, scheduler, Operator(scheduler, http=http))

        story()

    run.__name__ = test.__name__
    return run


@partial(both, **{"supreme.scaling.groups": QUICK})
async def test_the_operator_is_told_how_many_workers_its_group_needs(client, scheduler, operator):
    async with AsyncExitStack() as stack:
        await workers(stack, scheduler, "c-default-worker-1", "c-gpu-worker-1", "c-gpu-worker-2")
        futures = client.map(hold, range(14), **ONE)
        await until(lambda: len(BEGUN) == 6)
        assert await operator.desired() == 5  # 2 run, 4 on others, 8 wait
        GO.set()
        await client.gather(futures)
        assert await operator.desired() == 0


@both
async def test_the_operator_is_named_no_worker_of_another_group_and_no_busy_one(client, scheduler, operator):
    async with AsyncExitStack() as stack:
        default, busy, *_ = await workers(
            stack, scheduler, "c-default-worker-1", "c-default-worker-2", "c-gpu-worker-1", "c-gpu-worker-2"
        )
        future = client.submit(hold, 1, workers=[busy.address], **ONE)
        await until(lambda: BEGUN)
        assert await operator.retire(4) == ["c-default-worker-1"]
        assert default.address not in scheduler.workers
        GO.set()
        assert await future == 1
        assert len(BEGUN) == 1


@both
async def test_what_only_the_named_worker_holds_is_elsewhere_when_it_is_deleted(client, scheduler, operator):
    async with AsyncExitStack() as stack:
        first, second = await workers(stack, scheduler, "c-default-worker-1", "c-default-worker-2")
        kept = await client.scatter([b"x" * 1000] * 10, workers=[first.address], hash=False)
        more = await client.scatter([b"y" * 9000] * 10, workers=[second.address], hash=False)
        assert await operator.retire(1) == ["c-default-worker-1"]
        await first.close(nanny=False)
        assert await client.gather(kept) == [b"x" * 1000] * 10
        assert await client.gather(more) == [b"y" * 9000] * 10


@both
async def test_the_operator_is_named_nobody_whose_results_nobody_could_take(client, scheduler, operator):
    async with AsyncExitStack() as stack:
        await workers(stack, scheduler, "c-default-worker-1")
        only = await client.scatter(b"x" * 1000)
        assert await operator.retire(1) == []
        assert await client.submit(len, only) == 1000


@both
async def test_asking_changes_nothing(client, scheduler, operator):
    async with AsyncExitStack() as stack:
        await workers(stack, scheduler, "c-default-worker-1", "c-default-worker-2")
        for _ in range(5):
            assert await operator.desired() == 0
        async with rpc(scheduler.address) as comm:
            assert len(await comm.workers_to_close(n=2)) == 2
        assert not plugin(scheduler).drains.states()
        assert len(scheduler.running) == 2


@both
async def test_without_workers_one_is_asked_for_as_soon_as_something_waits(client, scheduler, operator):
    assert await operator.desired() == 0
    future = client.submit(hold, 1, **ONE)
    await until(lambda: scheduler.unrunnable)
    assert await operator.desired() == 1
    await future.cancel()


@supreme(config=CONFIG)
async def test_groups_that_are_closed_together_are_named_together(client, scheduler):
    async with AsyncExitStack() as stack:
        await workers(stack, scheduler, "a-0", "a-1", "b-0", "b-1")
        future = client.submit(hold, 1, workers=[scheduler.aliases["a-0"]], **ONE)
        await until(lambda: BEGUN)
        named = scheduler.workers_to_close(n=4, key=lambda ws: ws.name[0], attribute="name")
        assert sorted(named) == ["b-0", "b-1"]
        GO.set()
        await future


@supreme(config=CONFIG)
async def test_whom_somebody_else_chooses_is_retired_as_ever(client, scheduler):
    async with AsyncExitStack() as stack:
        first, _ = await workers(stack, scheduler, "a-0", "a-1")
        future = client.submit(hold, 1, workers=[first.address], allow_other_workers=True, **ONE)
        await until(lambda: BEGUN)
        retired = await client.retire_workers([first.address])
        assert list(retired) == [first.address]
        GO.set()
        assert await future == 1


@supreme(config=CONFIG)
async def test_plain_dask_answers_again_when_the_plugin_goes(client, scheduler):
    async with AsyncExitStack() as stack:
        await workers(stack, scheduler, "c-default-worker-1", "c-gpu-worker-1")
        await client.unregister_scheduler_plugin("supreme")
        await until(lambda: "workers_to_close" not in vars(scheduler))
        async with rpc(scheduler.address) as comm:
            assert len(await comm.workers_to_close(n=2)) == 2


GROUP = {
    "name": "adaptive",
    "threads": 2,
    "memory": 4 * GiB,
    "resources": {},
    "minimum": 0,
    "maximum": 5,
    "startup": 0,
}


async def ask(scheduler, *workers, **options):
    async with rpc(scheduler.address) as comm:
        wire = await comm.supreme_scale(group={**GROUP, **options.pop("group", {})}, workers=list(workers), **options)
        return Plan.from_wire(wire)


@supreme(config={**CONFIG, "supreme.scaling.interval": "20ms"})
async def test_drains_end_when_nobody_asks_for_the_plan_any_more(client, scheduler):
    async with AsyncExitStack() as stack:
        first, _ = await workers(stack, scheduler, "0", "1")
        future = client.submit(hold, 1, workers=[first.address], **ONE)
        await until(lambda: BEGUN)
        plan = await ask(scheduler, "0", "1", group={"maximum": 0})
        assert set(plan.targets[0].victims) == {"0", "1"}
        assert "0" in plugin(scheduler).drains.states()
        await until(lambda: not plugin(scheduler).drains.states())
        assert first.address in {ws.address for ws in scheduler.running}
        GO.set()
        assert await future == 1


@supreme(config={**CONFIG, "supreme.scaling.interval": "20ms", "supreme.scaling.launch-timeout": "100ms"})
async def test_one_that_came_while_nobody_asked_stays_though_it_had_been_given_up(client, scheduler):
    future = client.submit(hold, 1, **ONE)
    await until(lambda: scheduler.unrunnable)
    await ask(scheduler)
    await ask(scheduler, "0")
    await until(lambda: plugin(scheduler).scaling.plan.removable)
    await until(lambda: not plugin(scheduler).scaling.wanted)
    async with AsyncExitStack() as stack:
        await workers(stack, scheduler, "0")
        await until(lambda: BEGUN)
        for _ in range(10):
            assert not (await ask(scheduler, "0")).removable
            await asyncio.sleep(0.02)
        GO.set()
        assert await future == 1


@supreme(config={"supreme.scaling.interval": "20ms"})
async def test_what_the_store_says_is_in_force_again_when_nobody_asks_any_more(client, scheduler):
    engine, stay = plugin(scheduler).scaling, {"rest": {"kind": "idle", "after-seconds": 1000}}
    engine.begin(lambda _: None)
    engine.take_document("policy/default", stay)
    await ask(scheduler, policy=SOON)
    engine.take_document("groups/default", {"small": {"cpu": 1}})
    await until(lambda: list(engine.rules.groups) == ["small"])
    assert engine.rules.policy == stay


@supreme(config=CONFIG)
async def test_who_cannot_launch_is_asked_for_nobody_for_a_while(client, scheduler):
    future = client.submit(hold, 1, **ONE)
    await until(lambda: scheduler.unrunnable)
    assert (await ask(scheduler)).targets[0].workers == 1
    await ask(scheduler, blocked="no machine left")
    await until(lambda: plugin(scheduler).scaling.plan.targets[0].workers == 0)
    await future.cancel()


@supreme(config=CONFIG)
async def test_of_workers_that_nobody_knows_one_is_asked_for_first(client, scheduler):
    unknown = {"threads": None, "memory": None}
    assert (await ask(scheduler, group=unknown)).targets[0].workers == 0
    futures = client.map(hold, range(20), **ONE)
    await until(lambda: len(scheduler.unrunnable) == 20)
    assert (await ask(scheduler, group=unknown)).targets[0].workers == 1
    async with AsyncExitStack() as stack:
        await workers(stack, scheduler, "job-0")
        await ask(scheduler, "job-0", group=unknown)
        await until(lambda: plugin(scheduler).scaling.plan.targets[0].workers == 5)
        GO.set()
        await client.gather(futures)


@supreme(config=CONFIG)
async def test_two_do_not_scale_the_same_workers(client, scheduler):
    plugin(scheduler).scaling.begin(print, groups=[WorkerGroup("small")])
    with pytest.raises(ScalingError, match="small"):
        await ask(scheduler)
