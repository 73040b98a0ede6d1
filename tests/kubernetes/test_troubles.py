"""Why a worker does not start is told while it is waited for; what is refused is told in the server's own words."""

import asyncio

import pytest

from supreme_dask.controller.controller import Controller
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Target
from supreme_dask.errors import ApiServerError, ProvisionError
from supreme_dask.provisioners.kubernetes.api import PodsApi
from supreme_dask.provisioners.kubernetes.manifests import Maker
from supreme_dask.provisioners.kubernetes.provisioner import KubernetesProvisioner
from tests.kubernetes import admin

NO_IMAGE = WorkerGroup(
    "no-image", cpu=0.1, memory="64 MiB", pod={"spec": {"containers": [{"name": "worker", "image": "absent:1"}]}}
)
NO_NODE = WorkerGroup("no-node", cpu=0.1, memory="64 MiB", pod={"spec": {"nodeSelector": {"pool": "absent"}}})
SMALL = WorkerGroup("small", cpu=0.1, memory="64 MiB")
NO_ROOM = WorkerGroup("no-room", cpu=1000, memory="64 MiB")
NO_END = {"spec": {"terminationGracePeriodSeconds": 1}}


def told(story, namespace=None, *, tidy=True):
    """Run a coroutine on a provisioner whose pods are removed in the end."""

    async def run():
        maker = Maker("troubles", "etcd://10.244.0.1:1", "supreme-dask:dev", template=NO_END)
        async with KubernetesProvisioner(await PodsApi.connect(namespace, maker.selector), maker) as provisioner:
            try:
                await story(provisioner)
            finally:
                if tidy:
                    await provisioner.remove(await provisioner.workers())

    asyncio.run(run())


@pytest.mark.parametrize(
    ("group", "words"), [(NO_IMAGE, "ErrImagePull"), (NO_NODE, "Unschedulable"), (NO_ROOM, "Insufficient cpu")]
)
def test_a_worker_that_does_not_start_says_why_and_the_plan_is_told(group, words):
    async def story(provisioner):
        controller = Controller(provisioner, [group])
        plan = Plan(1, (Target(group.name, 1, (), "a test wants it"),))
        progress = await controller.carry_out(plan)
        (name,) = progress.workers
        async with asyncio.timeout(20):
            while not (await controller.look()).blocked:  # noqa: ASYNC110  a provisioner is asked, it tells nothing
                await asyncio.sleep(0.05)
        assert words in controller.progress.blocked[group.name]
        assert name in controller.progress.blocked[group.name]
        assert controller.progress.workers == {name: group.name}  # it is there still, and no other one is launched

    told(story)


def test_a_quota_is_told_in_the_words_of_the_server():
    admin.ask("POST", f"{admin.CORE}/resourcequotas", {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}})

    async def story(provisioner):
        refusals = []
        async with asyncio.timeout(20):  # until its controller has seen it, a quota refuses everything or nothing
            while not any("exceeded quota: one" in words for words in refusals):
                refusals.append(await refusal(provisioner, SMALL))

    try:
        told(story)
    finally:
        admin.ask("DELETE", f"{admin.CORE}/resourcequotas/one")


async def refusal(provisioner, group):
    try:
        await provisioner.launch(group, 1)
    except ProvisionError as error:
        return error.reason
    return ""


def test_a_group_that_no_pod_can_be_named_after_is_refused():
    async def story(provisioner):
        assert "lowercase" in await refusal(provisioner, WorkerGroup("Small_GPU"))

    told(story)


def test_a_namespace_that_is_not_there_is_told():
    async def story(provisioner):
        assert '"absent" not found' in await refusal(provisioner, SMALL)

    told(story, namespace="absent")


def test_rights_that_are_missing_are_named(credentials):
    credentials(
        token=admin.account("reader", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}])
    )

    async def story(provisioner):
        assert await provisioner.workers() == {}
        assert 'cannot create resource "pods"' in await refusal(provisioner, SMALL)

    told(story)


def test_who_may_not_even_look_is_told_so(credentials):
    credentials(token=admin.account("blind"))

    async def story(provisioner):
        with pytest.raises(ApiServerError, match='cannot list resource "pods"'):
            await provisioner.workers()
        with pytest.raises(ApiServerError):
            await provisioner.workers()

    told(story, tidy=False)


@pytest.mark.parametrize("content", ["", "no: config", "{", "[]", "users: 7"])
def test_credentials_that_are_none_are_told(content, tmp_path, monkeypatch):
    (tmp_path / "kubeconfig").write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(ApiServerError, match=rf"no credentials .* in {tmp_path}/kubeconfig: "):
        asyncio.run(PodsApi.connect(None, "a=b"))


def test_a_server_that_is_not_there_is_told(credentials):
    credentials(server="http://127.0.0.1:1")
    with pytest.raises(ApiServerError, match="does not answer"):
        asyncio.run(PodsApi.connect(None, "a=b"))
