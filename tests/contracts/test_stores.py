import uuid

import pytest

from supreme_dask.testing import StoreContract


class TestMemory(StoreContract):
    @pytest.fixture
    def address(self):
        return f"memory://{uuid.uuid4()}"


class TestSQLite(StoreContract):
    @pytest.fixture
    def address(self, tmp_path):
        return f"sqlite://{tmp_path}/store.db"
