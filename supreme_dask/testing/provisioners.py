"""The contract of provisioners."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan
from supreme_dask.errors import ProvisionError
from supreme_dask.provisioners.base import Provisioner

_PATIENCE = 100.0


def with_provisioner(test: Callable[[Any, Any], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """Make an ordinary test of a coroutine that takes a provisioner; all of its workers are removed in the end."""

    def run(self: ProvisionerContract, tmp_path: Path) -> None:
        async def story() -> None:
            async with asyncio.timeout(_PATIENCE), self.open(tmp_path) as provisioner:
                try:
                    await test(self, provisioner)
                finally:
                    await provisioner.remove(list(await provisioner.workers()))

        asyncio.run(story())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


class ProvisionerContract:
    """Derive from it and define `open` and `crash`; every provisioner must pass every test.

    Attributes
    ----------
    small, large : WorkerGroup
        Two groups that it can make workers of.
    impossible : WorkerGroup
        One that it cannot.
    outlives : bool
        Whether its workers run on when it is left; otherwise they end with it, and so does their scheduler.
    """

    small = WorkerGroup("small", cpu=1, memory="512 MiB")
    large = WorkerGroup("small-large", cpu=2, memory="512 MiB")
    impossible: WorkerGroup
    outlives = True

    @abstractmethod
    def open(self, directory: Path) -> AbstractAsyncContextManager[Provisioner]:
        """Return a provisioner that knows the three groups and has no workers but those of an earlier life.

        Parameters
        ----------
        directory
            For what the provisioner keeps: empty, or as an earlier life has left it.
        """

    @abstractmethod
    async def crash(self, provisioner: Any, name: str) -> None:
        """End a worker, as by an accident.

        Parameters
        ----------
        provisioner
            What `open` returned, entered.
        name
            Name of the worker.
        """

    @with_provisioner
    async def test_exactly_so_many_are_launched(self, provisioner: Provisioner) -> None:
        assert await provisioner.workers() == {}
        await asyncio.gather(provisioner.launch(self.small, 2), provisioner.launch(self.large, 1))
        assert sorted((await provisioner.workers()).values()) == ["small", "small", "small-large"]
        await provisioner.launch(self.small, 1)
        assert sorted((await provisioner.workers()).values()) == ["small", "small", "small", "small-large"]

    @with_provisioner
    async def test_names_begin_with_the_group_and_are_never_given_twice(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 2)
        first = set(await provisioner.workers())
        assert all(name.rpartition("-")[0] == "small" for name in first)
        await provisioner.remove(first)
        await provisioner.launch(self.small, 2)
        second = set(await provisioner.workers())
        assert len(second) == 2
        assert not first & second

    @with_provisioner
    async def test_names_that_others_have_are_not_given(self, provisioner: Provisioner) -> None:
        others = {"small-0": "small", "small-1": "small", "small-mine": "small"}
        await provisioner.heed(Plan(1, (), others=others))
        await provisioner.launch(self.small, 2)
        assert not {"small-0", "small-1"} & set(await provisioner.workers())

    @with_provisioner
    async def test_exactly_those_that_are_named_are_removed(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 3)
        one, two, three = await provisioner.workers()
        await self._arrival(provisioner, {one, two, three})
        await provisioner.remove([one, three])
        assert list(await provisioner.workers()) == [two]

    @with_provisioner
    async def test_one_that_has_not_started_can_be_removed(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 2)
        one, two = await provisioner.workers()
        await provisioner.remove([one])
        await self._arrival(provisioner, {two})
        assert list(await provisioner.workers()) == [two]

    @with_provisioner
    async def test_removing_who_is_not_there_changes_nothing(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 1)
        before = await provisioner.workers()
        await provisioner.remove(["small-99", "who", ""])
        await provisioner.remove([])
        assert await provisioner.workers() == before

    @with_provisioner
    async def test_a_worker_that_has_joined_its_scheduler_has_arrived(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 1)
        (name,) = await provisioner.workers()
        assert name not in await provisioner.arrived()
        await self._arrival(provisioner, {name})

    @with_provisioner
    async def test_a_launch_that_fails_says_why_and_leaves_nothing(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 1)
        before = await provisioner.workers()
        with pytest.raises(ProvisionError) as caught:
            await provisioner.launch(self.impossible, 3)
        assert caught.value.group == self.impossible.name
        assert caught.value.reason
        assert await provisioner.workers() == before
        await provisioner.launch(self.small, 1)
        assert len(await provisioner.workers()) == 2

    @with_provisioner
    async def test_when_one_crashes_the_others_stay_and_it_can_be_replaced(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 2)
        one, two = await provisioner.workers()
        await self._arrival(provisioner, {one, two})
        await self.crash(provisioner, one)
        while one in await provisioner.workers():  # noqa: ASYNC110  a provisioner is asked, it tells nothing
            await asyncio.sleep(0.05)
        assert list(await provisioner.workers()) == [two]
        assert one in await provisioner.arrived()
        assert await provisioner.last_words(one)
        await provisioner.launch(self.small, 1)
        (new,) = (await provisioner.workers()).keys() - {two}
        assert new != one

    def test_a_later_life_finds_the_workers_and_gives_no_name_again(self, tmp_path: Path) -> None:
        async def story() -> None:
            async with self.open(tmp_path) as provisioner:
                await provisioner.launch(self.small, 2)
                names = set(await provisioner.workers())
                removed, left = sorted(names)
                await provisioner.remove([removed])
            async with self.open(tmp_path) as later:
                assert await later.workers() == ({left: self.small.name} if self.outlives else {})
                await later.launch(self.small, 1)
                there = await later.workers()
                assert not self.outlives or len(there.keys() - names) == 1
                await later.remove(list(there))
                assert await later.workers() == {}

        asyncio.run(asyncio.wait_for(story(), _PATIENCE))

    @with_provisioner
    async def test_of_one_that_starts_in_order_no_trouble_is_told(self, provisioner: Provisioner) -> None:
        await provisioner.launch(self.small, 1)
        (name,) = await provisioner.workers()
        assert not await provisioner.trouble(name)
        assert not await provisioner.trouble("small-99")

    async def _arrival(self, provisioner: Provisioner, names: set[str]) -> None:
        while not names <= set(await provisioner.arrived()):
            assert names <= (await provisioner.workers()).keys()
            await asyncio.sleep(0.05)
