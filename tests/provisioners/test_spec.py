"""Workers of a cluster that is made of entries, and why they could not be had."""

import asyncio
import logging

from distributed import SpecCluster, Worker
from distributed.deploy.spec import ProcessInterface

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.provisioners.spec import SpecProvisioner

SMALL = WorkerGroup("small", cpu=1, memory="512 MiB")


class OverQuota(ProcessInterface):
    """A worker of a machine that cannot be had; what its class says of it names no reason."""

    def __init__(self, _scheduler, name):
        super().__init__()

    async def start(self):
        raise RuntimeError("Worker failed to start.") from OSError("QuotaExceeded: 10 of 10 machines are in use")


def test_why_a_worker_could_not_start_is_told_whole():
    async def story():
        scheduler = {
            "cls": "distributed.Scheduler",
            "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"},
        }
        async with SpecCluster(
            {}, scheduler, {"cls": Worker}, asynchronous=True, silence_logs=logging.ERROR
        ) as cluster:
            provisioner = SpecProvisioner(cluster, ["small"], lambda _: {"cls": OverQuota, "options": {}})
            await provisioner.launch(SMALL, 1)
            while await provisioner.workers():  # noqa: ASYNC110  it tells only who asks
                await asyncio.sleep(0.01)
            return await provisioner.last_words("small-0")

    words = asyncio.run(asyncio.wait_for(story(), 60))
    assert words == "Worker failed to start: QuotaExceeded: 10 of 10 machines are in use"
