"""The contract of stores, whole."""

from __future__ import annotations

from supreme_dask.testing.store_keys import KeyContract, TransactionContract
from supreme_dask.testing.store_leases import LeaseContract, WatchContract


class StoreContract(KeyContract, TransactionContract, LeaseContract, WatchContract):
    """Derive from it and define a fixture `address`; every store must pass every test.

    The address must name an empty store, or an empty part of one, for each test::

        class TestMyStore(StoreContract):
            @pytest.fixture
            def address(self, tmp_path):
                return f"mine://{tmp_path}/store"
    """
