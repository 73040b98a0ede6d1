import asyncio
import logging
from dataclasses import replace

import pytest

from supreme_dask.controller.controller import Controller
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Target
from tests.controller.provisioners import OnPaper

SMALL, LARGE = WorkerGroup("small"), WorkerGroup("large")


@pytest.fixture
def provisioner():
    return OnPaper()


@pytest.fixture
def controller(provisioner):
    return Controller(provisioner, [SMALL, LARGE])


def plan(generation, small=0, large=0, *, epoch=0, victims=(), removable=()):
    targets = (Target("small", small, tuple(victims), "a test wants it"), Target("large", large, (), "so"))
    return Plan(generation, targets, epoch=epoch, removable=tuple(removable))


def run(story):
    asyncio.run(asyncio.wait_for(story, 30))


def test_each_group_gets_its_workers_and_the_progress_names_them(controller, provisioner):
    async def story():
        progress = await controller.carry_out(plan(1, small=2, large=1))
        assert progress.workers == {"small-0": "small", "small-1": "small", "large-0": "large"}
        assert not progress.blocked
        assert await controller.carry_out(plan(2, small=2, large=1)) == progress
        assert provisioner.launches == 2

    run(story())


def test_exactly_the_retired_are_removed_and_a_victim_only_then(controller, provisioner):
    async def story():
        await controller.carry_out(plan(1, small=3))
        await controller.carry_out(plan(2, small=2, victims=["small-1"]))
        assert not provisioner.removed
        await controller.carry_out(plan(3, small=2, victims=["small-1"], removable=["small-1"]))
        await controller.stop()
        assert provisioner.removed == ["small-1"]
        assert (await controller.look()).workers == {"small-0": "small", "small-2": "small"}

    run(story())


def test_one_that_is_being_removed_is_removed_once_and_counts_as_the_plan_says(controller, provisioner):
    async def story():
        await controller.carry_out(plan(1, small=1))
        provisioner.may_leave.clear()
        await controller.carry_out(plan(2, small=1, removable=["small-0"]))
        assert set((await controller.look()).workers) == {"small-0", "small-1"}
        # As of a scheduler that has just started: it takes small-0 for one that is coming, and has it in its number.
        await controller.carry_out(plan(3, small=2))
        assert set((await controller.look()).workers) == {"small-0", "small-1"}
        provisioner.may_leave.set()
        await controller.stop()
        assert provisioner.removed == ["small-0"]
        assert set((await controller.look()).workers) == {"small-1", "small-2"}

    run(story())


def test_workers_that_others_made_are_counted_as_the_plan_counts_them(controller, provisioner):
    async def story():
        mine = {"small-mine": "small"}
        for generation in range(1, 6):  # a scheduler that sees three, and wants as many as it sees
            progress = await controller.carry_out(replace(plan(generation, small=3), others=mine))
            assert set(progress.workers) == {"small-0", "small-1"}

    run(story())


def test_never_more_than_its_maximum_exist_of_a_group_those_that_are_ending_counted(provisioner):
    async def story():
        controller = Controller(provisioner, [WorkerGroup("small", maximum=2)])
        assert len((await controller.carry_out(plan(1, small=50))).workers) == 2
        provisioner.may_leave.clear()
        await controller.carry_out(plan(2, small=2, victims=["small-0"], removable=["small-0"]))
        for _ in range(3):
            assert set((await controller.look()).workers) == {"small-0", "small-1"}
        provisioner.may_leave.set()
        await controller.stop()
        assert set((await controller.look()).workers) == {"small-1", "small-2"}

    run(story())


def test_nothing_is_launched_once_its_leadership_does_not_hold_and_its_workers_are_removed_as_ever(provisioner):
    async def story():
        controller, leads = Controller(provisioner, [SMALL]), [True]
        controller.lead(term=3, holds=lambda: leads[0])
        assert (await controller.carry_out(replace(plan(1, small=1), heard=2))).workers == {}
        assert set((await controller.carry_out(replace(plan(2, small=1), heard=3))).workers) == {"small-0"}
        leads[0] = False
        assert (await controller.carry_out(replace(plan(3, small=2), heard=3))).term == 0
        await controller.carry_out(replace(plan(4, small=5, removable=["small-0"]), heard=3))
        await controller.stop()
        assert (await controller.look()).workers == {}

    run(story())


def test_a_blown_fuse_is_reported_and_reset_by_a_change_of_the_group(provisioner, caplog):
    async def story():
        controller = Controller(provisioner, [SMALL, LARGE], launches_per_hour=3)
        for generation in range(1, 4):
            progress = await controller.carry_out(plan(generation, small=5, large=1))
        assert list(progress.workers.values()) == ["small"] * 3 + ["large"]
        assert "3 workers of group small were launched within an hour" in progress.blocked["small"]
        assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
        controller.change_groups([replace(SMALL, labels={"zone": "b"}), LARGE])
        assert len((await controller.look()).workers) == 6

    run(story())


def test_a_plan_of_an_earlier_scheduler_or_an_earlier_plan_is_refused(controller):
    async def story():
        progress = await controller.carry_out(plan(5, small=1, epoch=2))
        assert await controller.carry_out(plan(9, small=9, epoch=1)) == progress
        assert await controller.carry_out(plan(4, small=9, epoch=2)) == progress
        assert len((await controller.carry_out(plan(1, small=2, epoch=3))).workers) == 2

    run(story())


def test_a_worker_that_crashed_is_replaced_at_once_under_a_new_name(controller, provisioner):
    async def story():
        await controller.carry_out(plan(1, small=2))
        provisioner.joined = {"small-0", "small-1"}
        await controller.look()
        del provisioner.existing["small-1"]
        progress = await controller.look()
        assert set(progress.workers) == {"small-0", "small-2"}
        assert not progress.blocked

    run(story())


def test_one_that_ends_before_it_joined_blocks_its_group_with_its_last_words(controller, provisioner):
    async def story():
        await controller.carry_out(plan(1, small=3, large=1))
        provisioner.existing = {"large-0": "large"}
        progress = await controller.look()
        assert set(progress.workers) == {"large-0"}
        assert "said farewell" in progress.blocked["small"]
        controller.start()
        await until(lambda: "small" not in controller.progress.blocked)
        assert set(controller.progress.workers) == {"large-0", "small-3"}  # one is tried, not three
        provisioner.joined = {"small-3"}
        await until(lambda: len(controller.progress.workers) == 4)
        await controller.stop()

    run(story())


def test_a_group_that_cannot_be_had_is_told_and_keeps_no_other_from_its_workers(controller, provisioner):
    async def story():
        provisioner.refused = {"small": "over your quota"}
        progress = await controller.carry_out(plan(1, small=3, large=1))
        assert progress.workers == {"large-0": "large"}
        assert progress.blocked == {"small": "over your quota"}
        await controller.look()
        assert provisioner.launches == 2  # not again at once
        provisioner.refused = {}
        controller.start()
        await until(lambda: len(controller.progress.workers) == 2)
        await controller.stop()

    run(story())


def test_a_launch_may_raise_anything_and_keeps_no_other_group_from_its_workers(controller, provisioner):
    async def story():
        provisioner.broken = {"small"}
        progress = await controller.carry_out(plan(1, small=3, large=1))
        assert progress.workers == {"large-0": "large"}
        assert "image" in progress.blocked["small"]

    run(story())


def test_a_group_that_the_controller_does_not_have_is_told(controller):
    async def story():
        progress = await controller.carry_out(Plan(1, (Target("tiny", 1, (), "a mistake"),)))
        assert "only small, large" in progress.blocked["tiny"]

    run(story())


def test_a_plan_is_begun_at_once_and_of_several_only_the_last(controller, provisioner):
    async def story():
        controller.start()
        for generation in range(1, 9):
            assert controller.accept(plan(generation, small=generation))
        await until(lambda: len(controller.progress.workers) == 8)
        assert provisioner.launches == 1
        await controller.stop()

    run(story())


def test_a_provisioner_that_fails_for_a_while_is_asked_again(controller, provisioner):
    async def story():
        provisioner.faults = [OSError("the disk is full")]
        controller.start()
        controller.accept(plan(1, small=1))
        await until(lambda: controller.progress.workers)
        await controller.stop()

    run(story())


def test_one_that_fails_again_and_again_is_told_of_once_with_its_cause(provisioner, caplog):
    caplog.set_level(logging.DEBUG, "supreme_dask.controller")

    async def story():
        controller = Controller(provisioner, [SMALL])
        provisioner.faults = [OSError("the API is away")] * 2
        await controller.begin()
        provisioner.faults = [ValueError("and again")]
        await until(lambda: not provisioner.faults)
        await until(lambda: caplog.messages.count("The workers are looked after again") == 2)
        await controller.stop()

    run(story())
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    causes = [record.getMessage().removeprefix("The workers cannot be looked after now: ") for record in warned]
    assert causes == ["the API is away", "and again"]


def test_whoever_wants_to_know_is_told_of_each_change_and_of_nothing_else(controller, provisioner):
    told = []

    async def story():
        controller.on_progress = told.append
        await controller.look()
        await controller.carry_out(plan(1, small=1))
        await controller.look()
        del provisioner.existing["small-0"]
        await controller.look()

    run(story())
    assert [len(progress.workers) for progress in told] == [0, 1, 0]


async def until(condition):
    while not condition():  # noqa: ASYNC110  the controller tells of changes, not of conditions
        await asyncio.sleep(0.01)


def test_it_ends_though_a_removal_does_not(controller, provisioner):
    async def story():
        await controller.carry_out(plan(1, small=1))
        provisioner.may_leave.clear()
        await controller.carry_out(plan(2, removable=["small-0"]))
        await controller.stop(patience=0.01)
        assert not provisioner.removed

    run(story())


def test_why_a_worker_does_not_start_is_told_once_for_its_group_until_one_arrives(controller, provisioner, caplog):
    async def story():
        await controller.carry_out(plan(1, small=2, large=1))
        provisioner.troubles = {"small-0": "ErrImagePull", "small-1": "ErrImagePull", "large-0": ""}
        for _ in range(3):
            progress = await controller.look()
            assert progress.blocked == {"small": "small-0 does not start: ErrImagePull"}
            assert set(progress.workers) == {"small-0", "small-1", "large-0"}
        assert caplog.text.count("does not start") == 1
        provisioner.joined = {"small-0"}
        provisioner.troubles = {}
        assert not (await controller.look()).blocked

    run(story())


def test_what_has_arrived_is_not_asked_why_it_does_not_start(controller, provisioner):
    async def story():
        await controller.carry_out(plan(1, small=1))
        provisioner.joined, provisioner.troubles = {"small-0"}, {"small-0": "DisruptionTarget: a node is drained"}
        assert not (await controller.look()).blocked

    run(story())
