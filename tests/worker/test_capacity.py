"""What a worker says it has, before it registers."""

import pytest
from distributed.system import MEMORY_LIMIT

from supreme_dask.errors import DemandError
from supreme_dask.worker.capacity import declare
from tests.scheduler.clusters import plain

GiB = 2**30


@plain(("127.0.0.1", 3, {"memory_limit": "2 GiB"}))
async def test_a_worker_declares_its_threads_its_limit_and_the_stated_network(c, s, a):
    declare(a)
    assert a.state.total_resources == {"cpu": 3, "memory": 2 * GiB, "network": 1.25e9}
    assert a.state.available_resources == a.state.total_resources


@plain(("127.0.0.1", 3, {"resources": {"CPU": 2, "memory": 1 * GiB, "GPU": 1}}))
async def test_what_its_user_declared_stays_under_the_name_he_gave_it(c, s, a):
    declare(a)
    assert a.state.total_resources == {"CPU": 2, "memory": 1 * GiB, "GPU": 1, "network": 1.25e9}


@plain(("127.0.0.1", 1, {"memory_limit": "2 GiB", "resources": {"MEMORY": 16}}))
async def test_memory_that_cannot_be_bytes_is_a_resource_of_its_own(c, s, a):
    declare(a)
    assert a.state.total_resources == {"MEMORY": 16, "memory": 2 * GiB, "cpu": 1, "network": 1.25e9}


@plain(("127.0.0.1", 1, {"resources": {"memory": 2**50}}))
async def test_more_memory_than_the_machine_has_is_cut_with_a_warning(c, s, a, caplog):
    declare(a)
    assert a.state.total_resources["memory"] == MEMORY_LIMIT
    (warning,) = [record for record in caplog.records if record.name.startswith("supreme_dask")]
    assert "its machine or control group has" in warning.getMessage()


@plain(("127.0.0.1", 1, {"memory_limit": 0}))
async def test_a_worker_without_a_limit_has_what_its_machine_has(c, s, a):
    declare(a)
    assert a.state.total_resources["memory"] == MEMORY_LIMIT


@plain(("127.0.0.1", 1))
async def test_an_amount_that_cannot_be_is_an_error(c, s, a):
    before = a.state.total_resources
    a.state.total_resources = {"GPU": -1}
    with pytest.raises(DemandError, match="GPU"):
        declare(a)
    a.state.total_resources = before
