"""Whatever happens to us, plain Dask goes on."""

import pytest
from distributed import Client, Event, Scheduler, Worker
from distributed.utils_test import gen_test, inc

from supreme_dask import SupremePlugin
from supreme_dask.core.admission import Admission
from tests.scheduler.clusters import plain, plugin, until, worker
from tests.scheduler.counting import run


class NextYearsScheduler(Scheduler):
    """A scheduler whose methods take something that we do not know."""

    def is_rootish(self, ts, *, hint=None):
        return hint or super().is_rootish(ts)


class FailsAfter(Admission):
    """An admission that breaks when one of its methods is called for the nth time."""

    method, calls = "", 0

    def _count(self, method):
        if method == self.method:
            self.calls -= 1
            if self.calls < 0:
                raise ZeroDivisionError("broken on purpose")

    def arrive(self, task, now):
        self._count("arrive")
        return super().arrive(task, now)

    def fill(self, now):
        self._count("fill")
        placed = super().fill(now)
        self._count("filled")
        return placed

    def finish(self, key, measurement, now):
        self._count("finish")
        super().finish(key, measurement, now)

    def tick(self, now):
        self._count("tick")
        return super().tick(now)

    def drop(self, key):
        self._count("drop")
        super().drop(key)

    def add_worker(self, *args):
        self._count("add_worker")
        return super().add_worker(*args)

    def remove_worker(self, address):
        self._count("remove_worker")
        super().remove_worker(address)


class BreaksPlugin(SupremePlugin):
    """A plugin with an admission that breaks."""

    def __init__(self, method, calls):
        super().__init__()
        self.admission = FailsAfter(self.admission.settings)
        self.admission.method, self.admission.calls = method, calls


def wait_for(event, number=0):
    event.wait()
    return run(number)


@gen_test()
async def test_a_distributed_that_we_do_not_know_places_its_own_tasks(caplog):
    async with NextYearsScheduler(dashboard_address=":0", validate=True) as scheduler:
        scheduler.add_plugin(ours := SupremePlugin())
        await ours.start(scheduler)
        assert not ours.active
        assert "is_rootish" not in vars(scheduler)
        async with Worker(scheduler.address), Client(scheduler.address, asynchronous=True) as client:
            assert await client.gather(client.map(inc, range(20))) == list(range(1, 21))
    (warning,) = [record for record in caplog.records if record.name.startswith("supreme_dask")]
    assert "Scheduler.is_rootish takes (self, ts, hint) instead of (self, ts)" in warning.getMessage()


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("arrive", 0),
        ("arrive", 7),
        ("fill", 0),
        ("fill", 5),
        ("filled", 3),
        ("finish", 0),
        ("finish", 9),
        ("tick", 2),
    ],
)
@pytest.mark.filterwarnings("ignore:supreme-dask failed")
@plain(worker(2, A=2, B=1), worker(2, A=2))
async def test_when_we_fail_plain_dask_finishes_all_tasks(c, s, a, b, method, calls):
    event = Event()
    await s.register_scheduler_plugin(BreaksPlugin(method, calls), idempotent=True)
    futures = [c.submit(wait_for, event, n, resources={"A": 1}, pure=False) for n in range(10)]
    futures += [c.submit(run, n, 0, None, futures[n], resources={"B": 1}, pure=False) for n in range(10)]
    futures += c.map(run, range(100), pure=False)
    await until(lambda: len(s.tasks) >= 120)
    await event.set()
    assert len(await c.gather(futures)) == 120
    await until(lambda: not plugin(s).active)
    assert "is_rootish" not in vars(s)
    assert await c.gather(c.map(inc, range(20))) == list(range(1, 21))


@pytest.mark.filterwarnings("ignore:supreme-dask failed")
@pytest.mark.parametrize("method", ["add_worker", "remove_worker", "drop"])
@plain(worker(2), worker(2))
async def test_when_we_fail_over_what_is_rare_plain_dask_finishes_all_tasks(c, s, a, b, method):
    event = Event()
    await s.register_scheduler_plugin(BreaksPlugin(method, 2 if method == "add_worker" else 0), idempotent=True)
    futures = c.map(wait_for, [event] * 20, range(20), pure=False)
    await until(lambda: len(plugin(s).admission.queues) == 20 - 2 * 3)
    await futures.pop().cancel()
    async with Worker(s.address) as late:
        await until(lambda: late.address in s.workers)
    await event.set()
    assert len(await c.gather(futures)) == 19
    await until(lambda: not plugin(s).active)


@pytest.mark.filterwarnings("ignore:supreme-dask failed")
@plain(worker(2, A=2))
async def test_the_client_is_told_once_that_we_failed(c, s, a):
    await s.register_scheduler_plugin(BreaksPlugin("arrive", 0), idempotent=True)
    assert await c.gather(c.map(inc, range(10), pure=False)) == list(range(1, 11))
    assert len(s.get_events("warn")) == 1
