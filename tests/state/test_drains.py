"""Each step of a drain is stored before it is acted on, and whoever comes later goes on with it."""

import asyncio
import os
import signal
import time
import uuid
from contextlib import asynccontextmanager

import pytest
from distributed import Client, Nanny, Scheduler, Worker, wait

from supreme_dask import SupremePlugin
from supreme_dask.errors import OvertakenError, StoreFormatError
from supreme_dask.scheduler.journal import DrainJournal
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.stores import open_store
from supreme_dask.stores.drains import Departure, Departures
from supreme_dask.stores.registry import next_epoch

LOCAL = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}


@pytest.fixture
def gate(tmp_path):
    """A file that does not exist yet: a task runs until it does."""
    return tmp_path / "gate"


def hold(number, gate):
    deadline = time.monotonic() + 60
    while not gate.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return number


def departure(name="small-1", state="moving", **known):
    return Departure(name, f"Worker-{name}", "nothing to do", "plan", state, **known)


# --------------------------------------------------------------------------------------- at rest
def test_what_is_stored_is_read_again(address, on):
    async def story(store):
        epoch = await next_epoch(store, "blue")
        departures = Departures(store, "blue")
        first, second = departure(deadline=5.5, is_cut=True), departure("tcp://a:1", "leaving")
        await departures.write([(first.name, first), (second.name, second)], epoch)
        assert sorted(await departures.all(), key=lambda one: one.name) == [first, second]
        await departures.write([(first.name, None), ("never there", None)], epoch)
        assert await departures.all() == [second]
        assert await Departures(store, "green").all() == []

    on(address, story)


def test_who_was_overtaken_writes_nothing(address, on):
    async def story(store):
        epoch = await next_epoch(store, "blue")
        await next_epoch(store, "blue")
        with pytest.raises(OvertakenError, match="'blue'"):
            await Departures(store, "blue").write([("small-1", departure())], epoch)
        assert await Departures(store, "blue").all() == []

    on(address, story)


@pytest.mark.parametrize("stored", [b"{}", b'{"schema":1,"name":"a"}', b'{"schema":1,"state":"asked"}'])
def test_what_is_no_drain_is_said(address, on, stored):
    async def story(store):
        await store.put("systems/blue/drains/a", stored)
        with pytest.raises(StoreFormatError, match="drains/a"):
            await Departures(store, "blue").all()

    on(address, story)


# ------------------------------------------------------------------------------------ schedulers
class System:
    """A scheduler with two workers, of which `a` is to leave; nobody removes it."""

    def __init__(self, scheduler, a, b):
        self.scheduler, self.a, self.b = scheduler, a, b
        self.client = None
        self.removable = []
        self.drains.on_removable = self.removable.append

    @property
    def drains(self):
        return self.scheduler.plugins["supreme"].drains

    @property
    def address(self):
        return self.a.worker_address if isinstance(self.a, Nanny) else self.a.address

    @property
    def state(self):
        return self.drains.states().get("a")

    async def reach(self, *states):
        await until(lambda: self.state in states)

    async def load(self, gate):
        """Give it a result, data that nobody can compute again, and a task that runs until the gate opens."""
        there = {"workers": [self.address], "allow_other_workers": True, "pure": False}
        result = self.client.submit(bytes, 1000, **there)
        await wait(result)
        scattered = await self.client.scatter(b"x" * 1000, workers=[self.address], hash=False)
        held = self.client.submit(hold, 1, gate, **there)
        await until(lambda: len(self.scheduler.workers[self.address].processing) == 1)
        return result, scattered, held


async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  the condition is elsewhere
            await asyncio.sleep(0.002)


@asynccontextmanager
async def system(url, kind=Worker, *, registered=True, before=None):
    """Run a system whose drains are stored; `before` gets its worker `a` when nothing runs."""
    async with Scheduler(**LOCAL, port=0) as scheduler:
        options = {"nthreads": 1, "resources": {"memory": 1 << 30}, "memory_limit": 0, **LOCAL}
        a, b = (kind(scheduler.address, name=name, **options) for name in "ab")
        if before is not None:
            await before(a)
        registration = [SchedulerRegistration(url, "blue", ttl=2)] if registered else []
        for plugin in (*registration, DrainJournal(url, "blue"), SupremePlugin()):
            await scheduler.register_scheduler_plugin(plugin, idempotent=True)
        one = System(scheduler, a, b)
        async with a, b, Client(scheduler.address, asynchronous=True) as one.client:
            yield one


async def comes_to(expected, url, seconds=30):
    async with asyncio.timeout(seconds):
        while await stored(url) != expected:  # noqa: ASYNC110  it is in the store
            await asyncio.sleep(0.01)


async def stored(url):
    async with open_store(url) as store:
        return {one.name: one.state for one in await Departures(store, "blue").all()}


def test_what_is_done_is_stored_before(address, gate):
    async def story():
        async with system(address) as one:
            result, scattered, held = await one.load(gate)
            one.drains.drain(["a"], reason="a test")
            seen = []

            def look(name):
                seen.append(name)

            one.drains.on_removable = look
            await one.reach("finishing")
            assert (await stored(address))["a"] in ("finishing", "moving", "leaving")
            gate.touch()
            await until(lambda: seen == ["a"])
            assert await stored(address) == {"a": "leaving"}
            assert await one.client.gather([result, scattered, held]) == [bytes(1000), b"x" * 1000, 1]
            await one.a.close()
            await until(lambda: one.state is None)
            await comes_to({}, address)

    asyncio.run(story())


def test_a_worker_that_is_kept_is_forgotten(address, gate):
    async def story():
        async with system(address) as one:
            _, _, held = await one.load(gate)
            one.drains.drain(["a"], reason="a test")
            await one.reach("finishing")
            assert one.drains.cancel(["a"], "demand returned") == ["a"]
            gate.touch()
            assert await held == 1
            await comes_to({}, address)

    asyncio.run(story())


@pytest.mark.parametrize("at", ["asked", "finishing", "moving"])
def test_while_the_store_is_down_a_drain_waits_and_work_goes_on(start_etcd, at, gate, caplog):
    etcd = start_etcd()
    url = etcd.url(str(uuid.uuid4()), timeout="1")
    member = etcd.members[0]

    async def story():
        async with system(url) as one:
            futures = await one.load(gate)
            if at == "asked":
                await until(lambda: one.scheduler.plugins["supreme-registration"].epoch)
                member.pause()
            one.drains.drain(["a"], reason="a test")
            if at == "moving":
                gate.touch()
            await one.reach(at)
            if at != "asked":
                member.pause()
            gate.touch()
            try:
                assert await asyncio.wait_for(one.client.gather(list(futures)), 30) == [bytes(1000), b"x" * 1000, 1]
                for number in range(100):
                    assert await asyncio.wait_for(one.client.submit(abs, -number, pure=False), 30) == number
                await until(lambda: "Drains wait for the store" in caplog.text)
                assert one.state == at
                assert one.removable == []
            finally:
                member.resume()
            await until(lambda: one.removable == ["a"])
            assert await stored(url) == {"a": "leaving"}

    asyncio.run(story())


def test_notice_does_not_wait_for_a_store(gate):
    async def story():
        async with system(f"memory://{uuid.uuid4()}", registered=False) as one:  # the store never counts it
            *done, _ = await one.load(gate)
            gate.touch()
            assert one.drains.leave(one.address, 10.0)
            await until(lambda: one.address not in one.scheduler.workers)
            assert await one.client.gather(done) == [bytes(1000), b"x" * 1000]

    asyncio.run(story())


@pytest.mark.parametrize("at", ["asked", "finishing", "moving", "leaving"])
def test_a_worker_that_is_killed_at_any_step_costs_only_what_it_had_not_handed_over(at, gate):
    url = f"memory://{uuid.uuid4()}"

    async def story():
        async with system(url, Nanny, registered=at != "asked") as one:
            result, scattered, _ = await one.load(gate)
            elsewhere = await one.client.scatter(b"y", workers=[one.b.worker_address], hash=False)
            one.drains.drain(["a"], reason="a test")
            if at in ("moving", "leaving"):
                gate.touch()
            await one.reach(at)
            moved = len(one.scheduler.tasks[scattered.key].who_has) > 1
            one.a.auto_restart = False
            os.kill(one.a.pid, signal.SIGKILL)
            await until(lambda: one.state is None)
            assert await one.client.gather([result, elsewhere]) == [bytes(1000), b"y"]
            if at == "leaving" or moved:
                assert await scattered == b"x" * 1000
            await comes_to({}, url)

    asyncio.run(story())


def test_a_scheduler_that_was_overtaken_removes_nobody(address, gate):
    async def story():
        async with system(address) as one:
            futures = await one.load(gate)
            one.drains.drain(["a"], reason="a test")
            await one.reach("finishing")
            async with open_store(address) as store:
                await next_epoch(store, "blue")
            gate.touch()
            assert await one.client.gather(list(futures)) == [bytes(1000), b"x" * 1000, 1]
            await until(one.scheduler.plugins["supreme-drains"]._task.done)
            one.drains.tick()
            assert one.state == "finishing"
            assert one.removable == []

    asyncio.run(story())


@pytest.mark.parametrize("at", ["finishing", "moving", "leaving"])
def test_a_scheduler_that_starts_goes_on_with_what_another_had_begun(at, tmp_path):
    url = f"sqlite://{tmp_path}/store.db"

    async def before(a):
        async with open_store(url) as store:
            epoch = await next_epoch(store, "blue")
            mine = Departure("a", a.id, "a test", "plan", at, deadline=5e9)
            gone = departure("gone")
            await Departures(store, "blue").write([("a", mine), ("gone", gone)], epoch)

    async def story():
        async with system(url, before=before) as one:
            await until(lambda: one.removable == ["a"])
            assert one.drains.states() == {"a": "leaving"}
            one.drains._left_until = 0.0  # whoever comes back is back by now
            await comes_to({"a": "leaving"}, url)

    asyncio.run(story())


def test_another_process_of_the_same_name_is_not_told_to_leave(tmp_path):
    url = f"sqlite://{tmp_path}/store.db"

    async def before(a):
        async with open_store(url) as store:
            await Departures(store, "blue").write([("a", departure("a"))], await next_epoch(store, "blue"))

    async def story():
        async with system(url, before=before) as one:
            await until(lambda: one.drains._left)
            await asyncio.gather(*one.client.map(abs, range(20)))
            assert one.drains.states() == {}

    asyncio.run(story())
