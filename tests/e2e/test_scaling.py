"""A cluster of real processes grows for what waits, and gets small again without losing anything."""

import signal
import subprocess
import time

import pytest
from click.testing import CliRunner
from distributed import Client

from supreme_dask import SupremeCluster, WorkerGroup
from supreme_dask.cli import main
from supreme_dask.errors import PolicyError
from tests.e2e.test_up import COMMAND

POLICY = {"backlog": {"kind": "demand"}, "rest": {"kind": "idle", "after-seconds": 1}}


def groups(**small):
    return [
        WorkerGroup("small", **{"memory": "512 MiB", "maximum": 2, "startup": 3, **small}),
        WorkerGroup("large", memory="1 GiB", count=0, maximum=1, startup=3, cost=4),
    ]


def names(client):
    return sorted(worker["name"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_the_group_that_can_run_what_waits_is_launched_from_nothing_and_goes_again():
    with (
        SupremeCluster(groups(count=0), policy=POLICY, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        big = client.submit(sum, [1, 2], resources={"memory": "700 MiB"})
        assert big.result(timeout=60) == 3
        assert names(client) == ["large-0"]
        del big
        wait_for(lambda: names(client) == list(cluster.workers) == [])


def test_what_a_leaving_worker_holds_is_handed_over():
    with (
        SupremeCluster(groups(count=2, minimum=1), policy=POLICY, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        kept = client.scatter([b"one", b"two"], broadcast=False)
        wait_for(lambda: len(names(client)) == len(cluster.workers) == 1)
        assert client.gather(kept) == [b"one", b"two"]


def test_a_nanny_that_ends_is_replaced_under_a_new_name():
    with (
        SupremeCluster(groups(count=1, minimum=1), policy=POLICY, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        cluster.sync(cluster.workers["small-0"].close)
        wait_for(lambda: names(client) == ["small-1"])


def allocate(mebibytes):
    block = bytearray(mebibytes << 20)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(0.5)
    return len(block)


def test_a_task_that_outgrew_every_worker_goes_to_one_of_a_larger_group():
    with (
        SupremeCluster(groups(count=1, minimum=1), policy=POLICY, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        assert client.submit(allocate, 600).result(timeout=100) == 600 << 20
        hosts = {str(worker.name) for worker in cluster.scheduler.workers.values()}
        assert "large-0" in hosts


def test_it_begins_with_what_the_limits_allow():
    with SupremeCluster(groups(count=3), policy=POLICY, dashboard_address=None) as cluster:
        assert [group.count for group in cluster.groups] == [2, 0]
    with SupremeCluster(groups(count=3), dashboard_address=None) as cluster:
        assert len(cluster.workers) == 3


def test_a_policy_that_cannot_be_used_is_refused_before_anything_starts(tmp_path):
    wrong = {"rest": {"kind": "idle", "after-seconds": "soon"}}
    with pytest.raises(PolicyError, match="after-seconds"):
        SupremeCluster(groups(), policy=wrong)
    with pytest.raises(PolicyError, match=r"\$\.night\.maximum: unknown group 'smal'; known are small, large"):
        SupremeCluster(groups(), policy={"night": {"kind": "schedule", "maximum": {"smal": 1}}})
    (tmp_path / "policy.yaml").write_text("rest: {kind: idle, after-seconds: soon}")
    result = CliRunner().invoke(main, ["up", "--policy", str(tmp_path / "policy.yaml")])
    assert result.exit_code == 1
    assert "after-seconds" in result.output


def test_the_command_scales_by_the_policy_that_it_is_given(tmp_path):
    (tmp_path / "policy.yaml").write_text("backlog: {kind: demand}")
    options = [
        "--policy",
        str(tmp_path / "policy.yaml"),
        "--group",
        "small:memory=512MiB,count=0,maximum=1,startup=3",
    ]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as up:
        try:
            address = up.stdout.readline().split()[2].rstrip(",")
            with Client(address) as client:
                assert client.submit(sum, [1, 2]).result(timeout=60) == 3
        finally:
            up.send_signal(signal.SIGINT)
        assert up.wait(timeout=60) == 0
