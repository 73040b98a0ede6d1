"""How well resources are shared: late workers, unequal workers, and a task behind others that need something else.

Tasks sleep, so the machine hardly matters. Workers have eight threads; an abstract resource is what limits them.
Stock Dask and ours alternate.

=========  ===========================================================================================
late       96 × 0.5 s of ``{MEM: 1}``; one worker with ``MEM=4``, two more join after 2 s; over the ideal
unequal    60 × 0.5 s of ``{MEM: 1}``; workers with ``MEM=4`` and ``MEM=1``; over the ideal
behind     a 10 ms ``{B: 1}`` task submitted after three of 1 s ``{A: 1}``, with ``B`` free; seconds
=========  ===========================================================================================

::

    python tests/benchmarks/sharing.py --repeats 3 --json sharing.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from distributed import Client, Scheduler, Worker, wait

from supreme_dask import SupremePlugin

SLEEP = 0.5
CONTENDERS = ("stock", "ours")


async def late(stack: AsyncExitStack, scheduler: Scheduler, client: Client) -> float:
    await join(stack, scheduler, MEM=4)
    await warm_up(client, {"MEM": 1})
    started = time.monotonic()
    futures = client.map(time.sleep, [SLEEP] * 96, resources={"MEM": 1}, pure=False)
    await asyncio.sleep(2)
    for _ in range(2):
        await join(stack, scheduler, MEM=4)
    await wait(futures)
    ideal = 2 + (96 * SLEEP - 2 * 4) / 12
    return (time.monotonic() - started) / ideal


async def unequal(stack: AsyncExitStack, scheduler: Scheduler, client: Client) -> float:
    await join(stack, scheduler, MEM=4)
    await join(stack, scheduler, MEM=1)
    await warm_up(client, {"MEM": 1})
    started = time.monotonic()
    await wait(client.map(time.sleep, [SLEEP] * 60, resources={"MEM": 1}, pure=False))
    return (time.monotonic() - started) / (60 * SLEEP / 5)


async def behind(stack: AsyncExitStack, scheduler: Scheduler, client: Client) -> float:
    await join(stack, scheduler, A=1, B=1)
    await warm_up(client, {"A": 1, "B": 1})
    blocking = client.map(time.sleep, [1.0] * 3, resources={"A": 1}, pure=False)
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await client.submit(time.sleep, 0.01, resources={"B": 1}, pure=False)
    waited = time.monotonic() - started
    await wait(blocking)
    return waited


SCENARIOS: dict[str, Callable[[AsyncExitStack, Scheduler, Client], Awaitable[float]]] = {
    "late": late,
    "unequal": unequal,
    "behind": behind,
}


async def join(stack: AsyncExitStack, scheduler: Scheduler, **resources: float) -> None:
    await stack.enter_async_context(
        Worker(scheduler.address, nthreads=8, resources=resources, memory_limit=0, dashboard=False)
    )


async def warm_up(client: Client, resources: dict[str, float]) -> None:
    """Let the type be known, as it is in any but the first minute of a cluster."""
    await client.submit(time.sleep, 0.02, resources=resources, pure=False)


async def run(contender: str, scenario: str) -> float:
    async with AsyncExitStack() as stack:
        scheduler = await stack.enter_async_context(Scheduler(dashboard=False, port=0, host="127.0.0.1"))
        client = await stack.enter_async_context(Client(scheduler.address, asynchronous=True))
        if contender == "ours":
            await scheduler.register_scheduler_plugin(SupremePlugin(), name="supreme", idempotent=True)
        return await SCENARIOS[scenario](stack, scheduler, client)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    figures: dict[str, dict[str, list[float]]] = {name: {who: [] for who in CONTENDERS} for name in SCENARIOS}
    for _ in range(arguments.repeats):
        for scenario in SCENARIOS:
            for contender in CONTENDERS:
                figures[scenario][contender].append(asyncio.run(run(contender, scenario)))
    for scenario, runs in figures.items():
        medians = {who: statistics.median(values) for who, values in runs.items()}
        print(f"{scenario:8} " + "  ".join(f"{who} {median:.3f}" for who, median in medians.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
