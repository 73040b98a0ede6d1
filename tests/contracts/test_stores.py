import uuid

import pytest

from supreme_dask.testing import StoreContract


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
