"""What only the embedded store promises: a file, its owner, its processes."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from supreme_dask.errors import (
    CompactedError,
    StoreAccessError,
    StoreAddressError,
    StoreFormatError,
    StoreFullError,
    StoreUnavailableError,
)
from supreme_dask.stores import Put, open_store
from supreme_dask.stores import clock as machine_clock
from supreme_dask.testing import collect

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("counting_program.py")
NOBODY = 65534


def on(address, story):
    async def run():
        async with asyncio.timeout(60), open_store(address) as store:
            return await story(store)

    return asyncio.run(run())


async def nothing(store):
    pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def address(path):
    return f"sqlite://{path}"


@pytest.fixture
def unprivileged():
    """A directory of a user to whom file modes apply, as whom the test runs."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        if os.geteuid() != 0:
            yield Path(directory)
            return
        os.chown(directory, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(directory)
        finally:
            os.seteuid(0)


# ------------------------------------------------------------------------------------------- the file
def test_only_the_owner_can_read_the_files(address, path):
    async def look(store):
        await store.put("a", b"secret")
        return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert on(address, look) == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_what_was_written_is_there_after_closing(address):
    on(address, lambda store: store.put("a", b"1"))
    assert on(address, lambda store: store.get("a")).value == b"1"


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(StoreAddressError, match="create it first"):
        on(f"sqlite://{tmp_path}/none/store.db", nothing)


def test_a_file_that_is_no_database_is_refused_and_left_alone(address, path):
    path.write_text("not a database, but long enough to have a header\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreFormatError, match="not a SQLite database"):
        on(address, nothing)
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_refused(address, path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    with pytest.raises(StoreFormatError, match="another program"):
        on(address, nothing)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


def test_another_schema_is_refused(address, path):
    on(address, nothing)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(StoreFormatError, match="its schema is 7, we know 1"):
        on(address, nothing)


def test_a_read_only_file_is_refused(unprivileged):
    path = unprivileged / "store.db"
    on(f"sqlite://{path}", nothing)
    path.chmod(0o400)
    with pytest.raises(StoreAccessError, match="readable and writable"):
        on(f"sqlite://{path}", nothing)


def test_a_read_only_directory_is_refused(unprivileged):
    unprivileged.chmod(0o500)
    with pytest.raises(StoreAccessError, match="readable and writable"):
        on(f"sqlite://{unprivileged}/store.db", nothing)


async def fill(store):
    """Write until there is no space; return whether all is whole, and a deletion makes room."""
    number = await written_until_full(store)
    refused = (await store.list(f"{number}/")).items
    await store.delete("0/a")
    return number > 1 and not refused and len((await store.list("")).items) == 2 * number - 1


def test_a_full_store_refuses_the_write_whole_and_still_reads(address):
    assert on(f"{address}?max-bytes=1000000", fill)


def test_a_full_disk_refuses_the_write_whole_and_still_reads(address, path):
    """On a disk of four megabytes in memory, which only one process sees."""
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mounted = f"mount -t tmpfs -o size=4m none {path.parent}"
    if shutil.which("unshare") is None or subprocess.run([*alone, mounted], capture_output=True).returncode:
        pytest.skip("needs the right to mount in a namespace: run as root")
    program = f"from tests.stores.test_sqlite import fill, on; assert on({address!r}, fill)"
    command = [*alone, f'{mounted} && exec "$0" -c "$1"', sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr


def test_a_locked_file_is_an_error_with_a_name(address, path):
    async def story(store):
        with sqlite3.connect(path) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailableError, match="locked"):
                await store.put("a", b"")
            assert await store.get("a") is None
            other.rollback()
        await store.put("a", b"")

    on(address, story)


def test_history_is_kept_as_long_as_the_address_says(address):
    async def story(store):
        first = await store.put("a", b"0")
        for number in range(60):
            last = await store.put("a", b"%d" % number)
        async with asyncio.timeout(30):
            while await readable(store, first):  # noqa: ASYNC110  the store compacts by itself
                await asyncio.sleep(0.05)
        return await readable(store, last - 20)

    assert on(f"{address}?keep=20", story)


async def written_until_full(store):
    """Return the number of the first transaction that was refused."""
    number = 0
    with suppress(StoreFullError):
        for number in count():
            await store.transact((), [Put(f"{number}/a", bytes(100_000)), Put(f"{number}/b", b"")])
    return number


async def readable(store, revision):
    try:
        await store.get("a", at=revision)
    except CompactedError:
        return False
    return True


# ------------------------------------------------------------------------------------------- processes
def test_leases_of_an_earlier_start_of_the_machine_have_ended(address, path):
    async def take(store):
        await store.put("a", b"", lease=(await store.grant(3600)).id)

    on(address, take)
    assert on(address, lambda store: store.get("a")) is not None
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE leases SET boot = 'an earlier one'")

    async def write_and_read(store):
        await store.put("b", b"")
        return await store.get("a")

    assert on(address, write_and_read) is None


def test_the_clock_of_leases_is_not_the_one_that_can_be_set():
    assert machine_clock.now() >= 0
    assert machine_clock.boot() == machine_clock.boot()


def test_a_second_handle_does_not_let_others_take_the_file_for_unused(address, path):
    """Whoever closes last removes the log. A process that still has the file open must not lose its lock."""

    async def story(store):
        await store.put("a", b"1")
        async with open_store(address) as other:
            await other.put("a", b"2")
            log = path.with_name("store.db-wal").stat().st_ino
            assert await asyncio.to_thread(start_counting(address, 0).wait, 60) == 0
            assert path.with_name("store.db-wal").stat().st_ino == log

    on(address, story)


def test_many_processes_open_a_new_file_at_once(address):
    on_start = [start_counting(address, 0) for _ in range(6)]
    assert [process.wait(60) for process in on_start] == [0] * 6


def test_four_processes_count_and_one_is_killed(address):
    """The sum is exact, and every watch sees every revision once and in order."""
    on(address, lambda store: store.put("counter", b"0"))
    start = on(address, lambda store: store.list("")).revision

    async def story(store):
        async with open_store(address) as other:
            watches = [
                asyncio.create_task(collect(handle, "", after=start, until=ended)) for handle in (store, other)
            ]
            acknowledged = await asyncio.to_thread(count_and_kill, address)
            await store.put("end", b"")
            return acknowledged, await asyncio.gather(*watches)

    acknowledged, (first, second) = on(address, story)
    counter = int(on(address, lambda store: store.get("counter")).value)
    # What was in flight when its process was killed may have been written.
    assert counter - len(acknowledged) in (0, 1)
    assert first == second
    values = [int(event.kv.value) for changes in first[:-1] for event in changes.events]
    assert values == list(range(1, counter + 1))
    assert acknowledged <= {changes.revision for changes in first}
    with sqlite3.connect(address.removeprefix("sqlite://")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def ended(seen):
    return seen[-1].events[0].key == "end"


def count_and_kill(address):
    """Let four processes count, kill one midway; return all revisions that were acknowledged."""
    processes = [start_counting(address, 150) for _ in range(4)]
    revisions = {int(processes[0].stdout.readline()) for _ in range(20)}
    processes[0].kill()
    for process in processes:
        # A line that the kill has cut short is no acknowledgement.
        lines = process.communicate(timeout=60)[0].splitlines(keepends=True)
        revisions |= {int(line) for line in lines if line.endswith("\n")}
    return revisions


def start_counting(address, times):
    return subprocess.Popen([sys.executable, PROGRAM, address, str(times)], stdout=subprocess.PIPE, text=True)
