"""A kept lease tells its operator when it is away, and when it is back."""

import asyncio
import logging
import re

from supreme_dask.stores import open_store
from supreme_dask.stores.leases import KeptLease


def test_a_lease_says_once_why_it_is_not_renewed_and_once_that_it_is_again(start_etcd, caplog):
    caplog.set_level(logging.INFO, "supreme_dask.stores.leases")
    cluster = start_etcd(1)
    (member,) = cluster.members

    async def said(words):
        async with asyncio.timeout(30):
            while words not in caplog.text:  # noqa: ASYNC110  what is waited for is a line of the log
                await asyncio.sleep(0.02)

    async def story():
        # Longer than one renewal may take, so that it is the renewal that gives up and not the request.
        async with open_store(cluster.url(timeout="60")) as store, await KeptLease.grant(store, 8) as lease:
            member.pause()
            try:
                await said("is not renewed")
            finally:
                member.resume()
            await said("is renewed again")
            assert lease.holds()

    asyncio.run(story())
    (reason,) = re.findall(r"is not renewed, try on: (.*)", caplog.text)
    assert reason.strip(), "no reason was given"
    assert caplog.text.count("is renewed again") == 1
