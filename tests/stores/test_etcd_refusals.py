"""What an etcd cluster refuses: who we are, how we come, how much we write, what it has forgotten."""

import asyncio
import base64
import json
import subprocess
import sys
import urllib.request
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from supreme_dask.errors import (
    AmbiguousWriteError,
    CompactedError,
    StoreAccessError,
    StoreAddressError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from supreme_dask.stores import DeletePrefix, Put, open_store
from supreme_dask.stores.follow import follow
from supreme_dask.testing import collect
from tests.stores.traffic import CLEAN, Traffic, until

TOKEN_SECONDS = 2


def on(address, story):
    async def run():
        async with asyncio.timeout(60), open_store(address) as store:
            return await story(store)

    return asyncio.run(run())


async def nothing(store):
    pass


def refused(address, error, says=None):
    with pytest.raises(error, match=says) as caught:
        on(address, nothing)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------- users
@pytest.fixture(scope="module")
def with_users(start_etcd):
    """Members with a user that may use the keys under /mine/ only; tokens end soon."""
    cluster = start_etcd(3, f"--auth-token-ttl={TOKEN_SECONDS}")

    member = cluster.members[0]
    first, end = (base64.b64encode(key).decode() for key in (b"/mine/", b"/mine0"))
    ask(member, "user/add", name="root", password="r")
    ask(member, "user/grant", user="root", role="root")
    ask(member, "user/add", name="me", password="p@ss")
    ask(member, "role/add", name="mine")
    ask(member, "role/grant", name="mine", perm={"permType": 2, "key": first, "range_end": end})
    ask(member, "user/grant", user="me", role="mine")
    ask(member, "enable")
    return cluster


def as_root(member, path, **message):
    token = ask(member, "authenticate", name="root", password="r")["token"]
    return ask(member, path, token, **message)


def ask(member, path, token=None, **message):
    return call(member, f"auth/{path}", token, **message)


def call(member, path, token=None, **message):
    """Ask for what only the keepers of a cluster do, by etcd's gateway for JSON."""
    request = urllib.request.Request(f"http://{member.host}/v3/{path}", json.dumps(message).encode())
    if token:
        request.add_header("Authorization", token)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def as_me(cluster, prefix, password="p%40ss"):
    return cluster.url(prefix).replace("//", f"//me:{password}@", 1)


def test_an_expired_token_is_renewed_without_anyone_noticing(with_users, matrix):
    async def story(store):
        async with Traffic.on(store) as traffic:
            for _ in range(2):
                async with traffic.at_rest():  # a token that is used lives on
                    await asyncio.sleep(1.5 * TOKEN_SECONDS)
                await traffic.more(20)
        return traffic

    traffic = on(as_me(with_users, "mine"), story)
    matrix.add("token expired, twice", traffic.found())
    assert traffic.verdict() == CLEAN
    assert not traffic.errors


def test_a_watch_that_begins_with_an_expired_token_gets_a_new_one(with_users):
    async def story(store):
        start = await store.put("a", b"0")
        await asyncio.sleep(1.5 * TOKEN_SECONDS)
        watching = asyncio.create_task(collect(store, "", after=start - 1, until=bool))
        return await watching

    assert len(on(as_me(with_users, "mine"), story)) == 1


def test_many_calls_with_an_expired_token_all_succeed(with_users):
    async def story(store):
        await asyncio.sleep(1.5 * TOKEN_SECONDS)
        await asyncio.gather(*(store.put(f"many/{number}", b"") for number in range(50)))
        return len((await store.list("many/")).items)

    assert on(as_me(with_users, "mine"), story) == 50


def test_a_password_can_come_from_a_file(with_users, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("p@ss\n")
    on(with_users.url("mine").replace("//", "//me@", 1) + f"?password-file={secret}", nothing)
    refused(f"etcd://me@h:1/p?password-file={tmp_path}/none", StoreAddressError, "cannot read .*none")


def test_wrong_credentials_are_refused_by_name(with_users):
    assert "wrong" not in refused(as_me(with_users, "mine", password="wrong"), StoreAccessError, "invalid user")


def test_nobody_is_refused_where_there_are_users(with_users):
    refused(with_users.url("mine", timeout="1"), StoreAccessError)


def test_what_a_user_may_not_do_is_refused_and_not_tried_again(with_users):
    refused(as_me(with_users, "theirs"), StoreAccessError, "permission denied")


def test_permission_that_is_taken_away_ends_calls_and_new_watches(with_users):
    member = with_users.members[0]

    async def story(store):
        start = await store.put("a", b"")
        await asyncio.to_thread(as_root, member, "user/revoke", name="me", role="mine")
        try:
            with pytest.raises(StoreAccessError, match="permission denied"):
                await store.put("a", b"")
            with pytest.raises(StoreAccessError, match="permission denied"):
                await collect(store, "", after=start, until=bool)
        finally:
            await asyncio.to_thread(as_root, member, "user/grant", user="me", role="mine")

    on(as_me(with_users, "mine"), story)


# ------------------------------------------------------------------------------------------------ TLS
@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    # In a process of its own: its OpenSSL and that of gRPC need not get along.
    subprocess.run([sys.executable, Path(__file__).with_name("certificates.py"), directory], check=True)
    return directory


def serve(start_etcd, certificates, name, *more):
    files = f"--cert-file={certificates}/{name}.crt", f"--key-file={certificates}/{name}.key"
    return start_etcd(3, *files, *more, tls=True)


@pytest.fixture(scope="module")
def mutual(start_etcd, certificates):
    """Members that ask their clients for certificates."""
    return serve(start_etcd, certificates, "server", "--client-cert-auth", f"--trusted-ca-file={certificates}/ca.crt")


def secure(cluster, certificates, ca="ca", client=None, **options):
    files = {"cert": f"{certificates}/{client}.crt", "key": f"{certificates}/{client}.key"} if client else {}
    return cluster.url("tls", timeout="2", ca=f"{certificates}/{ca}.crt", **files, **options)


def test_both_sides_show_certificates(mutual, certificates):
    on(secure(mutual, certificates, client="client"), lambda store: store.put("a", b""))


def test_a_client_without_a_valid_certificate_is_refused_and_others_go_on(mutual, certificates, matrix):
    strangers = (secure(mutual, certificates, client=client) for client in (None, "expired", "stranger"))

    async def story(store):
        async with Traffic.on(store) as traffic:
            errors = [await error_of(address) for address in strangers]
            victim = await asyncio.to_thread(mutual.watched)
            victim.kill()
            await traffic.more(20)
            victim.start()
            await asyncio.to_thread(mutual.wait)
        return traffic, errors

    traffic, errors = on(secure(mutual, certificates, client="client"), story)
    matrix.add("TLS: strangers refused, then the watched member killed", traffic.found(), *errors)
    assert all(isinstance(error, (StoreAccessError, StoreUnavailableError)) for error in errors), errors
    assert traffic.verdict() == CLEAN


async def error_of(address):
    with pytest.raises(StoreError) as caught:
        async with open_store(address):
            pass
    return caught.value


def test_a_server_of_another_authority_is_refused(mutual, certificates):
    refused(
        secure(mutual, certificates, ca="stranger", client="client"),
        StoreAccessError,
        "certificate|handshake",
    )


def test_an_expired_server_is_refused(start_etcd, certificates):
    expired = serve(start_etcd, certificates, "expired")
    refused(secure(expired, certificates), StoreAccessError, "certificate|handshake")


def test_plain_text_to_a_secure_server_is_refused(mutual):
    refused(mutual.url("tls", timeout="1"), (StoreAccessError, StoreUnavailableError))


def test_missing_certificate_files_are_named(mutual, certificates):
    refused(secure(mutual, certificates, ca="none"), StoreAddressError, "cannot read .*none.crt")


# ---------------------------------------------------------------------------------------------- space
def test_a_full_cluster_still_reads_deletes_and_keeps_leases_and_can_be_emptied(start_etcd, matrix):
    cluster = start_etcd(3, f"--quota-backend-bytes={16 << 20}")

    async def story(store):
        lease = await store.grant(30)
        await store.put("lived", b"", lease=lease.id)
        async with Traffic.on(store) as traffic:
            await write_until_full(store)
            await until(lambda: traffic.errors)
            with pytest.raises(StoreFullError, match="alarm disarm") as refused:
                await store.grant(30)
            assert (await store.get("0/0")).value == bytes(250_000)
            await store.delete("0/0")
            assert await store.get("0/0") is None
            assert (await store.keep_alive(lease.id)).ttl == 30
            assert await store.get("lived") is not None
            await make_room(store, cluster)
            await traffic.more(20)
        return traffic, refused.value

    traffic, refused = on(cluster.url("full"), story)
    matrix.add("no space, then room again", traffic.found(), refused)
    assert traffic.verdict() == CLEAN


async def make_room(store, cluster):
    """Do what the error says: delete, compact, defragment, disarm."""
    for number in range(200):
        await store.transact((), [DeletePrefix(f"{number}/")])
    await store.compact((await store.list("lived")).revision)
    for member in cluster.members:
        await asyncio.to_thread(call, member, "maintenance/defragment")
    alarms = await asyncio.to_thread(call, cluster.members[0], "maintenance/alarm", action="GET")
    for alarm in alarms["alarms"]:
        await asyncio.to_thread(call, cluster.members[0], "maintenance/alarm", action="DEACTIVATE", **alarm)


async def write_until_full(store):
    with suppress(AmbiguousWriteError):
        for number in range(200):
            await store.transact((), [Put(f"{number}/{part}", bytes(250_000)) for part in range(4)])
        pytest.fail("200 MB fitted into 16")


# ------------------------------------------------------------------------------------------- the past
@pytest.fixture(scope="module")
def plain(start_etcd):
    return start_etcd(1)


def test_a_follower_that_was_overtaken_by_compaction_gets_the_difference(plain):
    """The watch is refused its past; what was created, changed and deleted meanwhile comes as one change."""

    async def story(store):
        for key in ("f/kept", "f/changed", "f/deleted"):
            await store.put(key, b"old")
        async with aclosing(follow(store, "f/")) as changes:
            first = await anext(changes)
            # Nothing watches yet: the follower asks for its past only now.
            await store.put("f/changed", b"new")
            await store.delete("f/deleted")
            await store.compact(await store.put("f/created", b"new"))
            second = await anext(changes)
        return first, second

    first, second = on(plain.url("follow"), story)
    assert [event.key for event in first.events] == ["f/changed", "f/deleted", "f/kept"]
    held = {event.key: event.kv.value if event.kv else None for event in second.events}
    assert held == {"f/changed": b"new", "f/created": b"new", "f/deleted": None}


def test_a_list_begins_anew_when_its_revision_is_compacted_between_pages(plain):
    async def story(store):
        for first in range(0, 1000, 100):
            await store.transact((), [Put(f"p/{first + number:04}", b"") for number in range(100)])

        async def compact():
            for number in range(20):
                await store.compact(await store.put("elsewhere", b"%d" % number))

        compacting = asyncio.create_task(compact())
        lengths = [len((await store.list("p/")).items) for _ in range(10)]
        await compacting
        return lengths

    assert on(plain.url("pages"), story) == [1000] * 10


def test_two_clusters_under_one_address_are_noticed(start_etcd, plain):
    """A member of another cluster must not be asked for what this one remembers."""
    other = start_etcd(1, "--initial-cluster-token=another")
    hosts = f"{plain.members[0].host},{other.members[0].host}"

    async def story(store):
        home = store.member
        stranger = other if home == plain.members[0].host else plain
        await store.put("a", b"")
        (plain if stranger is other else other).stop()
        with pytest.raises(StoreError, match="belongs to cluster"):
            await store.get("a")

    try:
        on(f"etcd://{hosts}/two", story)
    finally:
        for cluster in (plain, other):
            cluster.stop()
            cluster.start()


def test_a_compacted_revision_names_what_was_asked(plain):
    async def story(store):
        first = await store.put("a", b"1")
        await store.compact(await store.put("a", b"2"))
        with pytest.raises(CompactedError, match=f"revision {first} was compacted"):
            await store.get("a", at=first)

    on(plain.url("compacted"), story)
