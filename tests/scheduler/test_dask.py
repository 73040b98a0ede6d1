"""What Dask itself does goes on as it did, with our plugin placing its tasks."""

import asyncio

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, Event, Lock, Nanny, Queue, get_client, rejoin, secede, wait, worker_client
from distributed.scheduler import NoValidWorkerError, NoWorkerError
from distributed.utils_test import inc

from tests.scheduler.clusters import OURS, all_free, plugin, supreme, until, worker
from tests.scheduler.counting import peaks, run

attempts = []


def wait_for(event, number=0):
    event.wait()
    return run(number)


def fails_twice(number):
    attempts.append(number)
    if attempts.count(number) < 3:
        raise ValueError("not yet")
    return number


def ask_others(number, demand=None):
    with worker_client() as client:
        return client.submit(inc, number, resources=demand, pure=False).result()


def leave_and_return(number):
    secede()
    result = get_client().submit(inc, number, pure=False).result()
    rejoin()
    return result


@supreme(worker(1), worker(1))
async def test_work_is_not_stolen(c, s, a, b):
    assert "stealing" in s.extensions, "Dask's own dashboard looks for it"
    assert not any("Stealing" in type(each).__name__ for each in s.plugins.values())
    futures = c.map(run, range(50), seconds=0.005, pure=False)
    await wait(futures)
    assert not s.get_events("stealing")


@supreme(worker(1), config={"distributed.scheduler.no-workers-timeout": "50ms"})
async def test_only_tasks_that_no_worker_could_run_fail_for_want_of_a_worker(c, s, a):
    event = Event()
    first = c.submit(wait_for, event)
    waits = c.map(inc, range(3), pure=False)
    nowhere = [c.submit(inc, 2, resources={"X": 1}), c.submit(inc, 3, workers=["127.0.0.1:1"])]
    for future in nowhere:
        with pytest.raises(NoValidWorkerError):
            await future
    assert s.tasks[waits[-1].key].state == "no-worker"
    await event.set()
    assert await c.gather(waits) == [1, 2, 3]
    await first


@supreme(config={"distributed.scheduler.no-workers-timeout": "50ms"})
async def test_tasks_fail_for_want_of_any_worker_as_the_user_set(c, s):
    with pytest.raises(NoWorkerError):
        await c.submit(inc, 1)


@pytest.mark.parametrize("demand", [None, {"memory": "100 MB"}, {"cpu": 1}])
@supreme(worker(2, 1))
async def test_tasks_that_ask_for_others_do_not_block_them(c, s, a, demand):
    futures = c.map(ask_others, range(6), demand=demand, resources=demand, pure=False)
    assert await c.gather(futures) == [1, 2, 3, 4, 5, 6]
    futures.clear()
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@supreme(worker(1), worker(1))
async def test_a_task_may_leave_its_thread_and_come_back(c, s, a, b):
    assert await c.gather(c.map(leave_and_return, range(6), pure=False)) == [1, 2, 3, 4, 5, 6]


@supreme(worker(2, A=1), worker(2, A=1))
async def test_a_failing_task_is_retried_and_holds_nothing_between(c, s, a, b):
    attempts.clear()
    futures = c.map(fails_twice, range(20), retries=2, resources={"A": 1}, pure=False)
    assert await c.gather(futures) == list(range(20))
    futures.clear()
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@supreme(worker(2, A=1))
async def test_cancelled_tasks_that_wait_are_forgotten(c, s, a):
    event = Event()
    first = c.submit(wait_for, event, resources={"A": 1})
    await until(lambda: reserved_keys(s) == {first.key})
    waiting = c.map(run, range(50), resources={"A": 1}, pure=False)
    await until(lambda: len(plugin(s).admission.queues) == 50)
    await c.cancel(waiting)
    await until(lambda: not len(plugin(s).admission.queues))
    await event.set()
    await first


def reserved_keys(scheduler):
    return set(plugin(scheduler).admission.ledger.reservations)


@supreme(worker(2, A=1), worker(2, A=1))
async def test_a_client_that_leaves_takes_its_tasks_with_it(c, s, a, b):
    event = Event()
    async with Client(s.address, asynchronous=True) as other:
        futures = other.map(wait_for, [event] * 10, range(10), resources={"A": 1}, pure=False)
        await until(lambda: len(plugin(s).admission.queues) == 8)
    await until(lambda: not len(plugin(s).admission.queues))
    await event.set()
    await until(lambda: all_free(s))
    del futures
    assert await c.submit(inc, 1, resources={"A": 1}) == 2


@supreme(worker(2, A=1), worker(2, A=1))
async def test_a_task_runs_where_it_may(c, s, a, b):
    bound = c.map(run, range(10), workers=[a.address], resources={"A": 1}, pure=False)
    assert {each.worker for each in await c.gather(bound)} == {a.address}
    host = c.map(run, range(4), workers=["127.0.0.1"], resources={"A": 1}, pure=False)
    assert len(await c.gather(host)) == 4
    loose = c.map(run, range(10), workers=["tcp://127.0.0.1:9"], allow_other_workers=True, pure=False)
    assert len(await c.gather(loose)) == 10
    nowhere = c.submit(run, 1, workers=["tcp://127.0.0.1:9"])
    await until(lambda: nowhere.key in s.tasks and s.tasks[nowhere.key].state == "no-worker")
    assert not nowhere.done()


@supreme(worker(2), worker(2), worker(2))
async def test_workers_retire_while_tasks_run(c, s, *workers):
    futures = c.map(run, range(120), seconds=0.005, pure=False)
    await futures[0]
    await c.retire_workers([workers[0].address])
    assert sorted(each.number for each in await c.gather(futures)) == list(range(120))
    assert workers[0].address not in plugin(s).admission.ledger.rows


@supreme(worker(2, A=2), worker(2, A=2), worker(2, A=2))
async def test_what_a_lost_worker_ran_and_stored_is_done_again(c, s, *workers):
    first = c.map(run, range(60), seconds=0.005, resources={"A": 1}, pure=False)
    second = [c.submit(run, n, 0.002, None, future, resources={"A": 1}) for n, future in enumerate(first)]
    await second[0]
    await workers[0].close()
    assert [each.number for each in await c.gather(second)] == list(range(60))
    del first, second
    await until(lambda: not s.tasks)
    await until(lambda: all_free(s))


@supreme(worker(2), worker(2))
async def test_nothing_is_sent_to_a_paused_worker_and_all_of_it_once_it_resumes(c, s, a, b):
    a.status = type(a.status).paused
    await until(lambda: s.workers[a.address].status == a.status)
    runs = await c.gather(c.map(run, range(40), pure=False))
    assert {each.worker for each in runs} == {b.address}
    b.status = type(b.status).paused
    await until(lambda: s.workers[b.address].status == b.status)
    futures = c.map(run, range(40), pure=False)
    await until(lambda: len(plugin(s).admission.queues) == 40)
    a.status = type(a.status).running
    assert {each.worker for each in await c.gather(futures)} == {a.address}


@supreme(worker(2), worker(2))
async def test_arrays_and_frames_are_shuffled_between_workers(c, s, a, b):
    with dask_config():
        array = da.arange(400, chunks=20).reshape(20, 20).rechunk((20, 1), method="p2p")
        assert (await c.compute(array.sum())) == 400 * 399 // 2
        frame = dd.from_pandas(pd.DataFrame({"x": np.arange(100), "y": np.arange(100) % 7}), npartitions=5)
        shuffled = await c.compute(frame.shuffle("y").groupby("y").x.sum())
    assert shuffled.sum() == 100 * 99 // 2


def dask_config():
    import dask

    return dask.config.set({"dataframe.shuffle.method": "p2p", "optimization.fuse.active": False})


@supreme(worker(1), worker(1))
async def test_data_is_replicated_and_balanced(c, s, a, b):
    futures = await c.scatter(list(range(10)), workers=[a.address])
    await c.replicate(futures)
    assert all(len(ws.has_what) == 10 for ws in s.workers.values())
    more = c.map(inc, range(20))
    await wait(more)
    await c.rebalance()
    assert await c.gather(more) == list(range(1, 21))


@supreme(worker(2, A=1))
async def test_locks_and_queues_work_between_tasks(c, s, a):
    async def append(number, lock, queue):
        async with lock:
            await queue.put(number)

    lock, queue = Lock(), Queue()
    await wait(c.map(append, range(5), lock=lock, queue=queue, pure=False))
    assert sorted(await asyncio.gather(*(queue.get() for _ in range(5)))) == [0, 1, 2, 3, 4]


@supreme(worker(2, A=2), worker(2, A=2), Worker=Nanny, config=OURS)
async def test_a_restarted_cluster_is_empty_and_works(c, s, a, b):
    futures = c.map(run, range(100), seconds=0.02, resources={"A": 1}, pure=False)
    await futures[0]
    await c.restart()
    assert not len(plugin(s).admission.queues)
    del futures
    runs = await c.gather(c.map(run, range(20), seconds=0.02, amounts={"A": 1}, resources={"A": 1}, pure=False))
    assert all(highest <= 2 for highest in peaks(runs).values())
    await until(lambda: all_free(s) or len(plugin(s).admission.ledger.reservations) == 0)
