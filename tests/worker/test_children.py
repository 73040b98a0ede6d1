"""Processes that tasks start: they are counted, and ended before they bring down more than their task."""

import subprocess
import sys
import threading
import time

import psutil
import pytest
from distributed import Client

from supreme_dask import SupremeCluster, WorkerGroup
from supreme_dask.worker.children import Children

MiB = 2**20
HOLD = "import time; held = bytearray(b'x') * ({} << 20); time.sleep({})"


def child(mebibytes, seconds):
    """Let another process hold memory; fail if it is ended."""
    subprocess.run([sys.executable, "-c", HOLD.format(mebibytes, seconds)], check=True)
    return mebibytes


def growing(mebibytes):
    """Let another process grow in steps, as work does."""
    grow = "import time\nheld = []\nfor _ in range({}):\n held.append(bytearray(b'x') * (16 << 20)); time.sleep(0.03)"
    subprocess.run([sys.executable, "-c", grow.format(mebibytes // 16)], check=True)
    return mebibytes


def in_a_thread(call):
    """Return what `call` returns in a thread of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def watch(children, end):
    """Start a child and look as a worker does until it holds all; return what was noted once it is ended."""
    children.begin()
    with subprocess.Popen([sys.executable, "-c", HOLD.format(64, 60)]) as process:
        deadline = time.monotonic() + 30
        while psutil.Process(process.pid).memory_full_info().pss < 64 * MiB:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children.look()
        end(process)
    return children.end()


def test_what_children_held_counts_for_the_thread_that_started_them():
    children = Children()

    def beside():
        children.begin()
        return in_a_thread(lambda: watch(children, subprocess.Popen.kill)), children.end()

    (held, ended), others = in_a_thread(beside)
    assert 64 * MiB <= held < 96 * MiB
    assert not ended
    assert others == (0, 0)


def test_children_that_are_ended_are_told_of_with_what_they_held():
    children = Children()
    _, ended = in_a_thread(lambda: watch(children, lambda _: children.end_largest()))
    assert ended >= 64 * MiB


@pytest.fixture(scope="module")
def client():
    groups = [WorkerGroup("small", cpu=2, memory="448 MiB"), WorkerGroup("large", cpu=2, memory="896 MiB")]
    with SupremeCluster(groups, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


def test_a_task_whose_child_outgrows_the_worker_is_tried_with_more_and_no_worker_dies(client):
    before = client.run(lambda: None).keys()
    future = client.submit(growing, 500, key="liar-1", resources={"memory": 40 * MiB})
    assert future.result(120) == 500
    assert client.run(lambda: None).keys() == before
    assert not client.get_events("worker-restart-memory")


def test_a_task_whose_child_no_worker_can_hold_fails_by_name(client):
    with pytest.raises(MemoryError, match=r"giant-1 needs more memory than any worker has"):
        client.submit(growing, 4000, key="giant-1").result(120)
    assert not client.get_events("worker-restart-memory")


def test_what_a_child_takes_is_learned_as_the_need_of_its_task(client):
    assert client.submit(child, 100, 0.5, key="child-1").result(60) == 100
    name = f"{child.__module__}.child"
    high = client.run_on_scheduler(
        lambda dask_scheduler: dask_scheduler.plugins["supreme"].admission.kinds[name].profile.summary().high
    )
    assert 100 * MiB <= high < 140 * MiB
