import asyncio
import uuid

import pytest

from supreme_dask.stores import open_store


@pytest.fixture(scope="package")
def one_member(tmp_path_factory):
    from supreme_dask.errors import MissingProgramError
    from supreme_dask.stores.local_etcd import LocalEtcd

    try:
        cluster = LocalEtcd(tmp_path_factory.mktemp("etcd"), arguments=["--unsafe-no-fsync"])
    except MissingProgramError as error:
        pytest.skip(str(error))
    with cluster:
        yield cluster


@pytest.fixture(params=["memory", "sqlite", "etcd"])
def address(request, tmp_path):
    if request.param == "memory":
        return f"memory://{uuid.uuid4()}"
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/store.db"
    return request.getfixturevalue("one_member").url(str(uuid.uuid4()))


@pytest.fixture
def on():
    """Run a story with an open store."""

    def run(address, story):
        async def told():
            async with asyncio.timeout(60), open_store(address) as store:
                await story(store)

        asyncio.run(told())

    return run


@pytest.fixture
def until():
    """Wait for a condition, by a deadline."""

    async def wait(condition, seconds=30):
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110  the condition is in another process, or in the store
                await asyncio.sleep(0.02)

    return wait
