from contextlib import ExitStack

import pytest

from supreme_dask.errors import MissingProgramError
from supreme_dask.stores.local_etcd import LocalEtcd


@pytest.fixture(scope="module")
def start_etcd(tmp_path_factory):
    """Start clusters that live as long as the module's tests; skip with the reason where there is no etcd."""
    with ExitStack() as clusters:

        def start(members=1, *arguments, tls=False):
            directory = tmp_path_factory.mktemp("etcd")
            try:
                cluster = LocalEtcd(directory, members, arguments=arguments, tls=tls, durable=False)
            except MissingProgramError as error:
                pytest.skip(str(error))
            return clusters.enter_context(cluster)

        yield start
