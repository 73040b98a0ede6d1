"""Tasks that ask for too much: real processes with real nannies, and a stock scheduler that notes what it is told."""

import errno
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster, get_worker, secede
from distributed.diagnostics.plugin import SchedulerPlugin

from supreme_dask.worker.notice import NannyNotice
from supreme_dask.worker.plugin import MeterPlugin
from supreme_dask.worker.process import can_be_limited, trim

pytestmark = pytest.mark.skipif(not can_be_limited(), reason="this system does not limit what a process maps")

MiB = 2**20
LIMIT = 600 * MiB


class Notes(SchedulerPlugin):
    """Notes what workers say, and leaves placement as it is."""

    name = "notes"

    async def start(self, scheduler):
        for op in ("hello", "stopped", "grown", "strain", "relax", "overgrown", "done"):
            scheduler.stream_handlers[f"supreme-{op}"] = self._handler(scheduler, op)

    @staticmethod
    def _handler(scheduler, op):
        return lambda **told: scheduler.log_event(f"told-{op}", told)


@contextmanager
def cluster(workers=1, *, memory_limit=LIMIT, **options):
    given = {"n_workers": 0, "threads_per_worker": 2, "dashboard_address": None}
    with (
        LocalCluster(host="127.0.0.1", protocol="tcp", memory_limit=memory_limit, **given, **options) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Notes())
        client.register_plugin(NannyNotice())
        client.register_plugin(MeterPlugin())
        cluster.scale(workers)
        client.wait_for_workers(workers, 60)
        wait_until(lambda: len(told(client, "hello")) == workers)
        yield client


@pytest.fixture(scope="module")
def shared():
    with cluster() as client:
        yield client


@pytest.fixture
def client(shared):
    """Give a client; fail if a worker was lost meanwhile."""
    for op in ("stopped", "grown"):
        shared.run_on_scheduler(forget, f"told-{op}")
    wait_until(lambda: min(shared.run(room).values()) > 400 * MiB)  # what tasks held before is free
    before, lost = shared.run(os.getpid), len(shared.get_events("worker-restart-memory"))
    yield shared
    assert shared.run(os.getpid) == before
    assert len(shared.get_events("worker-restart-memory")) == lost


def forget(topic, dask_scheduler):
    dask_scheduler._broker._topics.pop(topic, None)


def told(client, op):
    return [event for _, event in client.get_events(f"told-{op}")]


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def reserving(mebibytes, last=False, declared=False):
    return dask.annotate(**{"supreme-reserved": [mebibytes * MiB, last, declared]})


def room():
    """Return the bytes that this process may still map, when allocators have given back what they can."""
    trim()
    return limit_of()[0] - int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def limit_of(process=0):
    return resource.prlimit(process, resource.RLIMIT_DATA)


# ------------------------------------------------------------------------------------------------- work


def leap(mebibytes):
    return int(np.ones(mebibytes * MiB // 8).sum())


def steps(mebibytes):
    held = []
    for _ in range(mebibytes // 8):
        held.append(bytearray(b"x") * (8 * MiB))
        time.sleep(0.001)
    return len(held)


def objects(mebibytes):
    return len([bytes(1000) for _ in range(mebibytes * MiB // 1033)])


def sort(mebibytes):
    return int(np.sort(np.arange(mebibytes * MiB // 16, 0, -1), kind="stable")[0])


def join(mebibytes):
    return len(b"".join([bytes(MiB)] * mebibytes))


def first_time(name):
    """Tell whether this is asked for the first time on this worker."""
    asked = get_worker().__dict__.setdefault("asked_in_tests", set())
    return name not in asked and not asked.add(name)


# ---------------------------------------------------------------------------------- those that are too many


@pytest.mark.parametrize("task", [leap, steps, objects, sort, join])
def test_tasks_that_fit_one_by_one_all_end_well_however_they_grow(client, task):
    futures = client.map(task, [380] * 4, pure=False)
    assert len(set(client.gather(futures))) == 1


def test_who_is_handed_back_says_what_it_asked_for_and_what_is_free_without_it(client):
    assert client.gather(client.map(leap, [400] * 3, pure=False)) == [400 * MiB // 8] * 3
    for one in told(client, "stopped"):
        assert one["asked"] == 400 * MiB
        assert one["key"].startswith("leap")
        assert 0 <= one["free"] < LIMIT


def test_a_task_that_catches_the_error_may_go_on_with_less(client):
    def frugal():
        try:
            return steps(2000)
        except MemoryError:
            return "less"

    assert client.submit(frugal).result(60) == "less"


def test_the_memory_of_one_that_was_handed_back_is_free_at_once(client):
    def hoard():
        if first_time("hoard"):
            held = [np.ones(300 * MiB // 8)]
            held.append(held)  # only a collection would free it
            np.ones(400 * MiB // 8)
        return True

    assert client.submit(hoard).result(60)
    (one,) = told(client, "stopped")
    assert one["asked"] == 400 * MiB
    assert one["held"] >= 290 * MiB
    assert one["free"] >= 350 * MiB


def test_the_one_above_its_reservation_is_stopped_not_its_honest_neighbour(client):
    def honest():
        held = np.ones(250 * MiB // 8)
        get_worker().__dict__["honest_holds"] = True
        deadline = time.monotonic() + 30
        while not get_worker().__dict__.get("liar_was_stopped") and time.monotonic() < deadline:
            time.sleep(0.01)
        return int(held[0])

    def liar():
        if first_time("liar"):
            get_worker().__dict__["liar_was_stopped"] = False
            deadline = time.monotonic() + 30
            while not get_worker().__dict__.get("honest_holds") and time.monotonic() < deadline:
                time.sleep(0.01)
            try:
                steps(2000)
            finally:
                get_worker().__dict__["liar_was_stopped"] = True
        return "liar"

    with reserving(260):
        first = client.submit(honest)
    with reserving(50):
        second = client.submit(liar)
    assert client.gather([first, second]) == [1, "liar"]
    assert {one["key"] for one in told(client, "stopped")} == {second.key}


def test_a_task_that_left_its_thread_is_not_stopped(client):
    def left():
        secede()
        held = steps_of(200)
        time.sleep(0.5)
        return len(held)

    def steps_of(mebibytes):
        return [bytearray(b"x") * MiB for _ in range(mebibytes)]

    first = client.submit(left)
    assert client.gather([first, *client.map(steps, [300] * 2, pure=False)]) == [200, 37, 37]
    assert first.key not in {one["key"] for one in told(client, "stopped")}


# ----------------------------------------------------------------------------------------- whose error it is


def test_an_allocation_larger_than_the_worker_is_the_tasks_own_error(client):
    with pytest.raises(MemoryError, match="Unable to allocate"):
        client.submit(leap, 700).result(60)
    assert not told(client, "stopped")


def test_a_task_that_has_the_largest_worker_keeps_its_error_which_says_why(client):
    with reserving(560, last=True):
        future = client.submit(steps, 2000)
    with pytest.raises(MemoryError, match=r"asked for more memory than was left: it held .* of its worker were free"):
        future.result(60)
    assert not told(client, "stopped")


def test_an_error_that_the_user_raised_is_seen_in_the_end(client):
    def mine():
        raise MemoryError("mine")

    with pytest.raises(MemoryError, match="mine"):
        client.submit(mine).result(60)
    handed_back = told(client, "stopped")
    assert handed_back
    assert {one["asked"] for one in handed_back} == {0}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("system", OSError(errno.ENOMEM, "Cannot allocate memory")),
        ("library", RuntimeError("std::bad_alloc")),
        ("arrow", MemoryError("malloc of size 64 failed")),
    ],
)
def test_what_says_that_there_was_no_memory_is_tried_again(client, name, error):
    def fail_once():
        if first_time(name):
            raise error
        return name

    assert client.submit(fail_once).result(60) == name
    (one,) = told(client, "stopped")
    assert one["asked"] == (64 if name == "arrow" else 0)


def test_an_error_that_came_of_another_is_tried_again_too(client):
    def fail_once():
        if first_time("wrapped"):
            try:
                np.ones(580 * MiB // 8)
            except MemoryError as error:
                raise ValueError("no array") from error
        return True

    assert client.submit(fail_once).result(60)
    (one,) = told(client, "stopped")
    assert one["asked"] == 580 * MiB


def test_any_other_error_is_as_ever(client):
    with pytest.raises(ZeroDivisionError):
        client.submit(lambda: 1 / 0).result(60)
    assert not told(client, "stopped")


# -------------------------------------------------------------------------------------------- what is told


def test_the_scheduler_hears_of_a_task_while_it_grows(client):
    def grow():
        held = np.ones(200 * MiB // 8)
        deadline = time.monotonic() + 30
        while not get_worker().__dict__.get("heard_of_growth") and time.monotonic() < deadline:
            time.sleep(0.01)
        return int(held[0])

    future = client.submit(grow)
    wait_until(lambda: told(client, "grown"))
    client.run(lambda dask_worker: dask_worker.__dict__.update(heard_of_growth=True))
    assert future.result(60) == 1
    assert {one["key"] for one in told(client, "grown")} == {future.key}
    assert all(17 * MiB < one["held"] < 240 * MiB for one in told(client, "grown"))


def test_tasks_that_overlap_are_measured_apart(client):
    def hold(mebibytes, name, other):
        held = np.ones(mebibytes * MiB // 8)
        seen = get_worker().__dict__.setdefault("met", set())
        seen.add(name)
        deadline = time.monotonic() + 30
        while other not in seen and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        return int(held[0])

    client.gather(
        [client.submit(hold, 200, "a", "b", key="apart-a"), client.submit(hold, 60, "b", "a", key="apart-b")]
    )


# ------------------------------------------------------------------------------------------ other processes


def test_children_may_map_what_they_need(client):
    def forked():
        child = os.fork()
        if not child:
            os._exit(limit_of()[0] != resource.RLIM_INFINITY)
        return os.waitpid(child, 0)[1]

    def started():
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            wait_until(lambda: limit_of(child.pid)[0] == resource.RLIM_INFINITY)
            child.communicate(b"\n")
        return limit_of()

    assert client.submit(forked).result(60) == 0
    assert client.submit(started).result(60)[0] != resource.RLIM_INFINITY


def test_a_file_that_is_only_read_is_no_memory(client, tmp_path):
    file = tmp_path / "large"
    with file.open("wb") as written:
        for _ in range(8):
            written.write(bytes(128 * MiB))

    def read():
        mapped = np.memmap(file, mode="r", dtype=np.uint8)
        total = int(mapped[::4096].sum())
        time.sleep(0.5)  # a nanny looks ten times a second
        return total

    assert client.submit(read).result(60) == 0
    assert not told(client, "stopped")


# ----------------------------------------------------------------------------------------- where it stands


def test_a_walled_worker_says_so_and_its_nanny_ends_it_later(client):
    assert {one["wall"] for one in told(client, "hello")} == {True}
    assert limit_of_workers(client) != {resource.RLIM_INFINITY}
    wait_until(lambda: terminates_at(client) == {0.985})


def terminates_at(client):
    return set(
        client.run(lambda dask_worker: dask_worker.memory_manager.memory_terminate_fraction, nanny=True).values()
    )


def limit_of_workers(client):
    return {soft for soft, _ in client.run(limit_of).values()}


def test_without_a_wall_all_is_as_in_stock_dask():
    with dask.config.set({"supreme.memory.wall": None}), cluster() as client:
        assert [one["wall"] for one in told(client, "hello")] == [False]
        assert limit_of_workers(client) == {resource.RLIM_INFINITY}
        assert terminates_at(client) == {0.95}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_shares_its_process_never_limits_it(workers):
    before = limit_of()
    with cluster(workers, processes=False) as client:
        assert [one["wall"] for one in told(client, "hello")] == [None] * workers
        assert limit_of() == before
    assert not [thread for thread in threading.enumerate() if thread.name == "supreme-wall"]


def test_a_worker_without_a_limit_has_no_wall():
    with cluster(memory_limit=0) as client:
        assert [one["wall"] for one in told(client, "hello")] == [None]
        assert limit_of_workers(client) == {resource.RLIM_INFINITY}
