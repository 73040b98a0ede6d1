"""Publishers on three real members of etcd, one of which is killed or hangs: what was told is true."""

import asyncio
import itertools

import pytest

from supreme_dask.core.revisions import breaks
from supreme_dask.errors import (
    AmbiguousWriteError,
    MissingProgramError,
    PublishConflictError,
    StoreUnavailableError,
)
from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.local_etcd import LocalEtcd

ENOUGH = 200  # revisions in all; the fault comes after a third, its end after two thirds


@pytest.fixture(scope="module")
def three_members(tmp_path_factory):
    try:
        cluster = LocalEtcd(tmp_path_factory.mktemp("etcd"), 3, arguments=["--unsafe-no-fsync"])
    except MissingProgramError as error:
        pytest.skip(str(error))
    with cluster:
        yield cluster


class Publishers:
    """Publish as fast as they can, and note what they were told."""

    def __init__(self, url):
        self.url = url
        self.acknowledged = {}
        self.refused = set()
        self.uncertain = set()
        self.numbers = itertools.count()

    async def reached(self, part):
        while len(self.acknowledged) < part * ENOUGH:  # noqa: ASYNC110  a count, not an event
            await asyncio.sleep(0.01)

    async def publish(self):
        async with open_store(self.url) as store:
            documents = Documents(store, "blue", keep=10_000)
            while len(self.acknowledged) < ENOUGH:
                await self.publish_once(documents, next(self.numbers))

    async def publish_once(self, documents, number):
        content = {"high_backlog": {"threshold": number, "action": "add_node"}}
        try:
            revision = await documents.publish("policy/default", content, author=f"{number}")
        except (PublishConflictError, StoreUnavailableError):
            self.refused.add(number)
        except AmbiguousWriteError:
            self.uncertain.add(number)
        else:
            self.acknowledged[number] = revision

    def check(self, history):
        assert breaks(history) == ()
        assert [one.number for one in history] == list(range(1, len(history) + 1))
        kept = {int(one.author): one for one in history}
        assert len(kept) == len(history)
        assert self.acknowledged.items() <= kept.items()
        assert not self.refused & kept.keys()
        assert kept.keys() - self.acknowledged.keys() <= self.uncertain


@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("victim", ["leader", "first"])
def test_what_publishers_are_told_is_true(three_members, fault, victim):
    member = three_members.leader() if victim == "leader" else three_members.members[0]
    publishers = Publishers(three_members.url(f"{fault}-{victim}", timeout="2"))

    async def nemesis():
        await publishers.reached(1 / 3)
        (member.kill if fault == "kill" else member.pause)()
        await publishers.reached(2 / 3)
        (member.start if fault == "kill" else member.resume)()

    async def story():
        async with asyncio.timeout(100):
            await asyncio.gather(nemesis(), *(publishers.publish() for _ in range(4)))
        await asyncio.to_thread(three_members.wait)
        async with open_store(publishers.url) as store:
            publishers.check(await Documents(store, "blue").history("policy/default"))

    asyncio.run(story())
