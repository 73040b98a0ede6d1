"""Workers that leave: nothing is run twice, and nothing is lost."""

import asyncio
import os
import signal
import time
from functools import partial

from distributed import Nanny, wait, worker_client
from distributed.core import Status

from supreme_dask.scheduler.journal import DrainJournal
from tests.scheduler.clusters import plugin, supreme, until, worker
from tests.scheduler.gates import BEGUN, GO

DEMANDS = {"supreme.demands": {"work": {"memory": "1 MiB"}}}  # else the first runs alone
sized = partial(supreme, config=DEMANDS)


def work(number, *, held=False):
    """Note that this was begun; if it is held, end when the test says so."""
    BEGUN.append(number)
    assert not held or GO.wait(20)
    return number


def sleep(number, seconds):
    time.sleep(seconds)
    return number


def names(scheduler, *workers):
    return [str(scheduler.workers[one.address].name) for one in workers]


def drain(scheduler, *workers, **options):
    return plugin(scheduler).drains.drain(names(scheduler, *workers), reason="a test", **options)


def states(scheduler):
    return plugin(scheduler).drains.states()


async def placed(scheduler, one, count=1):
    await until(lambda: len(scheduler.workers[one.address].processing) == count)


@sized(worker(2), worker(2))
async def test_what_runs_is_ended_and_what_is_held_is_handed_over(client, scheduler, a, b):
    scattered = await client.scatter({"only": b"x" * 1000}, workers=[a.address])
    done = client.map(work, range(5), workers=[a.address])
    await wait(done)
    running = client.submit(work, "last", held=True, workers=[a.address], allow_other_workers=True)
    await placed(scheduler, a)
    assert drain(scheduler, a) == {}
    await asyncio.sleep(0.3)
    assert list(states(scheduler).values()) == ["finishing"]
    others = client.map(work, range(10, 30), pure=False)
    await wait(others)
    GO.set()
    await until(lambda: a.address not in scheduler.workers)
    assert await client.gather([*done, running, scattered["only"]]) == [*range(5), "last", b"x" * 1000]
    assert sorted(map(str, BEGUN)) == sorted(map(str, [*range(5), "last", *range(10, 30)]))
    await until(lambda: not states(scheduler))


@sized(worker(2), worker(2))
async def test_a_worker_that_is_wanted_after_all_takes_tasks_again(client, scheduler, a, b):
    held = client.submit(work, 1, held=True, workers=[a.address], allow_other_workers=True)
    await placed(scheduler, a)
    drain(scheduler, a)
    plugin(scheduler).drains.cancel(names(scheduler, a), "demand returned")
    assert not states(scheduler)
    assert await client.submit(work, 2, workers=[a.address]) == 2
    GO.set()
    assert await held == 1


@sized(worker(2), worker(2), worker(2))
async def test_two_that_leave_do_not_hand_over_to_each_other(client, scheduler, a, b, c):
    scattered = [
        await client.scatter(bytes([number]) * 100, workers=[one.address], hash=False)
        for number, one in enumerate([a, b] * 5)
    ]
    drain(scheduler, a, b)
    await until(lambda: set(scheduler.workers) == {c.address})
    assert await client.gather(scattered) == [bytes([number]) * 100 for number in range(10)]


@sized(worker(2), worker(2))
async def test_a_worker_whose_results_nobody_can_take_stays(client, scheduler, a, b):
    scattered = await client.scatter(b"x" * 1000, workers=[a.address])
    b.status = Status.paused
    await until(lambda: scheduler.workers[b.address].status == Status.paused)
    drain(scheduler, a)
    await until(lambda: not states(scheduler))
    await until(lambda: a.status == Status.running and scheduler.workers[a.address].status == Status.running)
    assert await client.submit(len, scattered) == 1000


@sized(worker(2))
async def test_the_last_worker_stays_while_work_waits(client, scheduler, a):
    futures = client.map(work, range(40), held=True, pure=False)
    await placed(scheduler, a, 3)
    drain(scheduler, a)
    await until(lambda: not states(scheduler))
    GO.set()
    assert await client.gather(futures) == list(range(40))


@sized(worker(2), worker(2))
async def test_a_worker_stays_when_work_comes_that_is_bound_to_it(client, scheduler, a, b):
    first = client.submit(work, 1, held=True, workers=[a.address])
    await placed(scheduler, a)
    drain(scheduler, a)
    second = client.submit(work, 2, workers=[a.address], pure=False)
    assert await second == 2
    assert not states(scheduler)
    GO.set()
    assert await first == 1


@sized(worker(2), worker(2))
async def test_after_the_deadline_only_tasks_that_may_run_again_are_cut(client, scheduler, a, b):
    anywhere = {"workers": [a.address], "allow_other_workers": True}
    again = client.submit(work, "again", held=True, retries=1, **anywhere)
    once = client.submit(work, "once", held=True, **anywhere)
    await placed(scheduler, a, 2)
    drain(scheduler, a, deadline=0.1)
    await until(lambda: BEGUN.count("again") == 2)
    assert a.address in scheduler.workers
    GO.set()
    assert await client.gather([again, once]) == ["again", "once"]
    await until(lambda: a.address not in scheduler.workers)
    assert BEGUN.count("once") == 1


class Counter:
    count = 0


@sized(worker(2), worker(2))
async def test_a_worker_with_an_actor_is_refused_with_the_reason(client, scheduler, a, b):
    await client.submit(Counter, actor=True, workers=[a.address])
    refused = drain(scheduler, a)
    assert "actor" in refused["0"]
    assert plugin(scheduler).drains.drain(["nobody"], reason="a test") == {"nobody": "no worker has this name"}


@sized(worker(2, GPU=1), worker(2))
async def test_a_worker_stays_when_work_comes_that_fits_nowhere_else(client, scheduler, a, b):
    first = client.submit(work, 1, held=True, workers=[a.address])
    await placed(scheduler, a)
    drain(scheduler, a)
    assert await client.submit(work, 2, resources={"GPU": 1}, pure=False) == 2
    assert not states(scheduler)
    GO.set()
    await first


@sized(worker(2, GPU=1), worker(2, GPU=1), worker(2))
async def test_of_two_that_leave_one_is_enough_for_work_that_fits_nowhere_else(client, scheduler, a, b, c):
    held = [client.submit(work, one.name, held=True, workers=[one.address]) for one in (a, b)]
    await placed(scheduler, a)
    await placed(scheduler, b)
    drain(scheduler, a, b)
    assert await client.submit(work, 2, resources={"GPU": 1}, pure=False) == 2
    assert len(states(scheduler)) == 1
    GO.set()
    await wait(held)
    await until(lambda: len(scheduler.workers) == 2)


@sized(worker(2), worker(2))
async def test_data_that_is_on_its_way_when_a_worker_is_to_leave_is_not_lost(client, scheduler, a, b):
    arrived, let_in = asyncio.Event(), asyncio.Event()
    stock = a.handlers["update_data"]

    async def slowly(**told):
        arrived.set()
        await let_in.wait()
        return stock(**told)

    a.handlers["update_data"] = slowly
    scattered = asyncio.ensure_future(client.scatter(b"x" * 1000, workers=[a.address], hash=False))
    await arrived.wait()
    drain(scheduler, a)
    await until(lambda: list(states(scheduler).values()) == ["moving"])
    plugin(scheduler).drains.tick()
    assert list(states(scheduler).values()) == ["moving"]
    let_in.set()
    future = await scattered
    await until(lambda: a.address not in scheduler.workers)
    assert await future == b"x" * 1000


@sized(worker(2), worker(2))
async def test_one_that_somebody_else_retires_is_not_given_tasks_again(client, scheduler, a, b):
    held = client.submit(work, 1, held=True, workers=[a.address])
    await placed(scheduler, a)
    scheduler.handle_worker_status_change(Status.closing_gracefully, a.address, "somebody else")
    drain(scheduler, a)
    plugin(scheduler).drains.cancel(names(scheduler, a), "demand returned")
    assert scheduler.workers[a.address].status == Status.closing_gracefully
    GO.set()
    await held


@sized(worker(2), worker(2))
async def test_what_a_person_wants_no_plan_takes_back(client, scheduler, a, b):
    held = client.submit(work, 1, held=True, workers=[a.address])
    await placed(scheduler, a)
    drain(scheduler, a, origin="person")
    drains = plugin(scheduler).drains
    assert drains.cancel(names(scheduler, a), "demand returned") == []
    assert drains.cancel(names(scheduler, a), "a person", origin="person") == names(scheduler, a)
    GO.set()
    await held


class SlowJournal(DrainJournal):
    """Of a store that keeps the last step waiting."""

    def __init__(self):
        super().__init__("memory", "blue")
        self.origins, self.last = [], []

    async def start(self, scheduler):
        pass

    def keep(self, step, then):
        self.origins.append(step.origin)
        if step.state == "leaving":
            self.last.append(then)
        else:
            then()

    def forget(self, name):
        pass


@sized(worker(2), worker(2))
async def test_what_a_plan_lets_go_is_a_persons_from_when_he_asks_for_it(client, scheduler, a, b):
    journal = SlowJournal()
    await scheduler.register_scheduler_plugin(journal, idempotent=True)
    again = client.submit(work, "again", held=True, retries=1, workers=[a.address], allow_other_workers=True)
    await placed(scheduler, a)
    drain(scheduler, a)
    await until(lambda: list(states(scheduler).values()) == ["finishing"])
    drain(scheduler, a, origin="person", deadline=0.1)
    assert journal.origins == ["plan", "person"]
    drain(scheduler, a)
    assert plugin(scheduler).drains.cancel(names(scheduler, a), "demand returned") == []
    await until(lambda: journal.last)
    journal.last.pop()()
    await until(lambda: a.address not in scheduler.workers)
    GO.set()
    assert await again == "again"


@sized(worker(2))
async def test_the_last_worker_leaves_however_long_the_store_takes(client, scheduler, a):
    journal = SlowJournal()
    await scheduler.register_scheduler_plugin(journal, idempotent=True)
    drain(scheduler, a)
    await until(lambda: journal.last)
    for _ in range(3):
        plugin(scheduler).drains.tick()
    journal.last.pop()()
    await until(lambda: not scheduler.workers)


# ---------------------------------------------------------------------------------------- notice
@sized(worker(2), worker(2), config={**DEMANDS, "distributed.scheduler.active-memory-manager.start": False})
async def test_with_notice_copies_are_made_and_kept_while_tasks_run_that_use_the_results(client, scheduler, a, b):
    anywhere = {"workers": [a.address], "allow_other_workers": True}
    result = client.submit(work, 1, **anywhere)
    await wait(result)
    user = client.submit(work, result, held=True, **anywhere)
    await placed(scheduler, a)
    assert plugin(scheduler).drains.leave(a.address, 60.0)
    copied = scheduler.tasks[result.key]
    await until(lambda: len(copied.who_has) == 2)
    scheduler.extensions["amm"].run_once()  # stock Dask would drop the copy: a task on the first one uses it
    assert len(copied.who_has) == 2
    GO.set()
    await until(lambda: a.address not in scheduler.workers)
    assert await client.gather([result, user]) == [1, 1]
    assert BEGUN == [1, 1]
    await until(lambda: not plugin(scheduler)._hands.spared("notice"))


@sized(worker(2), worker(2))
async def test_one_that_leaves_already_may_be_given_notice(client, scheduler, a, b):
    again = client.submit(work, 1, held=True, retries=1, workers=[a.address], allow_other_workers=True)
    await placed(scheduler, a)
    drain(scheduler, a)
    assert plugin(scheduler).drains.leave(a.address, 0.5)
    assert plugin(scheduler).drains.cancel(names(scheduler, a), "demand returned") == []
    await until(lambda: a.address not in scheduler.workers)
    GO.set()
    assert await again == 1
    assert not plugin(scheduler).drains.leave("tcp://nobody:1", 1.0)


def parent():
    with worker_client() as client:
        return client.submit(work, "child", held=True, pure=False).result(20)


@sized(worker(1), worker(1))
async def test_a_task_that_waits_for_its_children_is_ended_first(client, scheduler, a, b):
    future = client.submit(parent, workers=[a.address], allow_other_workers=True)
    await until(lambda: sum(len(ws.processing) for ws in scheduler.workers.values()) == 2)
    drain(scheduler, a)
    await asyncio.sleep(0.2)
    GO.set()
    assert await future == "child"
    await until(lambda: a.address not in scheduler.workers)


@sized(worker(2), worker(2), Worker=Nanny)
async def test_a_worker_that_dies_while_it_leaves_costs_what_dask_computes_again(client, scheduler, a, b):
    done = client.map(sleep, range(5), seconds=0.01, workers=[a.worker_address], allow_other_workers=True)
    await wait(done)
    future = client.submit(sleep, "last", 1, workers=[a.worker_address], allow_other_workers=True)
    await until(lambda: scheduler.workers[a.worker_address].processing)
    plugin(scheduler).drains.drain(["0"], reason="a test")
    a.auto_restart = False
    os.kill(a.pid, signal.SIGKILL)
    assert await client.gather([*done, future]) == [*range(5), "last"]
    await until(lambda: not states(scheduler))


@sized(worker(2), worker(2))
async def test_plain_dask_has_everybody_again_if_the_plugin_goes(client, scheduler, a, b):
    future = client.submit(work, 1, held=True, workers=[a.address])
    await placed(scheduler, a)
    drain(scheduler, a)
    await client.unregister_scheduler_plugin("supreme")
    await until(lambda: scheduler.workers[a.address].status == Status.running)
    GO.set()
    assert await future == 1


@sized(worker(2), worker(2), worker(2))
async def test_whoever_asks_dask_whom_to_close_is_told_no_busy_worker(client, scheduler, a, b, c):
    future = client.submit(work, 1, held=True, workers=[a.address])
    await client.submit(Counter, actor=True, workers=[b.address])
    await placed(scheduler, a)
    assert scheduler.workers_to_close(n=3) == [c.address]
    GO.set()
    await future
