"""Who is there, over every store."""

import asyncio
import logging
import signal
import socket
import subprocess
import sys
from contextlib import aclosing

import pytest

from supreme_dask.errors import (
    LimitError,
    NoSchedulerError,
    StoreAddressError,
    StoreFormatError,
    StoreUnavailableError,
)
from supreme_dask.stores import open_store
from supreme_dask.stores.local_etcd import LocalEtcd
from supreme_dask.stores.registry import Node, Registration, Registry, find_scheduler, listens, next_epoch, systems

SCHEDULER = Node("scheduler", "s-1", "tcp://127.0.0.1:8786", epoch=1, labels={"zone": "a"}, facts={"pid": 7})
WORKER = Node("worker", "w-1", "tcp://127.0.0.1:9000", labels={"zone": "a", "region": "eu", "group": "small"})
CONTROLLER = Node("controller", "c-1", "", labels={"region": "eu"})
TTL = 2

PROGRAM = """
import asyncio, sys
from supreme_dask.stores.registry import Node, Registration

async def main():
    Registration(sys.argv[1], "blue", Node("worker", "w-1", "tcp://127.0.0.1:1"), ttl=2).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_the_registered_are_listed_and_leave(address, on, until):
    async def story(store):
        registry = Registry(store, "blue")
        registrations = [Registration(address, "blue", node, ttl=TTL) for node in (SCHEDULER, WORKER, CONTROLLER)]
        for registration in registrations:
            registration.start()

        async def all_of_them():
            return await registry.nodes() == (CONTROLLER, SCHEDULER, WORKER)

        await until(all_of_them)
        assert await find_scheduler(store, "blue") == SCHEDULER
        assert await systems(store) == ["blue"]
        assert await Registry(store, "green").nodes() == ()
        await registrations[0].stop()
        assert await registry.nodes() == (CONTROLLER, WORKER)
        for registration in registrations[1:]:
            await registration.stop()
        assert await registry.nodes() == ()

    on(address, story)


def test_a_follower_sees_who_comes_and_goes(address, on):
    async def story(store):
        async with aclosing(Registry(store, "blue").follow()) as lists:
            assert await anext(lists) == ()
            registration = Registration(address, "blue", WORKER, ttl=TTL)
            registration.start()
            assert await anext(lists) == (WORKER,)
            await registration.stop()
            assert await anext(lists) == ()

    on(address, story)


@pytest.mark.parametrize("address", ["sqlite", "etcd"], indirect=True)
def test_who_dies_vanishes(address, on):
    async def story(store):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, address])  # noqa: ASYNC220  returns at once
        try:
            async with aclosing(Registry(store, "blue").follow()) as lists:
                assert await anext(lists) == ()
                assert [node.identity for node in await anext(lists)] == ["w-1"]
                process.send_signal(signal.SIGKILL)
                assert await anext(lists) == ()
        finally:
            process.kill()
            process.wait()

    on(address, story)


def test_a_lost_lease_is_replaced(address, on):
    async def story(store):
        registration = Registration(address, "blue", WORKER, ttl=TTL)
        registration.start()
        async with aclosing(Registry(store, "blue").follow()) as lists:
            while await anext(lists) != (WORKER,):
                pass
            (kv,) = (await store.list("systems/blue/nodes/")).items
            await store.revoke(kv.lease)
            assert await anext(lists) == ()
            assert await anext(lists) == (WORKER,)
        await registration.stop()

    on(address, story)


def test_a_store_that_is_down_is_said_once_and_found_again(tmp_path, until, caplog):
    caplog.set_level(logging.INFO, "supreme_dask.stores.registry")

    async def story():
        with LocalEtcd(tmp_path, arguments=["--unsafe-no-fsync"]) as cluster:
            (member,) = cluster.members
            url = cluster.url(timeout="1")
            registration = Registration(url, "blue", WORKER, ttl=TTL)
            registration.start()

            async def there():
                try:
                    async with open_store(url) as store:
                        return await Registry(store, "blue").nodes() == (WORKER,)
                except StoreUnavailableError:
                    return False

            await until(there)
            member.kill()

            async def said():
                return "work goes on" in caplog.text

            await until(said)
            for _ in range(100):  # the loop that computes goes on meanwhile
                await asyncio.sleep(0.03)
            member.start()

            async def back():
                return "worker/w-1 again" in caplog.text

            await until(back, 60)
            await until(there)
            await registration.stop()

    asyncio.run(story())
    assert caplog.text.count("work goes on") == 1


def test_the_latest_epoch_leads(address, on):
    async def story(store):
        later = Node("scheduler", "s-0", "tcp://127.0.0.1:8787", epoch=2)
        registrations = [Registration(address, "blue", node, ttl=TTL) for node in (SCHEDULER, later)]
        for registration in registrations:
            registration.start()
        async with aclosing(Registry(store, "blue").follow()) as lists:
            while len(await anext(lists)) < 2:
                pass
        assert await find_scheduler(store, "blue") == later
        for registration in registrations:
            await registration.stop()

    on(address, story)


def test_schedulers_that_start_at_once_get_epochs_of_their_own_and_keep_them(address, on, until):
    """Also when a lease is lost: it is the same scheduler that comes back."""

    async def story(store):
        assert sorted(await asyncio.gather(*(next_epoch(store, "blue") for _ in range(8)))) == list(range(1, 9))
        starting = Node("scheduler", "s-1", "tcp://127.0.0.1:8786")
        registration = Registration(address, "blue", starting, ttl=2, counted=True)
        registration.start()
        registry = Registry(store, "blue")

        async def there():
            return [node.epoch for node in await registry.nodes()] == [9]

        await until(there)
        (kv,) = (await store.list("systems/blue/nodes/")).items
        await store.revoke(kv.lease)
        await until(there)
        await registration.stop()

    on(address, story)


def test_of_one_epoch_the_last_to_come_is_found(address, on):
    async def story(store):
        registrations = []
        async with aclosing(Registry(store, "blue").follow()) as lists:
            await anext(lists)
            for identity in ("s-2", "s-3", "s-1"):
                registrations.append(Registration(address, "blue", Node("scheduler", identity, ""), ttl=TTL))
                registrations[-1].start()
                await anext(lists)
                assert (await find_scheduler(store, "blue")).identity == identity
        for registration in registrations:
            await registration.stop()

    on(address, story)


def test_who_looks_early_waits_for_the_scheduler(address, on):
    async def story(store):
        search = asyncio.create_task(find_scheduler(store, "blue", wait=30))
        await asyncio.sleep(0.05)
        registration = Registration(address, "blue", SCHEDULER, ttl=TTL)
        registration.start()
        assert await search == SCHEDULER
        await registration.stop()

    on(address, story)


def test_one_that_was_killed_is_passed_over_and_its_successor_awaited(address, on):
    async def story(store):
        with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as killed:
            addresses = ["tcp://{}:{}".format(*one.getsockname()) for one in (killed, there)]
        gone, successor = (Node("scheduler", f"s-{n}", one) for n, one in enumerate(addresses))
        registrations = [Registration(address, "blue", node, ttl=TTL) for node in (gone, successor)]
        registrations[0].start()
        assert await find_scheduler(store, "blue", wait=30) == gone
        with pytest.raises(NoSchedulerError, match=f"{gone.address} is registered, and takes no connection"):
            await find_scheduler(store, "blue", is_there=listens)
        search = asyncio.create_task(find_scheduler(store, "blue", wait=30, is_there=listens))
        host, port = successor.address.removeprefix("tcp://").split(":")
        async with await asyncio.start_server(lambda _, writer: writer.close(), host, int(port)):
            registrations[1].start()
            assert await search == successor
        for registration in registrations:
            await registration.stop()

    on(address, story)


def test_one_that_listens_later_is_found_without_a_change_of_the_registry(on):
    async def story(store):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        registration = Registration(store.address, "blue", Node("scheduler", "s", f"tcp://127.0.0.1:{port}"), ttl=TTL)
        registration.start()
        assert await find_scheduler(store, "blue", wait=30)
        search = asyncio.create_task(find_scheduler(store, "blue", wait=30, is_there=listens))
        await asyncio.sleep(0)
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port):
            assert (await search).identity == "s"
        await registration.stop()

    on("memory://listens", story)


@pytest.mark.parametrize("address", ["tls://127.0.0.1:1", "inproc://10.0.0.1/2/3", "tcp://nowhere", ""])
def test_what_cannot_be_tried_is_taken_to_be_there(address):
    assert asyncio.run(listens(Node("scheduler", "s", address)))


def test_an_overtaken_scheduler_is_not_offered_in_the_place_of_a_killed_one(on):
    async def story(store):
        nodes = [Node("scheduler", f"s-{epoch}", f"tcp://a:{epoch}", epoch=epoch) for epoch in (1, 2)]
        registrations = [Registration(store.address, "blue", node, ttl=TTL) for node in nodes]
        for registration in registrations:
            registration.start()
        async with aclosing(Registry(store, "blue").follow()) as lists:
            while len(await anext(lists)) < len(nodes):
                pass

        async def is_first(node):
            return node.epoch == 1

        with pytest.raises(NoSchedulerError, match="tcp://a:2 is registered"):
            await find_scheduler(store, "blue", is_there=is_first)
        for registration in registrations:
            await registration.stop()

    on("memory://overtaken", story)


def test_a_system_without_scheduler_is_told_with_those_that_have_one(on):
    async def story(store):
        registration = Registration(store.address, "green", SCHEDULER)
        registration.start()
        async with aclosing(Registry(store, "green").follow()) as lists:
            while not await anext(lists):
                pass
        with pytest.raises(
            NoSchedulerError, match=r"system 'blue' is registered; registered are schedulers of: green"
        ):
            await find_scheduler(store, "blue")
        await registration.stop()

    on("memory://registry", story)


def test_mistakes_are_said_at_the_start():
    with pytest.raises(StoreAddressError):
        Registration("postgres://here", "blue", WORKER)
    with pytest.raises(LimitError, match="Leave out some facts"):
        Registration("memory://", "blue", Node("worker", "w", "", facts={"a": "x" * 3000}))
    with pytest.raises(LimitError):
        Registration("memory://", "blue/green", WORKER)


def test_a_foreign_entry_is_refused(on):
    async def story(store):
        await store.put("systems/blue/nodes/worker/w", b'{"schema":1,"kind":"worker"}')
        with pytest.raises(StoreFormatError, match="not a whole entry"):
            await Registry(store, "blue").nodes()

    on("memory://", story)
