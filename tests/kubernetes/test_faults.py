"""Whatever the API server does to its answers, in the end the pods are those that were launched and not removed."""

import asyncio
import os
import random
from contextlib import asynccontextmanager, suppress

import pytest

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.errors import ProvisionError
from supreme_dask.provisioners.kubernetes.api import PodsApi
from supreme_dask.provisioners.kubernetes.manifests import Maker
from supreme_dask.provisioners.kubernetes.provisioner import KubernetesProvisioner
from tests.kubernetes import admin
from tests.kubernetes.faults import Faults
from tests.scheduler.clusters import until

STEPS = int(os.environ.get("SUPREME_KUBERNETES_STEPS", "60"))
SEED = int(os.environ.get("SUPREME_KUBERNETES_SEED", "0"))
LEAST, MOST = 4, 10  # pods
GROUP = WorkerGroup("f", cpu=0.1, memory="64 MiB")
SLEEPING = {
    "spec": {
        "containers": [{"name": "worker", "args": ["sleep", "100000"], "startupProbe": None}],
        "terminationGracePeriodSeconds": 1,
    }
}


@asynccontextmanager
async def behind_faults(credentials, system):
    """Give a provisioner whose API server can be made to fail, and what makes it."""
    faults = Faults(admin.server(), admin.certificate(), SEED)
    async with faults.serve() as address:
        credentials(server=address)
        maker = Maker(system, "", "supreme-dask:dev", template=SLEEPING)
        async with KubernetesProvisioner(await PodsApi.connect(None, maker.selector), maker) as provisioner:
            yield provisioner, faults


@pytest.mark.timeout(120 + 3 * STEPS)
def test_no_pod_too_many_and_none_forgotten(credentials):
    def truth():
        return {pod["metadata"]["name"] for pod in admin.pods("faults") if "deletionTimestamp" not in pod["metadata"]}

    async def story():
        async with behind_faults(credentials, "faults") as (provisioner, faults):
            await provisioner.workers()
            faults.part = 0.25
            wanted = await befall(provisioner)
            faults.part = 0.0
            await until(lambda: truth() == {pod.name for pod in provisioner._view.pods.values() if pod.grace is None})
            print(f"{STEPS} steps from seed {SEED}, faults: {dict(faults.seen)}")
            assert faults.seen["lost"]
            assert set(await provisioner.workers()) == truth() == wanted
            await provisioner.remove(wanted)
            await until(lambda: admin.pods("faults") == [])

    asyncio.run(story())


async def befall(provisioner):
    """Launch and remove at random; return the names of those that should be there."""
    chance, wanted = random.Random(SEED), set()
    for _ in range(STEPS):
        if len(wanted) < LEAST or (len(wanted) < MOST and chance.random() < 0.5):
            before = set(provisioner._view.pods)
            with suppress(ProvisionError):  # so many refusals in a row that it gave up
                await provisioner.launch(GROUP, 1)
            wanted |= provisioner._view.pods.keys() - before
        else:
            victim = chance.choice(sorted(wanted))
            await provisioner.remove([victim])
            wanted.discard(victim)
    return wanted
