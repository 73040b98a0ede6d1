"""Workers near their limit: what they get, and what becomes of their results."""

from time import monotonic

from distributed import wait

from supreme_dask.scheduler import relief
from tests.scheduler.clusters import plugin, supreme, until, worker

MIB = 1 << 20


def holders(scheduler, futures):
    return [len(scheduler.tasks[future.key].who_has) for future in futures]


def strain(scheduler, address):
    """Let a worker say that its process takes far more than anybody reserved there."""
    plugin(scheduler)._strain(worker=address, process=18 << 30)


@supreme(worker(2), worker(2))
async def test_a_worker_in_danger_gets_no_tasks_and_others_copy_its_results(client, scheduler, a, b):
    there = client.map(bytes, [MIB] * 4, workers=[a.address], pure=False)
    await wait(there)
    strain(scheduler, a.address)
    await until(lambda: holders(scheduler, there) == [2] * 4)
    later = client.map(abs, range(40))
    await wait(later)
    assert {ws.address for future in later for ws in scheduler.tasks[future.key].who_has} == {b.address}
    plugin(scheduler)._relax(worker=a.address)
    await client.submit(abs, 1, workers=[a.address])


@supreme(worker(2), worker(2))
async def test_a_worker_filled_by_what_was_reserved_is_in_no_danger(client, scheduler, a, b):
    plugin(scheduler)._strain(worker=a.address, process=scheduler.workers[a.address].metrics["memory"])
    assert not plugin(scheduler)._relief.keeps_closed(a.address)


@supreme(worker(2), worker(2), config={"distributed.scheduler.active-memory-manager.start": False})
async def test_small_results_are_kept_twice_until_all_is_calm(client, scheduler, a, b):
    manager = scheduler.extensions["amm"]
    before = set(manager.policies)
    small = client.map(abs, range(10))
    large = client.submit(bytes, MIB)
    await wait([*small, large])
    plugin(scheduler)._relief.alarm()
    after = client.map(abs, range(10, 20))
    await wait(after)
    await until(lambda: holders(scheduler, small + after) == [2] * 20)
    assert holders(scheduler, [large]) == [1]
    manager.run_once()
    assert holders(scheduler, small) == [2] * 10
    plugin(scheduler)._relief.tick(monotonic() + relief._CALM + 1)
    assert manager.policies == before
    manager.run_once()
    await until(lambda: holders(scheduler, small) == [1] * 10)


@supreme(worker(2), worker(2), worker(2))
async def test_what_a_dead_worker_had_copied_is_copied_again(client, scheduler, a, b, c):
    plugin(scheduler)._relief.alarm()
    small = client.map(abs, range(30))
    await wait(small)
    await until(lambda: holders(scheduler, small) == [2] * 30)
    await a.close()
    await until(lambda: holders(scheduler, small) == [2] * 30)


@supreme(worker(2), worker(2))
async def test_what_is_forgotten_is_not_kept(client, scheduler, a, b):
    plugin(scheduler)._relief.alarm()
    small = client.map(abs, range(10))
    await until(lambda: len(plugin(scheduler)._hands.spared("relief")) == 10)
    for future in small:
        future.release()
    await until(lambda: not scheduler.tasks)
    assert not plugin(scheduler)._hands.spared("relief")


def closed(scheduler):
    return [address for address, row in plugin(scheduler).admission.ledger.rows.items() if not row.is_open]


@supreme(worker(2), worker(2), worker(2))
async def test_while_workers_are_killed_one_is_spared_and_gets_the_copies(client, scheduler, a, b, c):
    relieving = plugin(scheduler)._relief
    relieving.killed()
    relieving.tick(monotonic())
    assert not closed(scheduler), "one kill is no storm"
    relieving.killed()
    await until(lambda: closed(scheduler))
    (haven,) = closed(scheduler)
    small = client.map(abs, range(40))
    await wait(small)
    await until(lambda: {f.key for f in small} <= {ts.key for ts in scheduler.workers[haven].has_what})
    relieving._killed = relief._NEVER
    await until(lambda: not closed(scheduler))
    assert min(holders(scheduler, small)) >= 2, "it may be killed from now on"


@supreme(worker(2), worker(2), worker(2))
async def test_no_worker_is_spared_that_a_task_needs(client, scheduler, a, b, c):
    relieving = plugin(scheduler)._relief
    relieving.killed()
    relieving.killed()
    await until(lambda: closed(scheduler))
    (haven,) = closed(scheduler)
    assert await client.submit(abs, -1, workers=[haven]) == 1
    await until(lambda: not closed(scheduler))
