"""Tasks that wait for each other: no type may wait for a worker of its own for ever."""

import asyncio

from distributed import Event, wait

from tests.scheduler.clusters import all_free, supreme, until, worker

IMPATIENT = {"supreme.patience": "50ms"}


def ask(event):
    event.wait()


def answer(event):
    event.set()


def meet(number, last, event):
    event.set() if number == last else event.wait()


@supreme(worker(2), config=IMPATIENT)
async def test_a_task_may_wait_for_one_of_a_type_that_never_ran(c, s, a):
    event = Event()
    asking = c.submit(ask, event)
    await until(lambda: a.state.executing_count)
    await wait([asking, c.submit(answer, event)])
    await until(lambda: all_free(s))


@supreme(worker(2), worker(2), config=IMPATIENT)
async def test_tasks_of_a_new_type_may_wait_for_each_other(c, s, a, b):
    await c.gather(c.map(meet, range(4), last=3, event=Event()))
    await until(lambda: all_free(s))


@supreme(worker(2), config=IMPATIENT)
async def test_a_new_type_runs_beside_a_cancelled_task_that_does_not_end(c, s, a):
    event = Event()
    asking = c.submit(ask, event)
    await until(lambda: a.state.executing_count)
    asking.release()
    await until(lambda: not s.tasks)
    await asyncio.wait_for(c.submit(answer, event), 10)
    await until(lambda: all_free(s))
