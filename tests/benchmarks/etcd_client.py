"""Our etcd client beside the best ready one: `pip install aetcd`, then run this file.

Both put into one etcd, turn by turn, so that the machine's load hits both: one by one, every put of ours is
followed, or preceded, by one of theirs; with 64 in flight, they take rounds, in an order that each reverses.
Prints medians and ratios, and writes all figures as JSON to the file that `--out` names.
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
OURS, READY = "supreme-dask", "aetcd"
WANTED = {"one by one": 0.9, "64 in flight": 1.5}  # times the puts per second of the ready client


async def one_by_one(puts, number):
    """Return the microseconds that each client's puts took, in the mean, each after the answer to another's."""
    spent = dict.fromkeys(puts, 0.0)
    for turn in range(number):
        for client in sorted(puts, reverse=turn % 2):
            begin = time.perf_counter()
            await puts[client](turn)
            spent[client] += time.perf_counter() - begin
    return {client: 1e6 * time_spent / number for client, time_spent in spent.items()}


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
        "64 in flight, puts per second": done / (time.perf_counter() - begin),
        "64 in flight, processor time per put, µs": 1e6 * (time.process_time() - cpu) / done,
        "64 in flight, loop lag p99, ms": 1e3 * lags[int(0.99 * len(lags))],
    }


async def one_round(cluster, seconds, *, reverse):
    member = cluster.members[0]
    async with open_store(cluster.url("benchmark")) as store, aetcd.Client("127.0.0.1", member.port) as client:
        puts = {
            OURS: lambda number: store.put(f"ours/{number % 100}", VALUE),
            READY: lambda number: client.put(b"ready/%d" % (number % 100), VALUE),
        }
        await one_by_one(puts, 200)
        alone = await one_by_one(puts, int(seconds * 1000))
        together = {name: await many_in_flight(puts[name], seconds) for name in sorted(puts, reverse=reverse)}
    return {name: {"one by one, µs per put": alone[name], **together[name]} for name in puts}


def compare(rounds):
    """Print medians and ratios; return them, and whether they are as wanted."""
    medians = {
        figure: [median(one[name][figure] for one in rounds) for name in (OURS, READY)] for figure in rounds[0][OURS]
    }
    for figure, (ours, theirs) in medians.items():
        print(f"{figure}: {ours:.1f} | {READY} {theirs:.1f} | ratio {ours / theirs:.2f}")
    alone, together = medians["one by one, µs per put"], medians["64 in flight, puts per second"]
    ratios = {"one by one": alone[1] / alone[0], "64 in flight": together[0] / together[1]}
    return {
        "times the puts per second": ratios,
        "wanted": WANTED,
        "reached": all(ratios[name] >= WANTED[name] for name in WANTED),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per phase, about")
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, LocalEtcd(Path(directory)) as cluster:
        rounds = [
            asyncio.run(one_round(cluster, arguments.seconds, reverse=number % 2 == 1))
            for number in range(arguments.rounds)
        ]
    summary = compare(rounds)
    print(summary)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({"summary": summary, "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
