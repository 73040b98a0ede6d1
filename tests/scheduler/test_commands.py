"""Commands that ask a live scheduler: `status` and `explain`."""

import asyncio
import json

import pytest
from click.testing import CliRunner
from distributed import Worker

from supreme_dask.cli import main
from tests.scheduler.clusters import GiB, named, plain, plugin, supreme, until
from tests.scheduler.gates import GO, hold


async def typed(scheduler, *words):
    """Return what a command prints, and with which code it ends."""
    arguments = [*words, "--scheduler", scheduler.address]
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    return result.output, result.exit_code


@supreme()
async def test_status_shows_what_is_there_and_what_waits(client, scheduler):
    async with named(scheduler, "small-0"):
        futures = [client.submit(hold, n, resources={"memory": 3 * GiB}) for n in range(2)]
        await until(lambda: len(plugin(scheduler).admission.queues) == 1)
        said, code = await typed(scheduler, "status")
        assert code == 0
        first, _, heading, *rows = said.splitlines()
        assert first == "1 worker, 1 task runs, 1 waits"
        assert heading.split() == ["resource", "reserved", "stored", "of"]
        assert next(row for row in rows if row.startswith("memory")).split() == [
            *("memory", "3.00", "GiB", "0", "B", "4.00", "GiB")
        ]
        assert "it needs memory 3.00 GiB; the most that is free is 1.00 GiB, on worker small-0" in rows[-1]
        said, _ = await typed(scheduler, "status", "--json")
        found = json.loads(said)
        assert [row["name"] for row in found["workers"]["workers"]] == ["small-0"]
        assert found["waiting"]["tasks"] == 1
        GO.set()
        await client.gather(futures)


@supreme()
async def test_status_of_an_empty_system_says_so(client, scheduler):
    assert await typed(scheduler, "status") == ("0 workers, 0 tasks run, 0 wait\n", 0)


@supreme()
async def test_explain_ends_with_1_if_a_key_is_not_known(client, scheduler):
    future = client.submit(hold, key=("x", 0), resources={"GPU": 1})
    await until(lambda: len(plugin(scheduler).admission.queues) == 1)
    assert await typed(scheduler, "explain", "('x', 0)") == ("('x', 0): no worker is there\n", 0)
    said, code = await typed(scheduler, "explain", "nope", "('x', 0)", "--json")
    assert code == 1
    assert [json.loads(line)["state"] for line in said.splitlines()] == ["unknown", "no-worker"]
    del future


@plain()
async def test_of_plain_dask_one_line_is_said(client, scheduler):
    for words in (["status"], ["explain", "x"]):
        line = f"Error: supreme-dask is not active at {scheduler.address}; plain Dask places there\n"
        assert await typed(scheduler, *words) == (line, 1)


@supreme()
async def test_a_part_that_there_is_not_is_left_out(client, scheduler):
    assert await client.scheduler.supreme_look(parts=["nope"]) == {}
    with pytest.raises(ValueError, match="supreme_look: parts=1: expected names"):
        await client.scheduler.supreme_look(parts=1)


@supreme()
async def test_status_leaves_a_resource_that_is_only_called_like_memory_alone(client, scheduler):
    options = {"resources": {"MEMORY": 16}, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    async with Worker(scheduler.address, nthreads=1, memory_limit=0, **options):
        said, _ = await typed(scheduler, "status")
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line}
    assert rows["MEMORY"] == ["0", "16"]
