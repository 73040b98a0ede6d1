"""Pods keep the contract of provisioners: a real API server, nodes that run containers as processes, real workers."""

import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

from distributed import Scheduler

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.provisioners.kubernetes.api import PodsApi
from supreme_dask.provisioners.kubernetes.manifests import Maker
from supreme_dask.provisioners.kubernetes.provisioner import KubernetesProvisioner
from supreme_dask.testing import ProvisionerContract

ADDRESS = "10.244.0.1"  # of the machine of the lab, for its pods
IMAGE = "supreme-dask:dev"


class TestKubernetes(ProvisionerContract):
    impossible = WorkerGroup("impossible", pod={"spec": {"containers": [{"name": "No Name"}]}})

    @asynccontextmanager
    async def open(self, directory):
        async with Scheduler(host=ADDRESS, port=0, dashboard_address="127.0.0.1:0") as scheduler:
            maker = Maker("contract", "etcd://127.0.0.1:1", IMAGE)
            provisioner = KubernetesProvisioner(await PodsApi.connect(None, maker.selector), maker)
            async with provisioner:
                provisioner._scheduler = scheduler.address
                yield provisioner

    async def crash(self, provisioner, name):
        kill_container(provisioner._view.pods[name].uid)


def kill_container(uid):
    """Kill the main process of a pod's container."""
    (pid,) = Path(os.environ["KUBE_LAB"]).glob(f"nodes/*/{uid}/worker/pid")
    os.kill(int(pid.read_text()), signal.SIGKILL)
