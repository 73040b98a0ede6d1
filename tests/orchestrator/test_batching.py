"""Submits that share a message keep every promise of `Client.submit`."""

import asyncio
import operator
import threading
import time

import dask
import pytest
from distributed import Client, get_client
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.utils_test import async_poll_for, gen_cluster

from supreme_dask import SupremeCluster, SupremeOrchestrator, WorkerGroup


def graphs(scheduler, client):
    """Return how many graphs a client has sent."""
    return sum(event["action"] == "update-graph" for _, event in scheduler.get_events(client.id))


def fail(number):
    raise ValueError(number)


def submit_from_a_task():
    orchestrator = SupremeOrchestrator(get_client())
    return get_client().gather([orchestrator.submit(operator.neg, number) for number in range(5)])


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("this stays here")


class Slowly:
    """Remembers what was called, in order."""

    def __init__(self):
        self.calls = []

    def __call__(self, number):
        self.calls.append(number)

    def __reduce__(self):
        return "SLOWLY"


SLOWLY = Slowly()


@gen_cluster(client=True)
async def test_submits_of_one_moment_share_a_message(client, scheduler, *_):
    orchestrator = SupremeOrchestrator(client)
    futures = [orchestrator.submit(operator.neg, number) for number in range(100)]
    assert await client.gather(futures) == [-number for number in range(100)]
    assert graphs(scheduler, client) == 1


@gen_cluster(client=True, nthreads=[("127.0.0.1", 1)], config={"distributed.scheduler.worker-saturation": 1})
async def test_they_run_in_the_order_in_which_they_were_submitted(client, *_):
    SLOWLY.calls.clear()
    orchestrator = SupremeOrchestrator(client)
    futures = []
    for _ in range(3):
        futures += [orchestrator.submit(SLOWLY, number) for number in range(len(futures), len(futures) + 50)]
        await asyncio.sleep(0)
    await client.gather(futures)
    assert SLOWLY.calls == list(range(150))


@gen_cluster(client=True)
async def test_options_are_those_of_each_call(client, scheduler, *workers):
    orchestrator = SupremeOrchestrator(client)
    options = [
        {},
        {"priority": 5},
        {"retries": 3},
        {"workers": workers[0].address},
        {"workers": [workers[1].address], "allow_other_workers": True},
        {"priority": 5},
    ]
    with dask.annotate(priority=7):
        annotated = orchestrator.submit(operator.neg, 0)
    futures = [orchestrator.submit(operator.neg, number, **each) for number, each in enumerate(options, 1)]
    await client.gather([annotated, *futures])
    found = [scheduler.tasks[future.key] for future in futures]
    assert [-ts.priority[0] for ts in found] == [0, 5, 0, 0, 0, 5]
    assert -scheduler.tasks[annotated.key].priority[0] == 7
    assert found[2].annotations == {"retries": 3}
    assert [ts.worker_restrictions for ts in found[3:5]] == [{worker.address} for worker in workers]
    assert found[4].loose_restrictions
    assert graphs(scheduler, client) == 6


@gen_cluster(client=True)
async def test_bad_options_are_refused_as_the_client_refuses_them(client, *_):
    orchestrator = SupremeOrchestrator(client)
    with pytest.raises(TypeError, match="callable"):
        orchestrator.submit(1)
    with pytest.raises(ValueError, match="workers="):
        orchestrator.submit(operator.neg, 1, allow_other_workers=True)


@gen_cluster(client=True)
async def test_arguments_may_change_after_the_call(client, *_):
    orchestrator, values, futures = SupremeOrchestrator(client), [], []
    for number in range(4):
        futures.append(orchestrator.submit(list, values, pure=False))
        values.append(number)
    assert await client.gather(futures) == [[], [0], [0, 1], [0, 1, 2]]


@gen_cluster(client=True)
async def test_a_call_that_cannot_be_pickled_fails_at_once_and_alone(client, *_):
    orchestrator = SupremeOrchestrator(client)
    before = orchestrator.submit(operator.neg, 1)
    with pytest.raises(TypeError, match="serialize"):
        orchestrator.submit(operator.neg, Unpicklable(), key="unpicklable")
    assert await client.gather([before, orchestrator.submit(operator.neg, 2)]) == [-1, -2]


@gen_cluster(client=True)
async def test_a_call_that_raises_fails_alone(client, *_):
    orchestrator = SupremeOrchestrator(client)
    good, bad = orchestrator.submit(operator.neg, 1), orchestrator.submit(fail, 2)
    assert await good == -1
    with pytest.raises(ValueError, match="2"):
        await bad


@gen_cluster(client=True)
async def test_a_pure_call_is_run_once(client, scheduler, *_):
    orchestrator = SupremeOrchestrator(client)
    one, two = orchestrator.submit(operator.neg, 1), orchestrator.submit(operator.neg, 1)
    assert one.key == two.key
    del one
    assert await two == -1
    assert await orchestrator.submit(operator.neg, 1) == -1
    assert graphs(scheduler, client) == 1


@gen_cluster(client=True)
async def test_what_is_not_sent_yet_can_be_depended_on(client, *_):
    orchestrator = SupremeOrchestrator(client)
    one = orchestrator.submit(operator.neg, 1)
    by_client = client.submit(operator.neg, one)
    by_orchestrator = orchestrator.submit(sum, [one, by_client, orchestrator.submit(operator.neg, 5)])
    del one
    assert await client.gather([by_client, by_orchestrator]) == [1, -5]


@gen_cluster(client=True)
async def test_calls_do_not_share_the_fate_of_one_whose_inputs_are_gone(client, *_):
    orchestrator = SupremeOrchestrator(client)
    gone = orchestrator.submit(operator.neg, 1)
    await client.cancel([gone])
    good, bad = orchestrator.submit(operator.neg, 2), orchestrator.submit(operator.neg, gone)
    assert await good == -2
    with pytest.raises(FutureCancelledError, match="lost dependencies"):
        await bad


@gen_cluster(client=True)
async def test_a_call_can_be_cancelled_before_it_is_sent(client, *_):
    orchestrator = SupremeOrchestrator(client)
    # Not one key again and again: the cancellation of one that is submitted anew may reach the new call, in Dask too.
    for number in range(5):
        others = [orchestrator.submit(operator.neg, other) for other in (10, 20)]
        future = orchestrator.submit(operator.neg, number)
        await future.cancel()
        assert future.cancelled()
        assert await client.gather(others) == [-10, -20]


@gen_cluster(client=True)
async def test_a_key_that_is_being_released_can_be_submitted_again(client, *_):
    orchestrator, loop, futures = SupremeOrchestrator(client), asyncio.get_running_loop(), []

    def submit(number):
        futures.append(orchestrator.submit(operator.neg, number))

    submit(1)
    assert await futures[0] == -1
    # All in one turn of the loop: a batch is opened, the client asks to release the key, the key is wanted again.
    loop.call_soon(submit, 2)
    futures[0].release()
    loop.call_soon(submit, 1)
    await async_poll_for(lambda: len(futures) == 3, timeout=10)
    assert futures[0].key not in client.futures or futures[2]._state is not futures[0]._state
    assert await asyncio.wait_for(client.gather(futures[1:]), 10) == [-2, -1]


@gen_cluster(client=True)
async def test_what_is_released_before_it_is_sent_is_forgotten(client, scheduler, *_):
    orchestrator = SupremeOrchestrator(client)
    orchestrator.submit(operator.neg, 1)
    await orchestrator.submit(operator.neg, 2)
    await async_poll_for(lambda: not scheduler.tasks and not client.futures, timeout=10)


@gen_cluster(client=True)
async def test_a_call_with_much_data_travels_alone(client, scheduler, *_):
    orchestrator = SupremeOrchestrator(client)
    futures = [orchestrator.submit(len, argument) for argument in (b"", bytes(1 << 20), b"1")]
    assert await client.gather(futures) == [0, 1 << 20, 1]
    assert graphs(scheduler, client) == 3


@gen_cluster(client=True)
async def test_two_orchestrators_of_one_client_share_its_messages(client, scheduler, *_):
    futures = [SupremeOrchestrator(client).submit(operator.neg, number) for number in range(10)]
    await client.gather(futures)
    assert graphs(scheduler, client) == 1


@gen_cluster(nthreads=[("127.0.0.1", 1)])
async def test_a_client_may_be_closed_with_submits_on_their_way(scheduler, *_):
    client = await Client(scheduler.address, asynchronous=True, set_as_default=False)
    orchestrator = SupremeOrchestrator(client)
    future = orchestrator.submit(time.sleep, 0)
    await client.close()
    assert future.cancelled()
    with pytest.raises(ClosedClientError):
        orchestrator.submit(operator.neg, 1)
    await async_poll_for(lambda: not scheduler.tasks, timeout=10)


@gen_cluster(client=True, nthreads=[("127.0.0.1", 2)])
async def test_tasks_may_submit_too(client, *_):
    assert await client.submit(submit_from_a_task) == [0, -1, -2, -3, -4]


def test_any_thread_may_submit_and_cancel_at_once():
    groups = [WorkerGroup("w", cpu=1, memory="512 MiB")]
    with SupremeCluster(groups, dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:
        orchestrator, answers = SupremeOrchestrator(client), {}

        def use(thread):
            futures = [orchestrator.submit(operator.neg, number % 150) for number in range(thread, thread + 300)]
            answers[thread] = client.gather(futures) == [-(number % 150) for number in range(thread, thread + 300)]
            del futures
            orchestrator.submit(operator.neg, -thread, pure=False).cancel()

        threads = [threading.Thread(target=use, args=(100 * thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == dict.fromkeys(range(0, 400, 100), True)
