"""Large things: whole or not there."""

import os
import uuid
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from supreme_dask.errors import BlobError, NotPublishedError
from supreme_dask.stores import Absent, Refused
from supreme_dask.stores.blobs import Blobs

LARGE = bytes(range(256)) * 1024


WITH_S3 = find_spec("s3fs") is not None and find_spec("moto") is not None  # by `make test-s3`


@pytest.fixture(scope="module")
def s3():
    """A server on loopback that speaks S3, found by the environment, as at home; and a bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        environment.setenv("AWS_ACCESS_KEY_ID", "me")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["file", "memory", *(["s3"] if WITH_S3 else [])])
def place(request, tmp_path):
    match request.param:
        case "file":
            return f"file://{tmp_path}/blobs"
        case "memory":
            return f"memory://{uuid.uuid4()}"
    return f"{request.getfixturevalue('s3')}/{uuid.uuid4()}"


def files(directory):
    return sorted(path for path in Path(directory).rglob("*") if path.is_file())


def test_what_is_put_is_read(address, place, on):
    async def story(store):
        blobs = Blobs(store, "blue", place)
        await blobs.put("graph", LARGE)
        await blobs.put("copy", LARGE)
        assert await blobs.get("graph") == LARGE
        assert (await blobs.names())["graph"] == (await blobs.names())["copy"]
        await blobs.put("graph", b"other")
        assert (await blobs.get("graph"), await blobs.get("copy")) == (b"other", LARGE)

    on(address, story)


def test_a_name_without_blob_is_told(place, on):
    async def story(store):
        with pytest.raises(NotPublishedError, match="blob 'graph'"):
            await Blobs(store, "blue", place).get("graph")

    on("memory://", story)


@pytest.mark.parametrize("damage", ["altered", "gone"])
def test_damage_is_noticed(tmp_path, on, damage):
    async def story(store):
        blobs = Blobs(store, "blue", f"file://{tmp_path}")
        await blobs.put("graph", LARGE)
        (path,) = files(tmp_path)
        if damage == "altered":
            path.write_bytes(LARGE[:-1] + b"x")
        else:
            path.unlink()
        with pytest.raises(BlobError, match="graph"):
            await blobs.get("graph")

    on("memory://", story)


def test_without_its_file_no_pointer_is_written(tmp_path, on):
    (tmp_path / "blobs").write_text("a file where the directory should be")

    async def story(store):
        blobs = Blobs(store, "blue", f"file://{tmp_path}/blobs")
        with pytest.raises(BlobError):
            await blobs.put("graph", LARGE)
        assert await blobs.names() == {}

    on("memory://", story)


class Unreachable(fsspec.AbstractFileSystem):
    protocol = "unreachable"

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        raise RuntimeError("no route to host")  # as botocore's errors, it is no OSError


def test_whatever_a_file_system_raises_is_an_error_of_ours(on):
    fsspec.register_implementation("unreachable", Unreachable, clobber=True)

    async def story(store):
        blobs = Blobs(store, "blue", "unreachable://blobs")
        with pytest.raises(BlobError, match="no route to host"):
            await blobs.put("graph", LARGE)
        assert await blobs.names() == {}

    on("memory://", story)


def test_a_refused_pointer_leaves_the_old_one(place, on):
    async def story(store):
        blobs = Blobs(store, "blue", place)
        await blobs.put("graph", LARGE)
        outcome = await blobs.put("graph", b"late", compares=[Absent("systems/blue/blobs/graph")])
        assert isinstance(outcome, Refused)
        assert await blobs.get("graph") == LARGE

    on("memory://", story)


def test_only_old_files_that_nothing_names_are_collected(place, on):
    async def story(store):
        import time

        later = Blobs(store, "blue", place, now=lambda: time.time() + 7200)
        await later.put("kept", LARGE)
        await later.put("gone", b"x" * 100)
        assert await later.collect(grace=3600) == ()
        await later.delete("gone")
        assert await later.collect(grace=3 * 3600) == ()
        assert len(await later.collect(grace=3600)) == 1
        assert await later.collect(grace=3600) == ()
        assert await later.get("kept") == LARGE

    on("memory://", story)


def test_a_file_written_again_is_young_again(tmp_path, on):
    async def story(store):
        blobs = Blobs(store, "blue", f"file://{tmp_path}")
        await blobs.put("graph", LARGE)
        await blobs.delete("graph")
        (path,) = files(tmp_path)
        os.utime(path, (0, 0))
        await blobs.put("again", LARGE)
        await blobs.delete("again")
        assert await blobs.collect() == ()
        assert len(files(tmp_path)) == 1

    on("memory://", story)


def test_a_place_of_unknown_kind_is_refused(on):
    async def story(store):
        with pytest.raises(BlobError, match="no place for files"):
            Blobs(store, "blue", "nowhere://x")

    on("memory://", story)
