"""What a worker has for tasks follows what its process takes when it rests."""

import time

from distributed import wait
from distributed.core import Status
from distributed.scheduler import WorkerState

from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.resources import Resources
from supreme_dask.core.shapes import Task
from supreme_dask.scheduler.memory import MemoryWatch
from tests.scheduler.clusters import plugin, supreme, until, worker

ADDRESS = "tcp://127.0.0.1:1"
MIB = 1 << 20
TASK = Task("x", "x", (0,), Resources.parse({"memory": "500 MiB"}))


class Heartbeats:
    """One worker of 1000 MiB that takes 100, and its heartbeats."""

    def __init__(self):
        self.admission = Admission()
        self.watch = MemoryWatch(self.admission, 1.0, 1)
        self.worker = WorkerState(
            address=ADDRESS, status=Status.running, pid=1, name="w", nthreads=2, memory_limit=1000 * MIB,
            local_directory="", nanny=None, server_id="w",
        )  # fmt: skip
        self.worker.metrics["memory"] = 100 * MIB
        self.watch.join(self.worker)

    def tell(self, memory):
        self.worker.last_seen += 1
        self.worker.metrics["memory"] = memory * MIB
        self.watch.look([self.worker])

    @property
    def capacity(self):
        return self.admission.ledger.rows[ADDRESS].capacity[MEMORY_AXIS] // MIB


def test_a_heartbeat_that_still_counts_an_ended_task_costs_no_capacity():
    told = Heartbeats()
    told.tell(100)
    assert told.admission.arrive(TASK, now=1.0) == ADDRESS
    told.tell(600)
    told.admission.finish("x", Measurement(1.0), now=2.0)
    told.tell(600)
    assert told.capacity == 900
    told.tell(100)
    assert told.capacity == 900


def test_a_process_that_grew_while_nothing_ran_has_less_for_tasks():
    told = Heartbeats()
    told.tell(100)
    told.tell(300)
    told.tell(300)
    assert 700 <= told.capacity < 900


def slow(number):
    time.sleep(0.05)
    return number


@supreme(worker(2), worker(2))
async def test_what_would_be_lost_with_a_worker_sets_the_price_of_failures(client, scheduler, a, b):
    ledger = plugin(scheduler).admission.ledger
    alone = client.map(slow, range(4), workers=[a.address], pure=False)
    await wait(alone)
    await until(lambda: ledger.rows[a.address].stake > 0)
    for future in alone:
        future.release()
    await until(lambda: ledger.rows[a.address].stake == 0)
