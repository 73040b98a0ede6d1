"""The controller as a pod, with the rights that the documentation gives it and no others."""

import asyncio
import re
from contextlib import aclosing
from pathlib import Path

import pytest
import yaml

from supreme_dask.errors import ApiServerError
from supreme_dask.provisioners.kubernetes.api import PodsApi
from supreme_dask.provisioners.kubernetes.manifests import Maker
from tests.kubernetes import admin
from tests.kubernetes.test_system import ADDRESS, PATIENCE, on_kubernetes, work
from tests.kubernetes.test_troubles import SMALL
from tests.scheduler.clusters import until

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "kubernetes.md"


def rules():
    """Return the rights that the how-to gives."""
    (role,) = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", PAGE.read_text(), re.DOTALL)
    return yaml.safe_load(role)["rules"]


def controller(system, account):
    """Return the controller as a pod."""
    names = ("DASK_SUPREME__STORE", "DASK_SUPREME__SYSTEM", "DASK_SUPREME__KUBERNETES__IMAGE")
    own = {name: system.environment[name] for name in names}
    # Not by its service: that would need rules of the network, for which there is no program here.
    server = {"KUBERNETES_SERVICE_HOST": ADDRESS, "KUBERNETES_SERVICE_PORT": "6443"}
    container = {
        "name": "controller",
        "image": "supreme-dask:dev",
        "args": ["dask", "supreme", "controller", "--provisioner", "kubernetes"],
        "env": [{"name": name, "value": value} for name, value in {**own, **server}.items()],
    }
    spec = {"serviceAccountName": account, "containers": [container], "terminationGracePeriodSeconds": 5}
    return {"metadata": {"name": f"controller-{system.name}"}, "spec": spec}


@on_kubernetes()
async def test_a_controller_in_a_pod_has_the_rights_that_it_needs(system):
    account = f"controller-{system.name}"
    admin.account(account, rules())
    made = admin.ask("POST", f"{admin.CORE}/pods", controller(system, account))["metadata"]["name"]
    try:
        done = system.client.map(work, range(8), resources={"cpu": 1}, pure=False)
        assert await system.client.gather(done) == list(range(8))
        del done
        await until(lambda: not system.pods(), PATIENCE)
    finally:
        admin.ask("DELETE", f"{admin.CORE}/pods/{made}")


@pytest.mark.parametrize("verb", ["create", "delete", "get", "list", "watch"])
def test_each_right_is_needed(verb, credentials):
    (rule,) = rules()
    less = {**rule, "verbs": [one for one in rule["verbs"] if one != verb]}
    credentials(token=admin.account(f"without-{verb}", [less]))
    maker = Maker(f"without-{verb}", "", "supreme-dask:dev")

    async def story():
        api = await PodsApi.connect(None, maker.selector)
        _, version = await api.list()
        manifest = maker.manifest(SMALL, f"without-{verb}")
        pod = await api.create(manifest)
        assert (await api.create(manifest))["metadata"]["uid"] == pod["metadata"]["uid"]  # as after a lost answer
        async with aclosing(api.watch(version)) as events:
            assert [(await anext(events))[0] for _ in range(2)] == ["BOOKMARK", "ADDED"]
        await api.delete(manifest["metadata"]["name"], pod["metadata"]["uid"])

    with pytest.raises(ApiServerError, match=f'cannot {verb} resource "pods"'):
        asyncio.run(story())
