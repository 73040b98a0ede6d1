"""What befalls a cluster: its API server is away, a node is lost, a node's kubelet stops."""

import os
import subprocess

from tests.kubernetes import admin
from tests.kubernetes.test_system import GROUPS, MOST, PATIENCE, on_kubernetes, work
from tests.scheduler.clusters import until


def control(*command):
    """Have the lab do something to its control plane or to a node."""
    program, *arguments = command
    place = os.environ["LAB_CONTROL"]
    python = [os.environ["LAB_PYTHON"]] if program.endswith(".py") else []
    subprocess.run([*python, f"{place}/{program}", *arguments], check=True, stdout=subprocess.DEVNULL)


def nodes(system):
    """Return the node of each pod that has one."""
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName") for pod in admin.pods(system.name)}


@on_kubernetes()
async def test_while_the_api_server_is_away_work_goes_on_and_what_is_lacking_comes_after_it(system):
    with system.controller():
        begun = system.client.submit(work, 0, resources={"cpu": 1}, pure=False, seconds=15)
        await until(lambda: len(system.workers()) == 1, PATIENCE)
        control("controlplane.py", "kill", "apiserver")
        try:
            more = system.client.map(work, range(MOST), resources={"cpu": 1}, pure=False, seconds=15)
            assert await begun == 0
        finally:
            control("controlplane.py", "start", "apiserver")
        await until(lambda: len(system.workers()) == MOST, 2 * PATIENCE)
        assert system.workers() == system.pods()
        assert await system.client.gather(more) == list(range(MOST))
        assert {system.times_computed(future) for future in [begun, *more]} == {1}


SOON = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}  # the shortest one counts
HASTY = {
    "spec": {"tolerations": [{"key": f"node.kubernetes.io/{what}", **SOON} for what in ("not-ready", "unreachable")]}
}


@on_kubernetes({"small": {**GROUPS["small"], "pod": HASTY}})
async def test_workers_of_a_lost_node_are_replaced_on_another(system):
    with system.controller():
        begun = system.client.map(work, range(3 * MOST), resources={"cpu": 1}, pure=False, seconds=12)
        await until(lambda: len(system.workers()) == MOST, PATIENCE)
        where = nodes(system)
        lost = {name for name, node in where.items() if node == "n2"}
        assert 0 < len(lost) < MOST  # Kubernetes spreads them
        control("node.sh", "lose", "n2")
        try:
            await until(lambda: len(system.workers() - lost) == MOST, 2 * PATIENCE)
            assert {nodes(system)[name] for name in system.workers() - lost} == {"n1"}
            assert await system.client.gather(begun) == list(range(3 * MOST))
        finally:
            control("node.sh", "start", "n2", "2")


@on_kubernetes()
async def test_a_worker_whose_kubelet_stops_goes_on_with_its_work(system):
    with system.controller():
        begun = system.client.map(work, range(MOST), resources={"cpu": 1}, pure=False, seconds=30)
        await until(lambda: len(system.workers()) == MOST, PATIENCE)
        control("node.sh", "stop", "n2")
        try:
            assert await system.client.gather(begun) == list(range(MOST))
            assert {system.times_computed(future) for future in begun} == {1}
        finally:
            control("node.sh", "start", "n2", "2")
