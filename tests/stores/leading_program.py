"""A process that leads and writes: `python leading_program.py ADDRESS ELECTION TTL checked|fenced|blind`.

checked: as a leader should, by its own clock and the fence. fenced: by the fence alone. blind: by nothing.
It says what it does on standard output, and ends when it is refused.
"""

import asyncio
import sys
from contextlib import suppress

from supreme_dask.errors import LeadershipLostError
from supreme_dask.stores import Committed, Put, open_store
from supreme_dask.stores.leader import Election


async def lead(address, name, ttl, mode):
    async with open_store(address) as store:
        leadership = await Election(store, name, ttl=ttl).campaign(b"program")
        print("leads", leadership.epoch, flush=True)
        write = [Put(f"{name}-journal", b"%d" % leadership.epoch)]
        while True:
            if mode == "checked":
                outcome = await leadership.transact((), write)
            else:
                outcome = await store.transact((leadership.fence,) if mode == "fenced" else (), write)
            if not isinstance(outcome, Committed):
                return
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    with suppress(LeadershipLostError):
        asyncio.run(lead(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
    print("refused", flush=True)
