"""Our etcd client beside the best ready one: `pip install aetcd`, then run this file.

Both put into one etcd, turn by turn in one run, in an order that each round reverses: the machine's load
hits both. Prints medians and ratios, and writes all figures as JSON to the file that `--out` names.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import aetcd

from supreme_dask.stores import open_store
from supreme_dask.stores.local_etcd import LocalEtcd

VALUE = bytes(256)
IN_FLIGHT = 64
TICK = 0.005
WANTED = {"one by one": 0.9, "64 in flight": 1.5}  # times the puts per second of the ready client


async def one_by_one(put, seconds):
    """Return puts per second, each after the answer to the one before."""
    begin, done = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        await put(done)
        done += 1
    return done / (time.perf_counter() - begin)


async def many_in_flight(put, seconds):
    """Return puts per second of many at a time, processor time of each, and the loop's lag meanwhile."""
    begin, cpu, done, lags = time.perf_counter(), time.process_time(), 0, []
    end = begin + seconds

    async def work(number):
        nonlocal done
        while time.perf_counter() < end:
            await put(number)
            done += 1

    async def tick():
        while (due := time.perf_counter() + TICK) < end:
            await asyncio.sleep(TICK)
            lags.append(time.perf_counter() - due)

    await asyncio.gather(tick(), *(work(number) for number in range(IN_FLIGHT)))
    lags.sort()
    return {
        "puts per second": done / (time.perf_counter() - begin),
        "processor time per put, µs": 1e6 * (time.process_time() - cpu) / done,
        "loop lag p99, ms": 1e3 * lags[int(0.99 * len(lags))],
    }


async def measure(put, seconds):
    await one_by_one(put, seconds / 4)
    alone = await one_by_one(put, seconds)
    return {"one by one": alone, "64 in flight": await many_in_flight(put, seconds)}


async def ours(cluster, seconds):
    async with open_store(cluster.url("benchmark")) as store:
        return await measure(lambda number: store.put(f"ours/{number % 100}", VALUE), seconds)


async def ready(cluster, seconds):
    member = cluster.members[0]
    async with aetcd.Client("127.0.0.1", member.port) as client:
        return await measure(lambda number: client.put(b"ready/%d" % (number % 100), VALUE), seconds)


def compare(rounds):
    """Print medians and ratios; return whether they are as wanted."""
    names = {"supreme-dask": ours.__name__, "aetcd": ready.__name__}

    def middle(client, phase, figure=None):
        values = [one[names[client]][phase] for one in rounds]
        return median(value[figure] for value in values) if figure else median(values)

    rows = [("one by one", None), *(("64 in flight", figure) for figure in rounds[0]["ours"]["64 in flight"])]
    for phase, figure in rows:
        mine, theirs = (middle(client, phase, figure) for client in names)
        what = figure or "puts per second"
        print(f"{phase}, {what}: {mine:.1f} | aetcd {theirs:.1f} | ratio {mine / theirs:.2f}")
    ratios = {
        phase: middle("supreme-dask", phase, figure) / middle("aetcd", phase, figure)
        for phase, figure in (("one by one", None), ("64 in flight", "puts per second"))
    }
    return {
        "ratios": ratios,
        "wanted": WANTED,
        "reached": all(ratios[name] >= WANTED[name] for name in WANTED),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per phase")
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    arguments = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as directory, LocalEtcd(Path(directory)) as cluster:
        for number in range(arguments.rounds):
            order = (ours, ready) if number % 2 else (ready, ours)
            rounds.append({one.__name__: asyncio.run(one(cluster, arguments.seconds)) for one in order})
    summary = compare(rounds)
    print(summary)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({"summary": summary, "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
