"""What the scheduler's HTTP server answers: the same figures as the ledger's, for programs."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from distributed import Client, Scheduler, Worker
from distributed.utils_test import gen_test
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from supreme_dask import SupremePlugin
from supreme_dask.scheduler.web import metrics
from supreme_dask.scheduler.web.view import _Shared
from tests.scheduler.clusters import OURS, GiB, named, plugin, supreme, until, worker

QUIET = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
PARTS = ("workers", "waiting", "scaling", "profiles")


async def get(scheduler, path, prefix=""):
    """Return the answer of a scheduler's HTTP server."""
    port = scheduler.http_server.port
    return await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}{prefix}/{path}", request_timeout=30)


async def asked(scheduler, path, prefix=""):
    answer = await get(scheduler, f"supreme/api/v1/{path}", prefix)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    return json.loads(answer.body)


async def status(scheduler, path):
    try:
        return (await get(scheduler, path)).code
    except HTTPClientError as error:
        return error.code


@supreme()
async def test_it_says_which_paths_there_are(client, scheduler):
    assert (await asked(scheduler, ""))["paths"] == sorted([*PARTS, "explain"])
    for part in PARTS:
        assert (await asked(scheduler, part))["time"] > 0


@supreme(config={"distributed.worker.memory.pause": False})
async def test_workers_and_what_waits_are_those_of_the_ledger(client, scheduler):
    async with named(scheduler, "small-0"), named(scheduler, "small-1"):
        done = await client.submit(sum, [1], key="done", resources={"memory": GiB})
        futures = client.map(lambda number: asyncio.sleep(0, number), range(3), resources={"memory": 9 * GiB})
        await until(lambda: len(plugin(scheduler).admission.queues) == 3)
        found = await asked(scheduler, "workers")
        assert [row["name"] for row in found["workers"]] == ["small-0", "small-1"]
        assert {row["capacity"]["memory"] for row in found["workers"]} == {4 * GiB}
        (memory,) = (one for one in found["totals"] if (one["group"], one["resource"]) == ("*", "memory"))
        assert memory["capacity"] == 8 * GiB
        waits = await asked(scheduler, "waiting")
        assert (waits["tasks"], waits["shapes"], len(waits["waiting"])) == (3, 1, 1)
        assert waits["waiting"][0]["cause"] == "too-large"
        assert waits["waiting"][0]["demand"]["memory"] == 9 * GiB
        (learned,) = (await asked(scheduler, "profiles"))["types"]
        assert (learned["type"], learned["runs"]) == ("done", 1)
        del done, futures


@supreme(worker())
async def test_a_task_is_explained_by_its_key(client, scheduler, *_):
    for key in ("plain", ("x-1", 0), "with/slash", "ключ", "a b&c=d", "%41"):
        future = client.submit(sum, [1], key=key)
        await future
        found = await asked(scheduler, f"explain?key={quote(str(key), safe='')}")
        assert (found["key"], found["state"]) == (str(key), "memory")


@supreme()
async def test_what_cannot_be_answered_is_said_in_json(client, scheduler):
    assert (await asked(scheduler, "explain?key=nope"))["state"] == "unknown"
    for path in ("explain", "explain?key=", "explain?other=1"):
        with pytest.raises(HTTPClientError) as refused:
            await asked(scheduler, path)
        assert refused.value.code == 400
        assert json.loads(refused.value.response.body) == {"error": "name a task: explain?key=KEY"}
    assert await status(scheduler, "supreme/api/v1/nope") == 404
    with pytest.raises(HTTPClientError, match="405"):  # it only reads
        await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{scheduler.http_server.port}/supreme/api/v1/scaling", method="POST", body="{}"
        )


@asynccontextmanager
async def dashboard(*, preload=OURS["distributed.scheduler.preload"], **options):
    """Start a scheduler with Dask's dashboard, which `gen_cluster` does without."""
    async with Scheduler(port=0, dashboard=True, preload=preload, **QUIET, **options) as scheduler:
        yield scheduler


@gen_test()
async def test_dasks_own_pages_are_as_before():
    async with dashboard() as scheduler:
        for path in ("health", "info/main/workers.html", "status", "workers", "statics/css/base.css"):
            assert await status(scheduler, path) == 200


@gen_test()
async def test_jupyterlab_is_told_of_our_pages_beside_dasks():
    async with dashboard() as scheduler:
        found = json.loads((await get(scheduler, "individual-plots.json")).body)
        assert found["Individual Supreme Waiting"] == "/individual-supreme-waiting"
        assert found["Individual Cpu"] == "/individual-cpu"
        assert await status(scheduler, "individual-supreme-waiting") == 200


@gen_test()
async def test_the_navigation_has_one_entry_of_ours():
    async with dashboard() as scheduler:
        for page in ("status", "supreme"):
            assert (await get(scheduler, page)).body.count(b'<a href="supreme">Supreme</a>') == 1


@gen_test()
async def test_after_a_retreat_nothing_of_ours_is_served():
    async with dashboard() as scheduler:
        plugin(scheduler).retreat(RuntimeError("made to fail"))
        assert await status(scheduler, "supreme") == 404
        assert await status(scheduler, "supreme/api/v1/workers") == 404
        assert b"upreme" not in (await get(scheduler, "status")).body
        assert b"upreme" not in (await get(scheduler, "individual-plots.json")).body


@gen_test()
async def test_a_plugin_that_comes_later_is_served_too():
    async with (
        dashboard(preload=[]) as scheduler,
        Worker(scheduler.address, **QUIET),
        Client(scheduler.address, asynchronous=True) as client,
    ):
        assert await status(scheduler, "supreme") == 404
        for _ in range(2):
            await client.register_plugin(SupremePlugin())
            assert await status(scheduler, "supreme") == 200
            assert len((await asked(scheduler, "workers"))["workers"]) == 1
            assert (await get(scheduler, "status")).body.count(b'<a href="supreme">') == 1
            assert b"Individual Supreme Waiting" in (await get(scheduler, "individual-plots.json")).body


@pytest.mark.parametrize("has_pages", [True, False])
def test_a_prefix_of_the_scheduler_is_ours_too(has_pages):
    @gen_test()
    async def behind():
        options = {"port": 0, "http_prefix": "/team/a", "preload": OURS["distributed.scheduler.preload"]}
        async with Scheduler(dashboard=has_pages, **QUIET, **options) as scheduler:
            assert (await asked(scheduler, "workers", "/team/a"))["workers"] == []
            if has_pages:
                assert b'<a href="supreme">' in (await get(scheduler, "supreme", "/team/a")).body
                found = json.loads((await get(scheduler, "individual-plots.json", "/team/a")).body)
                assert "Individual Supreme Waiting" in found

    behind()


def test_however_many_look_a_value_is_computed_once():
    computed = []
    shared = _Shared(lambda: {"number": len(computed), "also": computed.append(1)})
    assert [shared()["number"] for _ in range(100)] == [0] * 100
    assert len(computed) == 1


# ------------------------------------------------------------------------------------ Prometheus
SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+)\})? (\S+)$')


def samples(text):
    """Read Prometheus's text format; return values by metric and labels, and fail for what is not in it."""
    found, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, what, name, said = line.split(" ", 3)
            kinds[name, what] = said
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        assert kinds[name, "TYPE"] == ("counter" if name.endswith("_total") else "gauge")
        assert kinds[name, "HELP"].endswith(".")
        assert (name, labels) not in found, "each sample once"
        found[name, labels] = float(value)
    return found


@supreme()
async def test_prometheus_reads_the_same_figures(client, scheduler):
    async with named(scheduler, "small-0"), named(scheduler, "small-1"):
        futures = client.map(lambda number: number, range(3), resources={"memory": 9 * GiB})
        await until(lambda: len(plugin(scheduler).admission.queues) == 3)
        answer = await get(scheduler, "supreme/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        found = samples(answer.body.decode())
        assert found["supreme_workers", 'group="",state="open"'] == 2
        assert found["supreme_tasks_waiting", None] == 3
        for name, amount in (("capacity", 8 * GiB), ("reserved", 0), ("free", 8 * GiB)):
            assert found[f"supreme_{name}", 'group="",resource="memory",unit="byte"'] == amount
        assert found["supreme_capacity", 'group="",resource="cpu",unit="core"'] == 4
        del futures


def test_a_label_may_hold_anything():
    rows = [{"group": 'a "b"\\\n', "state": "open", "running": 1}]
    groups = [{"group": "g", "wanted": None, "starting": 1, "draining": 0, "blocked": "quota"}]
    values = {
        "workers": {"workers": rows, "totals": []},
        "waiting": {"tasks": 7},
        "scaling": {"groups": groups, "spent": 1.5},
    }
    found = samples(metrics.text(values))
    assert found["supreme_workers", r'group="a \"b\"\\\n",state="open"'] == 1
    assert found["supreme_group_blocked", 'group="g"'] == 1
    assert ("supreme_group_workers_wanted", 'group="g"') not in found
    assert found["supreme_cost_total", None] == 1.5


def test_the_documentation_names_every_metric():
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "watch.md").read_text()
    values = {
        "workers": {"workers": [], "totals": []},
        "waiting": {"tasks": 0},
        "scaling": {"groups": [], "spent": 0},
    }
    named_ = {line.split()[2] for line in metrics.text(values).splitlines() if line.startswith("# TYPE")}
    said = {name.replace("…", "supreme_group_workers") for name in re.findall(r"`(supreme_\w+|…_\w+)`", text)}
    assert named_ == said
