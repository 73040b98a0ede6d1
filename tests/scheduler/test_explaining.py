"""A person asks where a task is: through a client, by future, key, or what is on the screen."""

import pytest
from distributed import Event

from supreme_dask import explain
from supreme_dask.errors import InactiveError
from tests.scheduler.clusters import GiB, named, plain, plugin, supreme, until, worker
from tests.scheduler.gates import GO, hold


def total(*numbers):
    return sum(numbers)


def await_gate(_, gate):
    assert gate.wait(20)


def divide(number):
    return 1 / number


@supreme(worker(memory=4))
async def test_a_task_that_fits_nowhere_is_explained_at_once(client, scheduler, *_):
    future = client.submit(hold, resources={"memory": 8 * GiB}, key="large")
    found = await explain(future)
    assert (found.state, found.cause, found.demand["memory"]) == ("no-worker", "too-large", 8 * GiB)
    assert str(found).startswith("it needs memory 8.00 GiB; no worker has as much, the largest (worker ")


@supreme()
async def test_workers_are_called_by_their_names(client, scheduler):
    async with named(scheduler, "small-0"):
        first, second = (client.submit(hold, n, resources={"memory": 3 * GiB}) for n in range(2))
        await until(lambda: scheduler.workers and any(ws.executing for ws in scheduler.workers.values()))
        running = await explain(first)
        assert running.workers == ("small-0",)
        assert running.reserved["memory"] == 3 * GiB
        assert "it has been running on worker small-0 for" in str(running)
        assert "memory as declared" in str(running)
        assert str(await explain(second)) == (
            "it needs memory 3.00 GiB; the most that is free is 1.00 GiB, on worker small-0"
        )
        GO.set()
        await client.gather([first, second])


@supreme(worker(), worker())
async def test_a_chain_is_followed_to_the_task_that_all_wait_for(client, scheduler, *_):
    root = client.submit(hold, resources={"GPU": 1}, key="root")
    chain = [client.submit(total, 1, key="other"), root]
    for number in range(30):
        chain.append(client.submit(total, chain[0], chain[-1], key=f"link-{number}"))
    await chain[0]
    await until(lambda: scheduler.tasks["root"].state == "no-worker")
    found = await explain(chain[-1])
    assert (found.state, found.root) == ("waiting", "root")
    assert str(found) == (
        "it waits for 1 of the 2 results that it needs, in the end for 'root': "
        "it needs 'GPU', which no worker declares"
    )


@supreme(worker())
async def test_what_has_ended_says_how(client, scheduler, *_):
    done, bad = client.submit(total, 1, key="done"), client.submit(divide, 0, key="bad")
    worse = client.submit(total, bad, key="worse")
    await done
    await bad.exception()
    await worse.exception()
    assert (await explain(done)).state == "memory"
    assert str(await explain(done)).startswith("it is done: its result of 28 B is on worker ")
    assert str(await explain(bad)) == "it failed on worker 0: ZeroDivisionError('division by zero')"
    assert (await explain(worse)).root == "bad"
    assert "it failed because 'bad' did" in str(await explain(worse))


@supreme(worker(threads=1))
async def test_one_that_waits_on_its_worker_says_behind_how_many(client, scheduler, *_):
    gate = Event("gate", client=client)
    futures = client.map(await_gate, range(4), gate=gate)
    await until(lambda: sum(len(ws.processing) for ws in scheduler.workers.values()) == 2)
    found = [await explain(future) for future in futures]
    assert sum("waits there for a thread, behind 1 task" in one.sentence for one in found) == 1
    assert [one.ahead for one in found if one.state == "no-worker"] == [0, 1]
    await gate.set()
    await client.gather(futures)


@supreme(worker())
async def test_keys_may_be_written_as_they_are_shown(client, scheduler, *_):
    for key in ("plain", ("x-1", 0), "with/slash", "ключ", "quo'te", ("a", ("b", 2)), 7):
        future = client.submit(total, 1, key=key)
        await future
        assert (await explain(str(key), client=client)).state == "memory"
        assert (await explain(key, client=client)).state == "memory"
        assert (await explain(future)).state == "memory"


@pytest.mark.parametrize(
    "key", ["", "nope", "('x',", "[1]", "{}", "(" * 10_000, "1" * 10_000, "\0", ("x", 0), -1.5, b"x"]
)
def test_of_any_other_key_it_is_said_that_there_is_no_such_task(key):
    @supreme()
    async def asked(client, _):
        found = await explain(key, client=client)
        assert found.state == "unknown"
        assert "no task of this key" in str(found)
        assert len(found.key) <= 200

    asked()


@supreme(worker())
async def test_a_question_that_cannot_be_read_is_refused_and_nothing_else_happens(client, scheduler, *_):
    with pytest.raises(ValueError, match=r"supreme_explain: key=.*expected a key"):
        await client.scheduler.supreme_explain(key={"a": 1})
    assert plugin(scheduler).active


@plain(("127.0.0.1", 1))
async def test_where_plain_dask_places_it_is_said(client, scheduler, *_):
    with pytest.raises(InactiveError, match=r"not active at tcp://.*plain Dask places there"):
        await explain("x", client=client)


@supreme(worker())
async def test_after_a_retreat_there_is_no_answer_of_ours(client, scheduler, *_):
    plugin(scheduler).retreat(RuntimeError("made to fail"))
    with pytest.raises(InactiveError):
        await explain("x", client=client)
    assert await client.submit(total, 1, 2) == 3


@supreme(worker(threads=1), config={"distributed.scheduler.allowed-failures": 0})
async def test_every_state_of_every_task_has_a_sentence(client, scheduler, *_):
    futures = client.map(divide, [1, 2, 0, 4], key="divide")
    futures += [client.submit(total, *futures[:2], key="sum"), client.submit(hold, 1, resources={"memory": "1 TiB"})]
    for _ in range(50):
        for key in list(scheduler.tasks):
            found = await explain(key, client=client)
            assert found.sentence
            assert found.state in ("released", "waiting", "no-worker", "processing", "memory", "erred", "unknown")
    GO.set()
