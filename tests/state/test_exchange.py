"""Scaling by what is in the store: policies and groups come from there, plans go there."""

import asyncio
from functools import partial

from distributed import Client, Scheduler, Worker

from supreme_dask.core.plans import Progress, supersedes
from supreme_dask.scheduler.exchange import Exchange
from supreme_dask.scheduler.plugin import SupremePlugin
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.scheduler.rules import Rules
from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.plans import Plans
from supreme_dask.stores.registry import next_epoch

GROUPS = {"small": {"cpu": 1, "memory": "1 GiB", "minimum": 2}}
LARGER = {"small": {"cpu": 1, "memory": "1 GiB", "minimum": 5}}


def run(address, story):
    """Run a story with a scheduler that scales by a store."""

    async def told():
        async with (
            asyncio.timeout(60),
            open_store(address) as store,
            Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler,
        ):
            for plugin in (SupremePlugin(), SchedulerRegistration(address, "blue"), Exchange(address, "blue")):
                await scheduler.register_scheduler_plugin(plugin, idempotent=True)
            await story(scheduler, store)

    asyncio.run(told())


async def first(plans, matches):
    return await anext(plan async for plan in plans.follow() if matches(plan))


def asks_for(count):
    return lambda plan: [target.workers for target in plan.targets] == [count]


def test_groups_that_are_published_are_scaled_and_the_plan_is_in_the_store(address):
    async def story(scheduler, store):
        plans = Plans(store, "blue")
        await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
        before = await first(plans, asks_for(2))
        assert before.epoch == 1
        await Documents(store, "blue").publish("groups/default", LARGER, author="ann")
        after = await first(plans, asks_for(5))
        assert after.generation > before.generation

    run(address, story)


def test_plans_go_on_to_be_later_when_another_plugin_takes_over(address):
    async def story(scheduler, store):
        plans = Plans(store, "blue")
        await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
        await first(plans, asks_for(2))
        await Documents(store, "blue").publish("groups/default", LARGER, author="ann")
        before = await first(plans, asks_for(5))
        assert before.scheduler == scheduler.address
        await scheduler.register_scheduler_plugin(SupremePlugin(), idempotent=False)
        largest = {"small": {**GROUPS["small"], "minimum": 7}}
        await Documents(store, "blue").publish("groups/default", largest, author="ann")
        assert supersedes(await first(plans, asks_for(7)), before)

    run(address, story)


def test_what_is_rolled_back_holds_at_once(address, until):
    async def story(scheduler, store):
        async def holds(minimum):
            groups = scheduler.plugins["supreme"].scaling.rules.groups
            return "small" in groups and groups["small"].minimum == minimum

        documents = Documents(store, "blue")
        await documents.publish("groups/default", GROUPS, author="ann")
        await documents.publish("groups/default", LARGER, author="ann")
        await until(partial(holds, 5))
        await documents.roll_back("groups/default", 1, author="ann")
        await until(partial(holds, 2))

    run(address, story)


def test_a_controller_that_cannot_launch_is_heard(address):
    async def story(scheduler, store):
        plans = Plans(store, "blue")
        await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
        await first(plans, asks_for(2))
        await plans.report(Progress("here", {}, {"small": "quota exceeded"}))
        plan = await first(plans, asks_for(0))
        assert "quota exceeded" in plan.targets[0].reason

    run(address, story)


def test_a_scheduler_that_was_overtaken_publishes_no_more(address, until):
    async def story(scheduler, store):
        plans = Plans(store, "blue")
        await Documents(store, "blue").publish("groups/default", GROUPS, author="ann")
        await first(plans, asks_for(2))
        await next_epoch(store, "blue")
        await Documents(store, "blue").publish("groups/default", LARGER, author="ann")

        async def has_tried():
            return scheduler.plugins["supreme"].scaling.plan.targets[0].workers == 5

        await until(has_tried)
        await asyncio.sleep(0.2)
        assert asks_for(2)(await plans.newest())

    run(address, story)


def test_a_store_that_is_down_keeps_nobody_from_computing():
    async def story():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            for plugin in (SupremePlugin(), Exchange("etcd://127.0.0.1:1", "blue")):
                await scheduler.register_scheduler_plugin(plugin, idempotent=True)
            async with (
                Worker(scheduler.address, nthreads=1, dashboard_address="127.0.0.1:0"),
                Client(scheduler.address, asynchronous=True) as client,
            ):
                assert await client.submit(abs, -1) == 1

    asyncio.run(story())


def test_a_document_that_cannot_be_used_leaves_what_was_there_in_force():
    said = []
    rules = Rules(said.append)
    rules.take_document("groups/default", GROUPS)
    rules.take_document("policy/default", {"high_cpu": {"threshold": 80, "action": "add_node"}})
    rules.take_document("groups/default", {"small": {"minimum": 5, "maximum": 2}})
    rules.take_document("policy/default", {"high_moon": {"threshold": 80, "action": "add_node"}})
    assert (list(rules.groups), list(rules.policy)) == (["small"], ["high_cpu"])
    assert rules.groups["small"].minimum == 2
    assert "groups/default is refused" in said[0]
    assert "minimum of 5" in said[0]
    assert "policy/default is refused" in said[1]
    assert "moon" in said[1]


def test_a_policy_that_names_groups_which_are_not_there_is_in_force_and_that_is_said_once():
    said = []
    rules = Rules(said.append)
    night = {"night": {"kind": "schedule", "maximum": {"large": 1}}}
    rules.take_document("policy/default", night)
    assert said == []  # no groups are published yet
    for groups in (GROUPS, LARGER, {**GROUPS, "large": {}}):
        rules.take_document("groups/default", groups)
    assert rules.policy == night
    assert said == [
        "the policy names groups that are not there: $.night.maximum: unknown group 'large'; known are small"
    ]


def test_a_document_of_another_name_is_somebody_elses():
    rules = Rules(print)
    rules.take_document("groups/night", GROUPS)
    assert not rules.groups
