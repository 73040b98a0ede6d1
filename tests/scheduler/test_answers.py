"""What workers say cannot make the plugin fail, and an answer counts only for what was asked."""

import pytest
from distributed import Event

from tests.scheduler.clusters import plugin, supreme, until, worker

NONSENSE = [None, -1, 10**40, "much", 1.5, [1], {}]


def wait_for(event):
    event.wait()
    return "done"


@pytest.mark.parametrize("amount", NONSENSE)
@supreme(worker(1, 1))
async def test_amounts_that_cannot_be_leave_the_plugin_placing(c, s, a, amount):
    event = Event()
    future = c.submit(wait_for, event)
    await until(lambda: future.key in s.tasks and s.tasks[future.key].processing_on)
    handlers, told = s.stream_handlers, {"key": future.key, "worker": a.address}
    handlers["supreme-grown"](**told, held=amount)
    handlers["supreme-stopped"](**told, held=amount, asked=amount, free=amount)
    handlers["supreme-stopped"](**told)
    handlers["supreme-stopped"](key="nobody's", worker=a.address, held=amount, asked=amount, free=amount)
    await event.set()
    assert await future == "done"
    assert plugin(s).active


@supreme(worker(1), worker(1))
async def test_an_answer_of_a_worker_that_was_not_asked_loses_no_task(c, s, a, b):
    event = Event()
    futures = c.map(wait_for, [event] * 8, pure=False)
    await until(lambda: all(len(ws.processing) == 2 for ws in s.workers.values()))
    placing = plugin(s)._placing
    (behind,) = [one.key for one in plugin(s).admission.ledger.rows[a.address].waiting]
    placing._recalled[behind] = a.address
    placing.recall_answered(behind, None, b.address)
    assert behind in placing._recalled
    await event.set()
    assert await c.gather(futures) == ["done"] * 8
