import uuid

import pytest

from supreme_dask.core.sharding import ranked
from supreme_dask.stores import open_store
from supreme_dask.stores.sharded import Shards
from supreme_dask.stores.sharded.moving import move
from supreme_dask.testing import StoreContract
from tests.contracts.rooms import Room


@pytest.fixture(scope="module")
def one_member(start_etcd):
    return start_etcd(1)


@pytest.fixture(scope="module")
def three_members(start_etcd):
    return start_etcd(3)


class TestMemory(StoreContract):
    @pytest.fixture
    def address(self):
        return f"memory://{uuid.uuid4()}"


class TestSQLite(StoreContract):
    @pytest.fixture
    def address(self, tmp_path):
        return f"sqlite://{tmp_path}/store.db"


class TestEtcd(StoreContract):
    @pytest.fixture
    def address(self, one_member):
        return one_member.url(f"test/{uuid.uuid4()}")


class TestEtcdOfThree(StoreContract):
    @pytest.fixture
    def address(self, three_members):
        return three_members.url(f"test/{uuid.uuid4()}")


class ShardedContract(StoreContract):
    """All of the contract, for the keys of one system of two shards."""

    system = "blue"

    def open(self, address):
        return Room(open_store(address, self.system), f"systems/{self.system}/")


class TestTheFirstOfTwoShards(ShardedContract):
    home = "east"

    @pytest.fixture
    def address(self, one_member, three_members):
        return shards(one_member.url(f"test/{uuid.uuid4()}"), three_members.url(f"test/{uuid.uuid4()}"))

    def test_that_shard_is_its_home(self):
        assert ranked(self.system, ["east", "west"])[0] == self.home


class TestTheSecondOfTwoShards(TestTheFirstOfTwoShards):
    system = "amber"
    home = "west"


class TestAfterAMove(ShardedContract):
    """The shard that it comes from has seen more revisions than the one that it goes to."""

    @pytest.fixture
    def address(self, tmp_path):
        return shards(f"sqlite://{tmp_path}/east.db", f"sqlite://{tmp_path}/west.db")

    def open(self, address):
        async def move_once():
            async with open_store(address, self.system) as store:
                if not (await store.list(f"systems/{self.system}/")).revision > 50:
                    for number in range(50):
                        await store.put(f"systems/{self.system}/before", b"%d" % number)
                    await store.delete(f"systems/{self.system}/before")
            homes = Shards.named(address)
            await move(homes, self.system, "west")
            await homes.close()

        return Room(open_store(address, self.system), f"systems/{self.system}/", before_opening=move_once)


def shards(east, west):
    return f"sharded:east={east};west={west}"
