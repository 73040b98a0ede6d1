"""No message of a worker or a client makes the plugin retreat, or costs a worker its connection."""

import logging
import random
from contextlib import suppress

import pytest
from distributed import wait
from distributed.utils_test import gen_cluster, inc

from supreme_dask import SupremePlugin
from supreme_dask.core import wire
from supreme_dask.errors import MessageError

MESSAGES = 400  # of each sender
ANYTHING = [
    None,
    True,
    0,
    -1,
    1 << 60,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    b"x",
    [],
    [[1]],
    (),
    ("x", 1),
    {},
    {"a": [1]},
]
STREAMED = [
    "supreme-done",
    "supreme-hello",
    "supreme-strain",
    "supreme-relax",
    "supreme-overgrown",
    "supreme-stopped",
    "supreme-grown",
]
FIELDS = [
    "key",
    "worker",
    "wall",
    "version",
    "process",
    "held",
    "asked",
    "free",
    "later",
]


def garbage(chance, names=FIELDS):
    return {name: chance.choice(ANYTHING) for name in chance.sample(names, chance.randrange(len(names)))}


async def plugin_of(client, scheduler):
    await client.register_plugin(SupremePlugin())
    return scheduler.plugins["supreme"]


async def computes(client, plugin):
    assert await client.gather(client.map(inc, range(20), pure=False)) == list(range(1, 21))
    assert plugin.active


@pytest.mark.parametrize("seed", range(3))
def test_what_workers_and_clients_stream_is_read_or_left_aside(seed, caplog):
    @gen_cluster(client=True, nthreads=[("127.0.0.1", 2)] * 2)
    async def story(c, s, a, b):
        plugin, chance = await plugin_of(c, s), random.Random(seed)
        await computes(c, plugin)
        for _ in range(MESSAGES):
            a.batched_send({**garbage(chance), "op": chance.choice(STREAMED)})
            c._send_to_scheduler({**garbage(chance), "op": chance.choice(STREAMED)})
        await computes(c, plugin)
        assert len(s.workers) == 2

    caplog.set_level(logging.WARNING, "supreme_dask")
    story()
    said = [message for message in caplog.messages if message.startswith("A message is left aside")]
    assert 0 < len(said) <= len(STREAMED)


@pytest.mark.parametrize(
    "told", [(1.0, 1, True, None, "more"), (1.0, 1), "fast", {"cpu": 1}, (float("nan"), -5, 1, 1), 5]
)
def test_a_measurement_of_another_release_counts_as_none(told):
    """One worker that told one value more turned placement off for the whole cluster."""

    @gen_cluster(client=True, nthreads=[("127.0.0.1", 1)] * 2)
    async def story(c, s, a, b):
        plugin = await plugin_of(c, s)
        stock = s.stream_handlers["task-finished"]

        def other_release(**message):
            return stock(**{**message, "metadata": {wire.MEASURED_KEY: told}})

        s.stream_handlers["task-finished"] = other_release
        await computes(c, plugin)
        await wait(c.map(inc, range(100, 120)))
        assert s.workers[a.address].status == s.workers[b.address].status

    story()


@pytest.mark.parametrize(
    "event",
    [
        None,
        5,
        "x",
        [],
        {},
        {"worker": 5},
        {"worker": "tcp://a:1"},
        {"worker": ["x"], "rss": 1},
        {"worker": "x", "rss": "y"},
    ],
)
def test_an_event_that_only_looks_like_a_nannys_is_left_aside(event):
    @gen_cluster(client=True, nthreads=[("127.0.0.1", 1)])
    async def story(c, s, a):
        plugin = await plugin_of(c, s)
        await c.log_event(wire.KILLED, event)
        await computes(c, plugin)

    story()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("supreme_drain", {"names": 5, "reason": "why"}),
        ("supreme_drain", {"names": [["a"]], "reason": "why"}),
        ("supreme_drain", {"names": ["a"], "reason": None}),
        ("supreme_drain", {"names": ["a"], "reason": "why", "deadline": "soon"}),
        ("supreme_drain", {"names": ["a"], "reason": "why", "deadline": float("nan")}),
        ("supreme_drain", {}),
        ("supreme_undrain", {"names": {"a": 1}, "reason": "why"}),
        ("supreme_kept", {"names": "a"}),
        ("supreme_leave", {"worker": 5, "seconds": 1}),
        ("supreme_leave", {"worker": "tcp://a:1", "seconds": -1}),
    ],
)
def test_a_call_that_cannot_be_read_is_answered_with_what_is_wrong(call, told):
    @gen_cluster(client=True, nthreads=[("127.0.0.1", 1)])
    async def story(c, s, a):
        plugin = await plugin_of(c, s)
        with pytest.raises(MessageError, match=call):
            await getattr(c.scheduler, call)(**told)
        await computes(c, plugin)

    story()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("adaptive_target", {"target_duration": "soon", "more": 1}),
        ("workers_to_close", {"n": "many"}),
        ("workers_to_close", {"n": 1, "key": b"no pickle"}),
        ("workers_to_close", {"n": 1, "attribute": "nothing"}),
        ("workers_to_close", {"minimum": "few", "n": 1}),
        ("retire_workers", {"workers": 5}),
        ("retire_workers", {"names": [[1]], "workers": ["x"]}),
    ],
)
def test_a_call_that_plain_dask_refuses_too_is_its_callers_fault(call, told):
    @gen_cluster(client=True, nthreads=[("127.0.0.1", 1)] * 2)
    async def story(c, s, a, b):
        plugin = await plugin_of(c, s)
        with suppress(Exception):  # of plain Dask, whatever it is
            await getattr(c.scheduler, call)(**told)
        await computes(c, plugin)

    story()
