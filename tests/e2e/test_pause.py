"""Workers whose memory is counted may fill it."""

import dask
import pytest
from distributed import Client

from supreme_dask import SupremeCluster, WorkerGroup


def pause_fraction(dask_worker):
    return dask_worker.memory_manager.memory_pause_fraction


@pytest.mark.parametrize(("setting", "found"), [(0.94, 0.94), (0.5, 0.8), (None, 0.8)])
def test_a_worker_pauses_late_unless_it_is_told_otherwise(setting, found):
    with (
        dask.config.set({"supreme.memory.pause": setting}),
        SupremeCluster([WorkerGroup("w", memory="500 MB")], dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(1)
        client.submit(int, pure=False).result()
        assert set(client.run(pause_fraction).values()) == {found}
