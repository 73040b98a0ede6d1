"""Workers that join and leave: where stored results and held work are afterwards."""

import asyncio
from operator import itemgetter
from time import monotonic

import pytest
from distributed import Nanny, Worker, wait

from tests.scheduler.clusters import plugin, supreme, until, worker
from tests.scheduler.gates import GO

MiB = 2**20
SIZE = 2 * MiB


def block(number):
    return bytes([number % 256]) * SIZE


def held(number):
    assert GO.wait(20)
    return number


def read(block):
    assert GO.wait(20)
    return block[0]


def stored(scheduler):
    return [ws.nbytes for ws in scheduler.workers.values()]


def even(scheduler):
    """Tell whether every worker stores its share but for a fifth, and nothing is stored twice."""
    found = stored(scheduler)
    share = sum(found) / len(found)
    return all(abs(one - share) <= 0.2 * share for one in found) and not scheduler.replicated_tasks


def calm(scheduler):
    return not plugin(scheduler)._rebalancing._under_way


async def join(scheduler, count, **options):
    return await asyncio.gather(
        *(Worker(scheduler.address, nthreads=1, memory_limit="20 GiB", **options) for _ in range(count))
    )


def hold_up(one):
    """Let nothing that a worker copies arrive there before the event is set that is returned."""
    gather, let_in = one.gather_dep, asyncio.Event()

    async def slowly(*told, **more):
        await let_in.wait()
        return await gather(*told, **more)

    one.gather_dep = slowly
    return let_in


@supreme(worker(), worker(), worker(), worker())
async def test_after_two_of_four_were_replaced_all_store_alike(client, scheduler, a, b, c, d):
    futures = client.map(block, range(40))
    await wait(futures)
    new = await join(scheduler, 2)
    for one in (a, b):
        plugin(scheduler).drains.drain([str(scheduler.workers[one.address].name)], reason="replaced")
    await until(lambda: len(scheduler.workers) == 4 and even(scheduler) and calm(scheduler))
    assert sum(stored(scheduler)) == sum(scheduler.tasks[future.key].nbytes for future in futures)
    assert await client.gather(futures) == [block(number) for number in range(40)]
    assert all(prefix.suspicious == 0 for prefix in scheduler.task_prefixes.values())
    await asyncio.gather(*(one.close() for one in new))


@supreme(worker())
async def test_what_was_copied_to_one_that_leaves_is_not_dropped_where_it_was(client, scheduler, a):
    futures = client.map(block, range(20))
    await wait(futures)
    rebalancing, drains, removable = plugin(scheduler)._rebalancing, plugin(scheduler).drains, []
    drains.on_removable = removable.append
    (new,) = await join(scheduler, 1)
    await until(lambda: rebalancing._under_way)
    rebalancing._next = float("inf")  # it does not look before the other may go
    ws = scheduler.workers[new.address]
    await until(lambda: len(ws.has_what) == len(rebalancing._under_way))
    drains.drain([ws.name], reason="a test")
    await until(lambda: removable)
    rebalancing._next = 0.0
    await until(lambda: not rebalancing._under_way)
    assert all(scheduler.workers[a.address] in scheduler.tasks[future.key].who_has for future in futures)
    await new.close()
    assert await client.gather(futures) == [block(number) for number in range(20)]


@supreme(worker(), worker())
async def test_nothing_moves_while_nobody_comes_or_goes(client, scheduler, a, b):
    plugin(scheduler)._rebalancing._until = 0.0  # long after they joined
    plugin(scheduler).admission.close_worker(b.address)
    futures = client.map(block, range(6))
    await wait(futures)
    plugin(scheduler).admission.open_worker(b.address)
    before = stored(scheduler)
    await asyncio.sleep(0.6)
    assert stored(scheduler) == before
    assert max(before) > 1.2 * sum(before) / 2


@supreme(worker())
async def test_what_a_user_has_put_somewhere_stays_there(client, scheduler, a):
    futures = client.map(block, range(8), workers=[a.address])
    await wait(futures)
    (new,) = await join(scheduler, 1)
    await asyncio.sleep(0.6)
    assert scheduler.workers[new.address].nbytes == 0
    await new.close()


@supreme(worker(2))
async def test_what_is_being_read_is_not_moved(client, scheduler, a):
    futures = client.map(block, range(8))
    await wait(futures)
    readers = client.map(read, futures[:2], workers=[a.address], resources={"memory": 1})
    await until(lambda: len(scheduler.workers[a.address].processing) == 2)
    (new,) = await join(scheduler, 1)
    await until(lambda: scheduler.workers[new.address].nbytes >= 3 * SIZE and calm(scheduler))
    for future in futures[:2]:
        assert {ws.address for ws in scheduler.tasks[future.key].who_has} == {a.address}
    GO.set()
    assert await client.gather(readers) == [0, 1]
    await new.close()


@supreme(worker())
async def test_what_is_on_its_way_to_one_worker_is_not_sent_to_another_that_joins(client, scheduler, a):
    futures = client.map(block, range(8))
    await wait(futures)
    new = Worker(scheduler.address, nthreads=1, memory_limit="20 GiB")
    let_in = hold_up(new)
    await new
    under_way = plugin(scheduler)._rebalancing._under_way
    await until(lambda: under_way)
    first = set(under_way)
    (other,) = await join(scheduler, 1)
    await until(lambda: scheduler.workers[other.address].nbytes)
    assert {under_way[key][0].target for key in first} == {new.address}
    let_in.set()
    await until(lambda: calm(scheduler) and not scheduler.replicated_tasks)
    await asyncio.gather(new.close(), other.close())


@supreme(worker(memory=1), worker(memory=1), config={"supreme.demands": {"block": {"memory": "1 MiB"}}})
async def test_no_more_goes_to_a_worker_than_it_has_room_for(client, scheduler, a, b):
    rows = plugin(scheduler).admission.ledger.rows
    futures = client.map(block, range(8))
    await wait(futures)
    new = await Worker(scheduler.address, nthreads=1, memory_limit=0, resources={"memory": 3 * MiB})
    await until(lambda: new.address in rows)
    await asyncio.sleep(0.6)
    assert scheduler.workers[new.address].nbytes <= 3 * MiB
    await new.close()


@supreme(worker(), config={"supreme.rebalance": None})
async def test_who_wants_no_moving_has_none(client, scheduler, a):
    await wait(futures := client.map(block, range(8)))
    (new,) = await join(scheduler, 1)
    await asyncio.sleep(0.6)
    assert scheduler.workers[new.address].nbytes == 0
    assert len(futures) == 8
    await new.close()


@supreme(worker(), worker(), worker(), worker(), config={"supreme.demands": {"held": {"memory": "1 MiB"}}})
async def test_held_work_is_even_after_two_of_four_were_replaced(client, scheduler, a, b, c, d):
    """It waits centrally: no worker has more of it than it can run, and one that waits for the thread."""
    futures = client.map(held, range(40))
    await until(lambda: all(len(ws.processing) == 2 for ws in scheduler.workers.values()))
    new = await join(scheduler, 2)
    await asyncio.gather(a.close(executor_wait=False), b.close(executor_wait=False))
    await until(lambda: [len(ws.processing) for ws in scheduler.workers.values()] == [2] * 4)
    assert len(plugin(scheduler).admission.queues) == 40 - 2 * 4
    GO.set()
    assert await client.gather(futures) == list(range(40))
    await asyncio.gather(*(one.close() for one in new))


@pytest.mark.slow
@supreme(*[worker()] * 4, Worker=Nanny)
async def test_processes_that_are_replaced_end_up_even(client, scheduler, *replaced):
    futures = client.map(lambda number: bytes([number]) * SIZE, range(100), pure=False)
    await wait(futures)
    new = [await Nanny(scheduler.address, nthreads=1, memory_limit="20 GiB") for _ in range(2)]
    for one in replaced[:2]:
        plugin(scheduler).drains.drain([str(scheduler.workers[one.worker_address].name)], reason="replaced")
    await until(lambda: len(scheduler.workers) == 4)
    begin = monotonic()
    await until(lambda: even(scheduler) and calm(scheduler))
    found = [one // MiB for one in stored(scheduler)]
    print(f"even {monotonic() - begin:.1f} s after the last one had left: {found} MiB")
    assert await client.gather(client.map(itemgetter(0), futures)) == list(range(100))
    await asyncio.gather(*(one.close() for one in new))
