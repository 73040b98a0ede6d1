import json
import os
import signal
from contextlib import asynccontextmanager

from distributed import Nanny, Scheduler, SpecCluster

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.provisioners.local import LocalProvisioner
from supreme_dask.provisioners.spec import SpecProvisioner
from supreme_dask.testing import ProvisionerContract

SCHEDULER = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}


class TestLocal(ProvisionerContract):
    impossible = WorkerGroup("taken")

    @asynccontextmanager
    async def open(self, directory):
        self.workers = directory / "workers"
        self.workers.mkdir(exist_ok=True)
        (self.workers / "taken-0").touch()  # where the directory of its worker would be
        async with Scheduler(**SCHEDULER) as scheduler:
            with LocalProvisioner(self.workers, scheduler=scheduler.address) as provisioner:
                yield provisioner

    async def crash(self, provisioner, name):
        written = json.loads((self.workers / name / "process.json").read_text())
        os.kill(written["process"]["pid"], signal.SIGKILL)


class TestSpec(ProvisionerContract):
    impossible = WorkerGroup("dear")
    outlives = False

    @asynccontextmanager
    async def open(self, directory):
        def spec(group):
            if group is self.impossible:
                raise ValueError("over your quota")
            options = {"nthreads": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
            return {"cls": Nanny, "options": {**options, "local_directory": str(directory)}}

        scheduler = {"cls": Scheduler, "options": SCHEDULER}
        async with SpecCluster(scheduler=scheduler, asynchronous=True) as cluster:
            self.cluster = cluster
            yield SpecProvisioner(cluster, ["small", "small-large", "dear"], spec)

    async def crash(self, provisioner, name):
        await self.cluster.workers[name].close()
