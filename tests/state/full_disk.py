"""Run by `test_outages`: a scheduler on a store in a file, which may not grow for a while, twice.

A program of its own, since the limit is one of the process: its log goes to memory, what was said to a pipe.
"""

import asyncio
import json
import logging
import resource
import sys
from collections import Counter
from itertools import count

from distributed import Client, Scheduler, Worker

from supreme_dask.scheduler import recording
from supreme_dask.scheduler.exchange import Exchange
from supreme_dask.scheduler.journal import DrainJournal
from supreme_dask.scheduler.plugin import SupremePlugin
from supreme_dask.scheduler.recording import Recorder
from supreme_dask.scheduler.registration import SchedulerRegistration
from supreme_dask.scheduler.warmth import WarmStart
from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.drains import Departure

WRITERS = {
    "supreme_dask.scheduler.exchange",
    "supreme_dask.scheduler.journal",
    "supreme_dask.scheduler.warmth",
    "supreme_dask.stores.history",
    "supreme_dask.stores.registry",
}
FAILED = (logging.DEBUG, logging.WARNING)
FAILURES = 3  # of each writer in one outage: the second and third are not to be said

numbers = count(1)


class Said(logging.Handler):
    """Counts records by the name of their logger and their level."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.counts = Counter()
        self.sentences = []

    def emit(self, record):
        self.counts[record.name, record.levelno] += 1
        if record.levelno >= logging.WARNING:
            self.sentences.append(f"{record.name}: {record.getMessage()}")

    def of(self, *levels):
        return {name: sum(self.counts[name, level] for level in levels) for name in WRITERS}


def permit_growth(is_permitted):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if is_permitted else 0, hard))


async def give_each_writer_something(scheduler, client):
    number = next(numbers)
    scheduler.plugins["supreme"].scaling.take_document("groups/default", {"small": {"cpu": 1, "minimum": number}})
    step = Departure(f"w{number}", f"tcp://w{number}", "test", "person", "finishing", is_cut=False, deadline=None)
    scheduler.plugins[DrainJournal.name].keep(step, lambda: None)
    recording.record(scheduler, "test", f"number {number}")
    await client.submit(abs, -number)


async def until(holds, scheduler, client):
    while not holds():
        await give_each_writer_something(scheduler, client)
        await asyncio.sleep(0.05)


def grown(before, now, by):
    return all(now[name] >= before[name] + by for name in WRITERS)


async def main(url, outages):
    said = Said()
    logger = logging.getLogger("supreme_dask")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(said)
    logger.propagate = False
    async with open_store(url, "blue") as store:  # what can be read while nothing can be written
        await Documents(store, "blue").publish("groups/default", {"small": {"cpu": 1}}, author="ann")
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
        for plugin in (
            SupremePlugin(),
            SchedulerRegistration(url, "blue", ttl=2),
            Recorder(url, "blue"),
            DrainJournal(url, "blue"),
            Exchange(url, "blue"),
            WarmStart(url, "blue", every=0.1),
        ):
            await scheduler.register_scheduler_plugin(plugin, idempotent=True)
        async with (
            Worker(scheduler.address, nthreads=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            await until(lambda: scheduler.plugins[SchedulerRegistration.name].epoch, scheduler, client)
            for _ in range(outages):
                failed, back = said.of(*FAILED), said.of(logging.INFO)
                permit_growth(False)
                await until(lambda before=failed: grown(before, said.of(*FAILED), FAILURES), scheduler, client)
                permit_growth(True)
                await until(lambda before=back: grown(before, said.of(logging.INFO), 1), scheduler, client)
    print(json.dumps(said.sentences))


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(sys.argv[1], int(sys.argv[2])), 100))
