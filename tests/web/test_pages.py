"""The pages in a real Chromium: no error, the figures of the API, nothing clipped; with few workers and with many."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import psutil
import pytest
from distributed import Client, Event, Scheduler, Worker
from distributed.dashboard.core import BokehApplication
from distributed.dashboard.scheduler import template_variables
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop

from supreme_dask.core import tables
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Target
from supreme_dask.core.snapshot import GroupView
from supreme_dask.scheduler.web.pages import documents
from tests.core.clusters import GiB, cluster, join, task
from tests.scheduler.clusters import plugin
from tests.web.browser import MISSING, PROGRAM, SECONDS, browser
from tests.web.test_api import dashboard

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(PROGRAM is None, reason=MISSING),
]
ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "out" / "pages"
WIDTHS = (1280, 1920)
SYSTEM = """
import sys
from supreme_dask import SupremeCluster, WorkerGroup
if __name__ == "__main__":
    groups = [
        WorkerGroup("small", cpu=2, memory="600 MiB", count=2, minimum=2, maximum=2),
        WorkerGroup("big", cpu=2, memory="1 GiB", count=1, minimum=1, maximum=1),
    ]
    policy = {"demand": {"kind": "demand"}}
    with SupremeCluster(groups, policy=policy, dashboard_address="127.0.0.1:0") as cluster:
        print(cluster.scheduler_address, cluster.scheduler.http_server.port, flush=True)
        sys.stdin.read()
"""
READY = "Bokeh.documents.length > 0 && Bokeh.documents[0].roots().length > 0"
TABLE = "Bokeh.documents[0].get_model_by_name('{}').source.data"
BELOW_NAVIGATION = """
document.querySelector('.content').getBoundingClientRect().top
    >= document.querySelector('.navbar').getBoundingClientRect().bottom - 1
"""


def wait_for(name):
    Event(name).wait(300)


@pytest.fixture(scope="module")
def system():
    """Run a system of three workers, of which six tasks are busy until the end and others wait."""
    process = subprocess.Popen(
        [sys.executable, "-c", SYSTEM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        address, port = process.stdout.readline().split()
        with Client(address) as client:
            client.wait_for_workers(3, timeout=120)
            client.gather(client.map(abs, range(30)))
            futures = client.map(wait_for, ["end"] * 12, pure=False, resources={"memory": "50 MiB"})
            futures += client.map(wait_for, ["end"] * 5, pure=False, resources={"memory": "3 GiB"})
            yield SimpleNamespace(client=client, url=f"http://127.0.0.1:{port}", futures=futures)
            Event("end", client=client).set()
    finally:
        process.stdin.close()
        process.wait(120)


async def api(system, part):
    answer = await AsyncHTTPClient().fetch(f"{system.url}/supreme/api/v1/{part}", request_timeout=60)
    return json.loads(answer.body)


async def column(tab, table, name):
    """Return what a column of a table holds in the browser."""
    return await tab.value(f"Array.from({TABLE.format(table)}['{name}'])")


async def turn_to(tab, number):
    await tab.value(f"(() => {{ Bokeh.documents[0].roots()[0].active = {number} }})()")


async def same(tab, table, name, expected):
    """Wait until a column in the browser is what the API says: after an update or two."""
    end = monotonic() + SECONDS
    while (found := await column(tab, table, name)) != expected:
        assert monotonic() < end, (table, name, found, expected)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_tab_shows_what_the_api_says(system, width):
    async def look():
        async with browser() as opened, opened.tab(f"{system.url}/supreme", width) as tab:
            await tab.until(READY)
            for number, (part, check) in enumerate(CHECKS.items()):
                await turn_to(tab, number)
                await check(tab, await api(system, part))
                assert await tab.value(BELOW_NAVIGATION)
                assert await tab.value("document.documentElement.scrollWidth") <= width
                await keep(tab, f"{part}-3-{width}")
            assert tab.errors == []

    asyncio.run(look())


async def workers(tab, value):
    rows = value["workers"]
    assert len(rows) == 3
    await same(tab, "Workers", "name", [row["name"] for row in rows])
    await same(tab, "Workers", "reserved_memory", [row["reserved"]["memory"] for row in rows])


async def waiting(tab, value):
    assert value["tasks"] > 5
    await same(tab, "Waiting", "tasks", [row["tasks"] for row in value["waiting"]])
    await same(tab, "Waiting", "why", [row["why"] for row in value["waiting"]])
    assert any("no worker group is large enough" in why for why in await column(tab, "Waiting", "why"))


async def scaling(tab, value):
    for name in ("group", "wanted", "there", "reason"):
        await same(tab, "Scaling", name, [row[name] for row in value["groups"]])
    await same(tab, "Decisions", "reason", [row["reason"] for row in reversed(value["decisions"])])


async def profiles(tab, value):
    assert value["types"]
    await same(tab, "Profiles", "runs", [row["runs"] for row in value["types"]])


CHECKS = {"workers": workers, "waiting": waiting, "scaling": scaling, "profiles": profiles}


async def keep(tab, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{name}.png").write_bytes(await tab.picture())


@pytest.mark.parametrize("part", CHECKS)
def test_every_page_stands_alone_for_jupyterlab(system, part):
    async def look():
        async with browser() as opened, opened.tab(f"{system.url}/individual-supreme-{part}", 600) as tab:
            await tab.until(READY)
            await CHECKS[part](tab, await api(system, part))
            assert tab.errors == []

    asyncio.run(look())


def test_a_browser_that_is_frozen_holds_nothing_up(system):
    async def look():
        async with browser() as opened, opened.tab(f"{system.url}/supreme") as tab:
            await tab.until(READY)
            family = [psutil.Process(opened.process.pid)]
            family += family[0].children(recursive=True)
            for process in family:
                process.send_signal(signal.SIGSTOP)
            try:
                extra = system.client.map(wait_for, ["later"] * 200, pure=False, resources={"memory": "9 GiB"})
                for _ in range(20):
                    assert (await api(system, "workers"))["workers"]
                    await asyncio.sleep(0.1)
                system.client.cancel(extra)
            finally:
                for process in family:
                    process.send_signal(signal.SIGCONT)
            await turn_to(tab, 1)
            await waiting(tab, await api(system, "waiting"))
            assert tab.errors == []

    asyncio.run(look())


# -------------------------------------------------------------------------------- many workers
def crowd(count):
    """Return what a view has of so many workers in three groups, half of them busy."""
    admission = cluster()
    groups = ("small", "medium", "large")
    for number in range(count):
        join(admission, f"{groups[number % 3]}-{number}", 4 * (1 + number % 3))
    for number in range(count):  # of some groups, all are idle
        admission.arrive(task(number, 2, type_=f"type-{number % 40}"), 0.0)
    admission.fill(0.0)
    taken = admission.snapshot(1.0, lambda row: {"name": row.address, "group": row.address.partition("-")[0]})
    views = tuple(GroupView(WorkerGroup(name, maximum=count)) for name in groups)
    snapshot = replace(taken, groups=views)
    plan = Plan(1, tuple(Target(name, count // 3, (), "for waiting tasks") for name in groups))
    moments = [
        {"time": 1e9 + 60 * step, "group": name, "wanted": count // 3, "there": step * count // 30}
        for step in range(11)
        for name in groups
    ]
    return {
        "workers": {"workers": tables.workers(snapshot), "totals": tables.totals(snapshot)},
        "waiting": {
            "tasks": len(admission.queues),
            "shapes": 40,
            "waiting": tables.waiting(admission, {}, [], 1.0, 50),
        },
        "scaling": {
            "time": 1e9 + 700,
            "groups": tables.groups(snapshot, plan),
            "unmet": [],
            "spent": 12.5,
            "decisions": [{"time": 1e9 + step, "reason": f"small should have {step} workers"} for step in range(100)],
            "timeline": moments,
        },
        "profiles": {"types": [{"type": f"type-{n}", "runs": n, "memory_high": n * GiB} for n in range(200)]},
    }


@asynccontextmanager
async def showing(values):
    """Serve our pages with given values on a plain scheduler."""
    options = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0", "dashboard": True}
    async with Scheduler(**options) as scheduler:
        view = SimpleNamespace(parts={name: lambda value=value: value for name, value in values.items()})
        variables = template_variables(scheduler)
        pages = BokehApplication(documents(view), scheduler, prefix="/", template_variables=variables)
        scheduler.http_application.add_application(pages)
        pages.initialize(IOLoop.current())
        pages.start()
        yield page_of(scheduler)


ROWS = {
    "workers": ("workers", "idle"),
    "waiting": ("waiting", "why"),
    "scaling": ("groups", "reason"),
    "profiles": ("types", "memory_high"),
}


@pytest.mark.parametrize("width", WIDTHS)
def test_300_workers_are_readable(width):
    values = crowd(300)

    async def look():
        async with showing(values) as url, browser() as opened, opened.tab(url, width) as tab:
            await tab.until(READY)
            for number, (part, (rows, field)) in enumerate(ROWS.items()):
                await turn_to(tab, number)
                await same(tab, part.title(), field, [row[field] for row in values[part][rows]])
                assert await tab.value(BELOW_NAVIGATION)
                assert await tab.value("document.documentElement.scrollWidth") <= width
                await keep(tab, f"{part}-300-{width}")
            assert tab.errors == []

    asyncio.run(look())


def test_an_open_page_stays_as_it_is_when_the_plugin_retreats(caplog):
    async def look():
        async with dashboard() as scheduler, browser() as opened, opened.tab(page_of(scheduler)) as tab:
            await tab.until(READY)
            async with Worker(scheduler.address, host="127.0.0.1", dashboard_address="127.0.0.1:0"):
                plugin(scheduler).retreat(RuntimeError("made to fail"))
            for number in (2, 1, 0):  # of a worker that has left since
                await turn_to(tab, number)
                await asyncio.sleep(1.2)  # an update
            assert tab.errors == []

    with caplog.at_level("ERROR", logger="tornado.application"):
        asyncio.run(look())
    assert [one for one in caplog.records if one.name == "tornado.application"] == []


def page_of(scheduler):
    return f"http://127.0.0.1:{scheduler.http_server.port}/supreme"
