"""What the pod of a worker is, and what one says. No API server; `tests/kubernetes` has a real one."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.errors import ConfigError, DemandError
from supreme_dask.provisioners.kubernetes.manifests import CONTAINER, GROUP, SYSTEM, Maker, can_name, merged
from supreme_dask.provisioners.kubernetes.pods import Pod

MAKER = Maker("blue", "etcd://etcd:2379/dask", "registry/dask:1")
SMALL = WorkerGroup("small", cpu=1.5, memory="2 GiB", resources={"GPU": 1}, labels={"zone": "a"})


def container(pod):
    (found,) = (one for one in pod["spec"]["containers"] if one["name"] == CONTAINER)
    return found


def environment(pod):
    return {one["name"]: one.get("value") for one in container(pod)["env"]}


def option(pod, name):
    arguments = container(pod)["args"]
    return arguments[arguments.index(name) + 1]


def test_a_pod_is_as_large_as_its_group_says():
    pod = MAKER.manifest(SMALL, "small-x1", "tcp://10.0.0.1:8786")
    resources = container(pod)["resources"]
    assert resources["requests"]["cpu"] == "1500m"
    # What the kernel allows is what Dask is told, and its nanny beside it.
    assert int(resources["limits"]["memory"]) - int(option(pod, "--memory-limit")) == 128 << 20
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert (option(pod, "--memory-limit"), option(pod, "--nthreads")) == (str(2 << 30), "2")
    assert option(pod, "--scheduler") == "tcp://10.0.0.1:8786"
    assert environment(pod)["DASK_DISTRIBUTED__WORKER__RESOURCES"] == repr(SMALL.capacity.in_units())
    assert environment(pod)["DASK_SUPREME__LABELS"] == repr({"zone": "a", "group": "small"})


def test_a_pod_is_found_again_and_ends_for_good_whatever_a_template_says():
    wild = {
        "metadata": {"name": "mine", "labels": {GROUP: "other", "team": "a"}},
        "spec": {"restartPolicy": "Always"},
    }
    pod = Maker("blue", "", "dask:1", template=wild).manifest(SMALL, "small-x1")
    assert pod["metadata"]["name"] == option(pod, "--name") == "small-x1"
    assert pod["metadata"]["labels"].items() >= {SYSTEM: "blue", GROUP: "small", "team": "a"}.items()
    assert pod["spec"]["restartPolicy"] == "Never"


def test_the_template_of_a_group_goes_over_that_of_all():
    template = {"spec": {"nodeSelector": {"pool": "cpu", "arch": "arm"}, "tolerations": [{"key": "batch"}]}}
    secret = {"name": "DASK_SUPREME__STORE", "valueFrom": {"secretKeyRef": {"name": "store", "key": "url"}}}
    own = {"spec": {"nodeSelector": {"pool": "gpu"}, "containers": [{"name": "worker", "env": [secret]}]}}
    group = WorkerGroup("gpu", pod=own)
    pod = Maker("blue", "etcd://user:word@etcd/x", "dask:1", template=template).manifest(group, "gpu-x1")
    assert pod["spec"]["nodeSelector"] == {"pool": "gpu", "arch": "arm"}
    assert {one["key"] for one in pod["spec"]["tolerations"]} > {"batch", "node.kubernetes.io/unreachable"}
    assert secret in container(pod)["env"]
    assert "word" not in str(pod)
    assert container(pod)["args"]


VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "env", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
MANIFESTS = st.dictionaries(st.sampled_from(["spec", "env", "x"]), VALUES, max_size=3)


@given(MANIFESTS, MANIFESTS)
def test_what_is_merged_has_all_of_the_upper_one_and_changes_neither(base, over):
    before = copy.deepcopy((base, over))
    result = merged(base, over)
    assert (base, over) == before
    assert result.keys() == {*base, *over}
    assert all(result[key] == over[key] for key in over if not isinstance(over[key], dict | list))
    assert merged(result, over) == result
    assert merged(base, {}) == base
    assert merged({}, over) == over


@pytest.mark.parametrize("name", ["a b", "", "x" * 64, "-a", "ü"])
def test_a_system_that_no_label_can_hold_is_refused(name):
    with pytest.raises(ConfigError, match="as a label of pods"):
        Maker(name, "", "dask:1")


@pytest.mark.parametrize("pod", [{"containers": []}, {"spec": None}, [], "spec", {"spec": [1]}])
def test_a_template_that_is_none_is_refused(pod):
    with pytest.raises(DemandError, match="expected metadata and spec"):
        WorkerGroup("small", pod=pod)


@pytest.mark.parametrize(("name", "fits"), [("small-gpu", True), ("a.b", True), ("Small", False), ("a_b", False)])
def test_which_groups_can_have_pods(name, fits):
    assert can_name(name) is fits


# ------------------------------------------------------------------------------------------- what a pod says


def said(status, **metadata):
    return Pod.of({"metadata": {"name": "s-1", "uid": "u", "labels": {GROUP: "s"}, **metadata}, "status": status})


def of_worker(**state):
    return {"phase": "Running", "containerStatuses": [{"name": CONTAINER, **state}]}


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: memory"}
EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drain"}


@pytest.mark.parametrize(
    ("status", "ended", "joined", "words"),
    [
        ({}, False, False, ""),
        ({"phase": "Pending", "conditions": [UNSCHEDULABLE]}, False, False, "Unschedulable: 0/3 nodes: memory"),
        (of_worker(state={"waiting": {"reason": "ContainerCreating"}}), False, False, ""),
        (
            of_worker(state={"waiting": {"reason": "ErrImagePull", "message": "no such\n image"}}),
            False,
            False,
            "ErrImagePull: no such image",
        ),
        (of_worker(state={"running": {}}, started=False), False, False, ""),
        (of_worker(state={"running": {}}, started=True), False, True, ""),
        (
            {**of_worker(state={"running": {}}, started=True), "conditions": [EVICTED]},
            False,
            True,
            "EvictionByEvictionAPI: drain",
        ),
        (
            {**of_worker(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), "phase": "Failed"},
            True,
            False,
            "OOMKilled (exit code 137)",
        ),
        (
            {
                **of_worker(state={"terminated": {"exitCode": 1, "message": "Traceback\nValueError: x\n"}}),
                "phase": "Failed",
            },
            True,
            False,
            "ended (exit code 1): ValueError: x",
        ),
        (
            {**of_worker(state={"terminated": {"exitCode": 0, "reason": "Completed"}}), "phase": "Succeeded"},
            True,
            False,
            "",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, True, False, "Evicted: disk"),
    ],
)
def test_what_a_pod_says_of_its_worker(status, ended, joined, words):
    pod = said(status)
    assert (pod.ended, pod.joined, pod.words, pod.grace) == (ended, joined, words, None)


def test_one_of_a_lost_node_is_lost_once_it_is_to_end():
    tainted = {"conditions": [{**EVICTED, "reason": "DeletionByTaintManager"}]}
    assert said(tainted, deletionTimestamp="2026-11-27T10:00:00Z").lost
    assert not said(tainted).lost
    assert not said({"conditions": [EVICTED]}, deletionTimestamp="2026-11-27T10:00:00Z").lost


def test_one_that_is_told_to_end_says_how_long_it_has():
    assert said({}, deletionTimestamp="2026-11-27T10:00:00Z", deletionGracePeriodSeconds=45).grace == 45
