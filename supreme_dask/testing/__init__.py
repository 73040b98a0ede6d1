"""Contracts that extensions must keep, as test classes to derive from; needs pytest."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "supreme_dask.testing.store_keys", "supreme_dask.testing.store_leases", "supreme_dask.testing.provisioners"
)

from supreme_dask.testing.provisioners import ProvisionerContract  # noqa: E402
from supreme_dask.testing.proxy import Proxy  # noqa: E402
from supreme_dask.testing.stores import StoreContract  # noqa: E402  rewriting must be set up first
from supreme_dask.testing.support import collect, with_store  # noqa: E402

__all__ = ["ProvisionerContract", "Proxy", "StoreContract", "collect", "with_store"]
