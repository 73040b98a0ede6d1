"""What the scheduler decided is read after it has stopped; a store that is down does not keep it from deciding."""

import asyncio
import json
import logging
import socket
import threading
from collections import Counter

import dask.config
import pytest
from click.testing import CliRunner
from distributed import Client, Scheduler, Worker

from supreme_dask import SupremePlugin
from supreme_dask.cli import main
from supreme_dask.cli.history import row
from supreme_dask.core import reasons
from supreme_dask.scheduler.recording import Recorder, record, tally
from supreme_dask.stores import open_store
from supreme_dask.stores.history import read

PRELOAD = ["supreme_dask.preload"]
GATE = threading.Event()


@pytest.fixture
def url(tmp_path):
    return f"sqlite://{tmp_path}/store.db"


def wait_at_the_gate():
    GATE.wait(20)


def decided(url):
    async def story():
        async with open_store(url) as store:
            return await read(store, "blue")

    return asyncio.run(story())


def run(url, story, *plugins):
    """Run a story with a scheduler that records."""

    async def told():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            for plugin in (*plugins, Recorder(url, "blue")):
                await scheduler.register_scheduler_plugin(plugin, idempotent=True)
            await story(scheduler)

    asyncio.run(told())


def worker(scheduler, **options):
    return Worker(scheduler.address, nthreads=1, dashboard_address="127.0.0.1:0", **options)


def test_who_came_who_left_and_who_was_lost(url, until):
    async def story(scheduler):
        async with worker(scheduler) as told, worker(scheduler) as lost:
            names.extend([told.address, lost.address])
            await scheduler.retire_workers([told.address])
            async with Client(scheduler.address, asynchronous=True) as client:
                future = client.submit(wait_at_the_gate, workers=[lost.address])

                async def runs():
                    return bool(lost.state.executing_count)

                await until(runs)
                await scheduler.remove_worker(lost.address, stimulus_id="it does not answer")
                GATE.set()
                await future.cancel()

    names = []
    run(url, story)
    first, second = names
    assert [(one["what"], one["worker"]) for one in decided(url)] == [
        ("join", first),
        ("join", second),
        ("leave", first),
        ("leave", second),
    ]
    assert [one["expected"] for one in decided(url)[2:]] == [True, False]
    assert [one["tasks"] for one in decided(url)[2:]] == [0, 1]
    assert decided(url)[3]["reason"].startswith(f"worker {second} is gone")


def test_rejected_tasks_are_counted_and_not_listed(url):
    async def story(scheduler):
        async with worker(scheduler), Client(scheduler.address, asynchronous=True) as client:
            futures = client.map(abs, range(50), resources={"memory": "lots"})
            failures = [await future.exception() for future in futures]
            assert {type(failure) for failure in failures} == {ValueError}

    run(url, story, SupremePlugin())
    rejected = [one for one in decided(url) if one["what"] == "reject"]
    assert sum(one["tasks"] for one in rejected) == 50
    assert {one["reason"][:11] for one in rejected} == {"memory='lot"}
    assert len(rejected) < 25


def test_a_demand_that_no_worker_meets_is_recorded_when_it_is_held(url, until):
    async def story(scheduler):
        async with worker(scheduler), Client(scheduler.address, asynchronous=True) as client:
            future = client.submit(abs, 1, resources={"gpus": 1})

            async def said():
                return bool(scheduler.get_events("warn"))

            await until(said)
            await future.cancel()

    run(url, story, SupremePlugin())
    (held,) = [one for one in decided(url) if one["what"] == "hold"]
    assert "gpus" in held["reason"]


def test_a_scheduler_with_a_store_in_its_config_records(url):
    async def story():
        settings = {"supreme.store": url, "supreme.system": "blue", "distributed.scheduler.preload": PRELOAD}
        with dask.config.set(settings):
            async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
                scheduler.plugins["supreme"].retreat(ZeroDivisionError("on purpose"))

    asyncio.run(story())
    (retreat,) = decided(url)
    assert (retreat["what"], "on purpose" in retreat["reason"]) == ("retreat", True)


def test_floods_and_values_that_cannot_be_kept_do_no_harm(url, caplog):
    async def story(scheduler):
        for number in range(1000):
            tally(scheduler, "reject", f"reason {number}")
        record(scheduler, "scale", "x" * 100_000)
        record(scheduler, "scale", "an odd value", odd=object())

    with caplog.at_level(logging.WARNING, "supreme_dask.scheduler.recording"):
        run(url, story)
    kept = decided(url)
    assert Counter(one["what"] for one in kept) == {"reject": 101, "scale": 1}
    assert sum(one.get("tasks", 0) for one in kept) == 1000
    assert [one["tasks"] for one in kept if one["reason"] == reasons.FURTHER] == [900]
    assert "Not in the history, scale" in caplog.text


def test_without_a_store_nothing_is_kept_and_nothing_fails():
    async def story():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            record(scheduler, "scale", "nobody asks")
            tally(scheduler, "reject", "nobody asks")

    asyncio.run(story())


def test_a_store_that_is_down_stops_no_task():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused

        async def story(scheduler):
            async with worker(scheduler), Client(scheduler.address, asynchronous=True) as client:
                assert await asyncio.wait_for(client.gather(client.map(abs, range(100))), 20) == list(range(100))

        run(f"etcd://127.0.0.1:{nobody.getsockname()[1]}/?timeout=1", story, SupremePlugin())


def test_the_command_prints_for_people_and_for_programs(url):
    async def story(scheduler):
        for number in range(3):
            record(scheduler, "scale", f"{number} more to start waiting tasks", workers=number)

    def supreme(*options):
        result = CliRunner().invoke(main, ["history", "--store", url, "--system", "blue", *options])
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    assert supreme() == [
        "Nothing is recorded of system blue. Schedulers record if they run with a store (supreme.store)."
    ]
    run(url, story)
    assert [line.split(maxsplit=3)[2:] for line in supreme()[1:]] == [
        ["scale", f"{number} more to start waiting tasks"] for number in range(3)
    ]
    assert [json.loads(line)["workers"] for line in supreme("--last", "2", "--json")] == [1, 2]


def test_what_the_sentence_does_not_say_stands_beside_it_and_nothing_else():
    def shown(kind, **values):
        return row({"what": kind, "reason": "why", **values})["why"]

    assert shown("scale", workers=2, group="small", victims=["a-1", "a-2"]) == "why (victims: a-1, a-2)"
    assert shown("scale", workers=2, group="small", victims=[]) == "why"
    assert shown("reject", tasks=50) == "why (tasks: 50)"
    assert shown("leave", worker="tcp://a:1", name="small-1", expected=True, tasks=0) == "why"
    assert shown("drain", worker="small-1", state="finishing") == "why"
    assert row({"what": "dropped", "count": 20}) == {"when": "", "what": "dropped", "why": "(count: 20)"}


def test_who_came_and_left_is_called_by_the_name_that_drain_takes(url):
    async def story(scheduler):
        async with worker(scheduler, name="small-0") as one:
            await scheduler.retire_workers([one.address])
            addresses.append(one.address)

    addresses = []
    run(url, story)
    assert [one["name"] for one in decided(url)] == ["small-0"] * 2
    assert {one["reason"].partition(")")[0] for one in decided(url)} == {f"worker small-0 ({addresses[0]}"}
