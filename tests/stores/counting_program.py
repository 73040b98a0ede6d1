"""A process that counts: `python counting_program.py ADDRESS TIMES` says each number after it is written."""

import asyncio
import sys

from supreme_dask.stores import Committed, ModRevisionIs, Put, open_store


async def count_up(address, times):
    async with open_store(address) as store:
        for _ in range(times):
            while not isinstance(outcome := await increment(store), Committed):
                pass
            print(outcome.revision, flush=True)


async def increment(store):
    kv = await store.get("counter")
    return await store.transact(
        [ModRevisionIs("counter", kv.mod_revision)], [Put("counter", b"%d" % (int(kv.value) + 1))]
    )


if __name__ == "__main__":
    asyncio.run(count_up(sys.argv[1], int(sys.argv[2])))
