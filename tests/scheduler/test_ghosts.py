"""A cancelled task whose thread still runs keeps what it holds: Python cannot stop a thread."""

import asyncio

import pytest
from distributed import Event

from tests.scheduler.clusters import all_free, plugin, reserved, supreme, until, worker
from tests.scheduler.counting import peaks, run


def wait_for(event, number=0):
    event.wait()
    return run(number)


async def start(client, scheduler, event, key, **options):
    future = client.submit(wait_for, event, key=key, **options)
    await until(lambda: key in scheduler.tasks and scheduler.tasks[key].state == "processing")
    address = scheduler.tasks[key].processing_on.address
    return future, address


async def running(a, key):
    await until(lambda: key in a.state.tasks and a.state.tasks[key].state == "executing")


def wait_and_fail(event):
    event.wait()
    raise ValueError("ended after all")


@pytest.mark.parametrize("function", [wait_for, wait_and_fail])
@supreme(worker(4, MEM=1))
async def test_a_cancelled_task_keeps_its_place_until_its_thread_is_done(c, s, a, function):
    event = Event()
    asked = []
    a.stream_handlers["supreme-audit"] = lambda **question: asked.append(question)
    cancelled = c.submit(function, event, key="cancelled", resources={"MEM": 1})
    await running(a, "cancelled")
    await cancelled.cancel()
    after = c.submit(run, 1, resources={"MEM": 1})
    await until(lambda: after.key in plugin(s).admission.queues)
    assert len(plugin(s).admission.ledger.ghosts) == 1
    await event.set()
    await after
    assert not plugin(s).admission.ledger.ghosts
    assert len(asked) == 1  # at once; later it said so by itself


@supreme(worker(4, MEM=1))
async def test_a_kill_for_memory_on_a_worker_where_cancelled_tasks_still_run_is_taken_in(c, s, a):
    """As its nanny would tell: nobody is left to be blamed, and we go on."""
    event = Event()
    cancelled, _ = await start(c, s, event, "cancelled", resources={"MEM": 1})
    await running(a, "cancelled")
    await cancelled.cancel()
    s.log_event("worker-restart-memory", {"worker": a.address, "pid": 1, "rss": 1})
    s.log_event("worker-restart-memory", {"worker": "tcp://127.0.0.1:1", "pid": 1, "rss": 1})
    await event.set()
    assert await c.submit(run, 1, resources={"MEM": 1})
    assert plugin(s).active


@supreme(worker(4, MEM=1))
async def test_a_lost_message_about_a_thread_is_asked_for(c, s, a):
    event = Event()
    cancelled, _ = await start(c, s, event, "cancelled", resources={"MEM": 1})
    await running(a, "cancelled")
    s.stream_handlers["supreme-done"] = lambda **_: None  # as if it never came
    await cancelled.cancel()
    await event.set()
    await until(lambda: "cancelled" not in a.state.tasks)
    s.stream_handlers["supreme-done"] = plugin(s)._ghosts.done
    assert await c.submit(run, 1, resources={"MEM": 1})
    assert not plugin(s).admission.ledger.ghosts


@supreme(worker(4, MEM=1))
async def test_a_task_submitted_again_while_its_ghost_runs_takes_the_ghosts_place(c, s, a):
    event = Event()
    first, _ = await start(c, s, event, "again", resources={"MEM": 1})
    await running(a, "again")
    # Not `cancel`: the client may hear of that late, and then cancels the second future too.
    first.release()
    await until(lambda: "again" not in s.tasks)
    second = c.submit(wait_for, event, key="again", resources={"MEM": 1})
    await until(lambda: "again" in s.tasks and s.tasks["again"].state == "processing")
    assert reserved(s) == 1
    await event.set()
    assert await second
    first = second = None
    await until(lambda: all_free(s))


@supreme(worker(4, MEM=1), worker(4, MEM=1))
async def test_a_ghost_does_not_hold_a_task_where_it_may_not_run_any_more(c, s, a, b):
    event = Event()
    first, address = await start(c, s, event, "again", resources={"MEM": 1}, workers=[a.address])
    assert address == a.address
    await running(a, "again")
    # Not `cancel`: the client may hear of that late, and then cancels the second future too.
    first.release()
    await until(lambda: "again" not in s.tasks)
    second = c.submit(run, 2, key="again", resources={"MEM": 1}, workers=[b.address])
    assert (await second).worker == b.address
    await event.set()
    first = second = None
    await until(lambda: all_free(s))


@supreme(worker(4, MEM=1), worker(4, MEM=1))
async def test_a_ghost_on_a_paused_worker_gives_its_place_back(c, s, a, b):
    event = Event()
    first, address = await start(c, s, event, "again", resources={"MEM": 1})
    home, other = (a, b) if address == a.address else (b, a)
    await running(home, "again")
    # Not `cancel`: the client may hear of that late, and then cancels the second future too.
    first.release()
    await until(lambda: "again" not in s.tasks)
    home.status = type(home.status).paused
    await until(lambda: s.workers[home.address].status == home.status)
    second = c.submit(run, 2, key="again", resources={"MEM": 1})
    assert (await second).worker == other.address
    await event.set()
    home.status = type(home.status).running
    first = second = None
    await until(lambda: all_free(s))
    runs = await c.gather(c.map(run, range(4), seconds=0.05, amounts={"MEM": 1}, resources={"MEM": 1}))
    assert set(peaks(runs).values()) == {1}


@supreme(worker(4, MEM=1))
async def test_a_cancelled_task_that_never_started_gives_its_place_back(c, s, a):
    futures = [c.submit(run, number, 0.02, key=f"n-{number}", resources={"MEM": 0.25}) for number in range(50)]
    await futures[0]
    for future in futures:
        await future.cancel()
    del futures, future
    await until(lambda: all_free(s))


@supreme(worker(4, MEM=1))
async def test_ghosts_of_a_lost_worker_are_forgotten(c, s, a):
    event = Event()
    first, _ = await start(c, s, event, "cancelled", resources={"MEM": 1})
    await running(a, "cancelled")
    await first.cancel()
    await until(lambda: reserved(s) == 1)
    await s.remove_worker(a.address, stimulus_id="test")
    assert reserved(s) == 0
    await event.set()


@supreme(worker(2, MEM=1), config={"supreme.silence": "1s"})
async def test_a_worker_that_a_cancelled_task_silences_is_left_alone(c, s, a):
    """As if its thread held Python's lock: no heartbeat, no answer."""
    event = Event()
    cancelled, _ = await start(c, s, event, "cancelled", resources={"MEM": 1})
    await running(a, "cancelled")
    await cancelled.cancel()
    await until(lambda: plugin(s).admission.ledger.ghosts)
    asked, never = asyncio.Event(), asyncio.Event()

    async def identity(**_):
        asked.set()
        await never.wait()

    a.handlers["identity"] = identity
    a.periodic_callbacks["heartbeat"].stop()
    a.periodic_callbacks["keep-alive"].stop()
    await asyncio.wait_for(asked.wait(), 10)
    await until(lambda: not plugin(s)._silence._asked)
    assert a.address in s.workers
    await event.set()
