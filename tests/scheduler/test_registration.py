"""Our plugin may come to a scheduler that runs, more than once, and go again."""

import asyncio

import pytest
from distributed import Event, Worker, wait

from supreme_dask import SupremePlugin
from tests.scheduler.clusters import all_free, plain, plugin, supreme, until, worker
from tests.scheduler.counting import peaks, run


def wait_for(event, number=0):
    event.wait()
    return run(number)


def secede_and_wait(event):
    from distributed import secede

    secede()
    event.wait()
    return "seceded"


def fail():
    raise ValueError("failed on purpose")


@plain(worker(2, A=2), worker(2, A=2))
async def test_a_running_cluster_is_taken_over_with_tasks_in_every_state(c, s, a, b):
    event = Event()
    stored = c.submit(run, 1, key="stored")
    erred = c.submit(fail, key="erred")
    seceded = c.submit(secede_and_wait, event, key="seceded")
    await wait([stored, erred])
    await until(lambda: any(ws.long_running for ws in s.workers.values()))
    processing = [c.submit(wait_for, event, n, key=f"processing-{n}", resources={"A": 1}) for n in range(12)]
    queued = c.map(wait_for, [event] * 50, range(50), key=[f"queued-{n}" for n in range(50)])
    nowhere = c.submit(run, 2, key="nowhere", resources={"B": 1})
    dependents = [c.submit(run, 3, 0, None, future) for future in [*processing, *queued[:5], stored]]
    await until(lambda: s.queued and s.unrunnable and "queued-49" in s.tasks)
    await c.register_plugin(SupremePlugin())
    assert plugin(s).active
    await event.set()
    await wait([stored, seceded, *processing, *queued, *dependents])
    assert await seceded == "seceded"
    assert erred.status == "error"
    assert s.tasks["nowhere"].state == "no-worker"
    async with Worker(s.address, resources={"B": 1}):
        await nowhere
    del stored, erred, seceded, processing, queued, nowhere, dependents
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@plain(worker(4, A=1), worker(4, A=1))
async def test_what_stock_dask_sent_too_much_of_comes_back_and_is_shared(c, s, a, b):
    event = Event()
    first = c.map(
        wait_for, [event] * 20, range(20), resources={"A": 1}, workers=[a.address], allow_other_workers=True
    )
    await until(lambda: len(s.workers[a.address].processing) == 20)
    await c.register_plugin(SupremePlugin())
    await until(lambda: len(s.workers[a.address].processing) == 1)
    await event.set()
    assert set(peaks(await c.gather(first)).values()) <= {1, 2}


@plain(worker(2), worker(2))
async def test_tasks_that_end_while_the_plugin_is_registered_hold_nothing(c, s, a, b):
    futures = c.map(run, range(300), seconds=0.002)
    await futures[0]
    for _ in range(2):
        await c.register_plugin(SupremePlugin())
        await asyncio.sleep(0)
    await wait(futures)
    del futures
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@supreme(worker(2))
async def test_registering_twice_changes_nothing(c, s, a):
    first = plugin(s)
    await c.register_plugin(SupremePlugin())
    assert plugin(s) is first
    assert first.active
    assert await c.submit(run, 1)


@supreme(worker(2, A=1))
async def test_an_unregistered_plugin_leaves_placement_to_plain_dask(c, s, a):
    event = Event()
    futures = c.map(wait_for, [event] * 10, range(10), resources={"A": 1})
    await until(lambda: len(plugin(s).admission.queues) == 9)
    first = plugin(s)
    await c.unregister_scheduler_plugin("supreme")
    await until(lambda: not first.active)
    assert "is_rootish" not in vars(s)
    await event.set()
    await wait(futures)
    assert await c.gather(c.map(run, range(20), pure=False))


@supreme(worker(2, A=1))
async def test_a_plugin_that_replaces_ours_takes_its_tasks_over(c, s, a):
    event = Event()
    futures = c.map(wait_for, [event] * 10, range(10), resources={"A": 1})
    await until(lambda: len(plugin(s).admission.queues) == 9)
    first, second = plugin(s), SupremePlugin()
    await s.register_scheduler_plugin(second, idempotent=False)
    await until(lambda: not first.active)
    assert second.active
    assert "is_rootish" in vars(s)
    await event.set()
    assert set(peaks(await c.gather(futures)).values()) == {1}


@supreme(worker(2))
async def test_late_workers_tell_when_a_cancelled_thread_is_done(c, s, a):
    async with Worker(s.address) as late:
        await until(lambda: plugin(s)._ghosts.can_tell(late.address))
    assert not plugin(s)._ghosts.can_tell(late.address)


@pytest.mark.parametrize("amount", [-1, float("nan"), 1e300])
@supreme(worker(1))
async def test_a_worker_that_declares_nonsense_does_not_end_placement(c, s, a, amount):
    async with Worker(s.address, resources={"strange": amount, "fine": 1}, preload=[]) as odd:
        assert plugin(s).active
        future = c.submit(run, 1, resources={"fine": 1})
        assert (await future).worker == odd.address
        assert plugin(s).active
