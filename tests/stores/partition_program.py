"""Cut one of three members off from the others, each a host of its own; run by a test in a network of its own.

Every member has two links: to the clients, and to the other members. Only the second is cut, so that the
member stays reachable and does not know better.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from supreme_dask.stores import open_store
from supreme_dask.stores.local_etcd import LocalEtcd, Place
from tests.stores.traffic import Traffic

CLIENTS, PEERS = "10.98.0", "10.99.0"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def hosts(number):
    """Give places on hosts of their own, linked by a bridge for clients and one for members."""
    ip("link", "set", "lo", "up")
    for bridge, network in (("clients", CLIENTS), ("peers", PEERS)):
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{network}.254/24", "dev", bridge)
        ip("link", "set", bridge, "up")
    with ExitStack() as processes:
        yield [processes.enter_context(host(one)) for one in range(1, number + 1)]


@contextmanager
def host(number):
    sleeper = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
    try:
        while Path(f"/proc/{sleeper.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            time.sleep(0.01)
        within = ("nsenter", "--net", f"--target={sleeper.pid}")
        for bridge, network in (("clients", CLIENTS), ("peers", PEERS)):
            ip("link", "add", f"{bridge}{number}", "type", "veth", "peer", "name", bridge, "netns", str(sleeper.pid))
            ip("link", "set", f"{bridge}{number}", "master", bridge, "up")
            subprocess.run([*within, "ip", "address", "add", f"{network}.{number}/24", "dev", bridge], check=True)
            subprocess.run([*within, "ip", "link", "set", bridge, "up"], check=True)
        yield Place(f"{CLIENTS}.{number}", f"{PEERS}.{number}", within)
    finally:
        sleeper.kill()
        sleeper.wait()


async def cut_and_heal(cluster, role):
    """Return what traffic saw whose watch is on a member that is cut, or beside a leader that is cut."""
    leader = await asyncio.to_thread(cluster.leader)
    followers = [member for member in cluster.members if member is not leader]
    victim = leader if role == "leader" else followers[0]
    # One address, and from there on what the cluster names: the first member is the one that is cut.
    others = [member for member in (*followers, leader) if member is not victim]
    address = f"etcd://{victim.host}/partition?timeout=3&discover=true"
    async with open_store(address) as store:
        async with Traffic.on(store) as traffic:
            assert store.member == victim.host
            link = f"peers{cluster.members.index(victim) + 1}"
            ip("link", "set", link, "down")
            await traffic.more(50)
            assert store.member in {member.host for member in others}
            ip("link", "set", link, "up")
            await asyncio.to_thread(cluster.wait)
        return traffic


def main(directory):
    table = {}
    with hosts(3) as places, LocalEtcd(Path(directory), places=places, durable=False) as cluster:
        for role in ("follower", "leader"):
            table[role] = asyncio.run(cut_and_heal(cluster, role)).found()
    json.dump(table, sys.stdout)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(temporary)
