"""A worker that is told to end hands over what it has, as long as its notice lasts."""

import os
import signal
import time
from pathlib import Path

import pytest
from distributed import Client, wait

from tests.scheduler.processes import processes

NOTICE = 10


@pytest.fixture
def cluster(tmp_path):
    """A scheduler, a worker that stays, and the directory in which tasks leave their marks."""
    with processes(tmp_path, DASK_SUPREME__NOTICE=f"{NOTICE}s") as started:
        started.scheduler()
        started.worker("stays", "--nthreads", "2", "--no-nanny")
        with Client(scheduler_file=str(tmp_path / "scheduler.json"), timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
            yield started, client, tmp_path


def make(number, directory, seconds=0.0, size=100_000):
    """Leave a mark that this was begun; return something that can be checked."""
    with (Path(directory) / f"mark-{number}").open("a") as marks:
        marks.write("x")
    time.sleep(seconds)
    return bytes([number % 256]) * size


def begun(directory):
    return {path.name.removeprefix("mark-"): path.stat().st_size for path in directory.glob("mark-*")}


def wait_until(condition, seconds=30, pause=0.05):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)


def address_of(client, name):
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return next((address for address, worker in workers.items() if worker["name"] == name), None)


@pytest.mark.parametrize("kind", [("--no-nanny",), ("--nanny",)], ids=["alone", "with nanny"])
def test_a_worker_with_notice_loses_nothing(cluster, kind):
    started, client, directory = cluster
    leaves = started.worker("leaves", "--nthreads", "2", *kind)
    client.wait_for_workers(2, timeout=60)
    there = {"workers": [address_of(client, "leaves")], "allow_other_workers": True, "pure": False}
    done = [client.submit(make, number, str(directory), **there) for number in range(20)]
    wait(done, timeout=60)
    scattered = client.scatter([bytes([number]) * 1000 for number in range(20)], workers=there["workers"], hash=False)
    running = [client.submit(make, number, str(directory), 2.0, **there) for number in (100, 101)]
    wait_until(lambda: len(begun(directory)) == 22)
    os.kill(leaves.pid, signal.SIGTERM)
    assert leaves.wait(NOTICE + 30) == 0
    assert [value[0] for value in client.gather(done + running)] == [*range(20), 100, 101]
    assert client.gather(scattered) == [bytes([number]) * 1000 for number in range(20)]
    assert set(begun(directory).values()) == {1}, "something was computed again"


def test_one_that_is_told_to_end_when_it_has_just_joined_ends_what_it_was_given(cluster):
    started, client, directory = cluster
    future = client.submit(make, 1, str(directory), 1.0, resources={"seat": 1})
    leaves = started.worker("leaves", "--resources", "seat=1", "--nanny")
    wait_until(lambda: client.run_on_scheduler(works, "leaves"), pause=0)
    os.kill(leaves.pid, signal.SIGTERM)  # its nanny has not heard yet where it listens
    assert leaves.wait(NOTICE + 30) == 0
    assert future.result(timeout=30)[0] == 1
    assert begun(directory) == {"1": 1}


@pytest.mark.slow
def test_one_whose_task_does_not_end_in_time_loses_only_that(cluster):
    started, client, directory = cluster
    leaves = started.worker("leaves", "--nthreads", "2", "--no-nanny")
    client.wait_for_workers(2, timeout=60)
    there = {"workers": [address_of(client, "leaves")], "allow_other_workers": True, "pure": False}
    done = [client.submit(make, number, str(directory), **there) for number in range(5)]
    wait(done, timeout=60)
    long = client.submit(make, 100, str(directory), NOTICE + 5, **there)
    again = client.submit(make, 101, str(directory), NOTICE + 5, retries=1, **there)
    wait_until(lambda: len(begun(directory)) == 7)
    os.kill(leaves.pid, signal.SIGTERM)
    leaves.wait(NOTICE + 30)
    assert [value[0] for value in client.gather(done)] == list(range(5))
    assert [value[0] for value in client.gather([long, again])] == [100, 101]
    marks = begun(directory)
    assert {marks[str(number)] for number in range(5)} == {1}
    assert (marks["100"], marks["101"]) == (2, 2)


def test_a_second_signal_ends_it_at_once(cluster):
    started, client, directory = cluster
    leaves = started.worker("leaves", "--nthreads", "1", "--nanny")
    client.wait_for_workers(2, timeout=60)
    there = {"workers": [address_of(client, "leaves")], "allow_other_workers": True}
    future = client.submit(make, 1, str(directory), 3.0 * NOTICE, **there)
    wait_until(lambda: begun(directory))
    os.kill(leaves.pid, signal.SIGTERM)
    wait_until(lambda: client.run_on_scheduler(states) == {"leaves": "finishing"})
    os.kill(leaves.pid, signal.SIGTERM)
    wait_until(lambda: address_of(client, "leaves") is None)
    assert not future.done()
    leaves.wait(30)


def works(name, dask_scheduler):
    return any(ws.processing for ws in dask_scheduler.workers.values() if ws.name == name)


def states(dask_scheduler):
    return dask_scheduler.plugins["supreme"].drains.states()
