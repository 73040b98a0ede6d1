"""What one scheduler has learned, the next one of its system knows."""

import asyncio
import json
import logging
import socket

import pytest
from click.testing import CliRunner
from distributed import Client, Scheduler, Worker
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask import SupremePlugin
from supreme_dask.cli import main
from supreme_dask.core.profiles import Measurement, Profile
from supreme_dask.errors import DocumentError, StoreFormatError
from supreme_dask.scheduler.warmth import WarmStart
from supreme_dask.stores import open_store
from supreme_dask.stores.layout import pack
from supreme_dask.stores.profiles import Learned, Profiles


@pytest.fixture
def url(tmp_path):
    return f"sqlite://{tmp_path}/store.db"


def grow(number):
    return number + 1


def _grow_otherwise(number):
    return number + 2


_grow_otherwise.__qualname__ = "grow"  # as after an edit of that function

TYPE = f"{grow.__module__}.grow"


def run(url, story, *, every=3600.0):
    """Run a story with a scheduler that starts warm, and one worker."""

    async def told():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            plugin, warmth = SupremePlugin(), WarmStart(url, "blue", every=every)
            for one in (plugin, warmth):
                await scheduler.register_scheduler_plugin(one, idempotent=True)
            address = scheduler.address
            async with (
                asyncio.timeout(30),
                Worker(address, nthreads=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"),
                Client(address, asynchronous=True) as client,
            ):
                return await story(client, plugin, warmth)

    return asyncio.run(told())


async def read(warmth):
    """Wait until the store has been read."""
    while not warmth._known:  # noqa: ASYNC110  what is waited for happens in a thread
        await asyncio.sleep(0.01)


def learn(url, function=grow, runs=12):
    async def story(client, plugin, _):
        for number in range(runs):
            await client.submit(function, number, key=f"grow-{number}")
        return plugin.admission.kinds[TYPE].profile.to_wire()

    return run(url, story)


def kept(url):
    async def story():
        async with open_store(url) as store:
            return await Profiles(store, "blue").all()

    return asyncio.run(story())


def test_a_scheduler_goes_on_where_the_last_one_ended(url):
    before = learn(url)

    async def story(client, plugin, warmth):
        await read(warmth)
        future = client.submit(grow, 1, key="grow-98")
        await future
        return plugin.admission.kinds[TYPE].profile.to_wire()

    after = run(url, story)
    assert after["count"] == before["count"] + 1
    assert after["runs"][: len(before["runs"])] == before["runs"]
    (learned,) = kept(url)
    assert (learned.type, learned.wire["count"]) == (TYPE, before["count"] + 1)


def test_what_was_learned_when_types_were_prefixes_moves_over(url):
    wire = learn(url)

    async def as_it_was():
        async with open_store(url) as store:
            profiles = Profiles(store, "blue")
            (learned,) = await profiles.all()
            await profiles.put(Learned("grow", learned.code, learned.wire))
            await profiles.drop(TYPE)

    asyncio.run(as_it_was())

    async def story(client, plugin, warmth):
        await read(warmth)
        await client.submit(grow, 1, key="grow-98")
        return plugin.admission.kinds[TYPE].profile.count

    assert run(url, story) == wire["count"] + 1
    assert [learned.type for learned in kept(url)] == [TYPE]


def test_a_profile_that_comes_late_does_not_replace_what_is_known(url):
    learn(url)

    async def story(client, plugin, warmth):
        await read(warmth)
        late, warmth._known = warmth._known, {}
        await client.submit(grow, 1, key="grow-98")
        warmth._known = late
        await client.submit(grow, 2, key="grow-99")
        return plugin.admission.kinds[TYPE].profile.count

    assert run(url, story) == 2


def test_other_code_starts_cold(url):
    learn(url)

    async def story(client, plugin, warmth):
        await read(warmth)
        await client.submit(_grow_otherwise, 1, key="grow-98")
        return plugin.admission.kinds[TYPE].profile.count

    assert run(url, story) == 1


def test_without_its_store_a_scheduler_computes_and_says_so_once(caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"etcd://127.0.0.1:{taken.getsockname()[1]}?timeout=1"

        async def story(client, plugin, _):
            assert await client.gather(client.map(grow, range(50))) == list(range(1, 51))
            while "Profiles wait for the store" not in caplog.text:  # noqa: ASYNC110  it is for a real port to refuse
                await asyncio.sleep(0.01)
            await asyncio.sleep(1)
            return caplog.text.count("Profiles wait for the store")

        with caplog.at_level(logging.WARNING):
            assert run(url, story, every=0.1) == 1


measurements = st.builds(
    Measurement,
    wall=st.floats(0, 1000),
    cpu=st.none() | st.floats(0, 1000),
    memory=st.none() | st.integers(0, 2**36),
    exact=st.booleans(),
    inputs=st.integers(0, 2**34),
    fetched=st.integers(0, 2**30),
    killed=st.booleans(),
)


@given(log=st.lists(measurements, min_size=1, max_size=40), inputs=st.integers(0, 2**34))
def test_what_comes_back_estimates_as_what_was_kept(log, inputs):
    profile = Profile()
    for measurement in log:
        profile.learn(measurement)
    at_rest = json.loads(json.dumps({"type": "grow", "code": "", "wire": profile.to_wire()}))
    back = Learned.checked(at_rest).profile()
    assert back.memory(inputs) == profile.memory(inputs)
    assert back.summary() == profile.summary()
    assert profile.summary().count == len(log)


def command(url, *arguments):
    return CliRunner().invoke(main, ["profiles", *arguments, "--store", url, "--system", "blue"])


def test_profiles_are_shown_and_taken_to_another_system(url, tmp_path):
    learn(url)
    shown = command(url, "show").output
    assert "tests" in shown
    assert "12" in shown
    exported = command(url, "export", f"{tmp_path}/out.json")
    assert exported.exit_code == 0
    other = f"sqlite://{tmp_path}/other.db"
    assert "Nothing is kept" in command(other, "show").output
    assert "1 profiles" in command(other, "import", f"{tmp_path}/out.json").output
    assert kept(other) == kept(url)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("{}", "holds no list of profiles"),
        ('[{"type": "a"}]', "entry 0: $: 'code' is a required property"),
        ('[{"type": "a", "code": "", "wire": {"count": "many"}}]', "entry 0: $.wire"),
    ],
)
def test_a_file_that_holds_no_profiles_says_where(url, tmp_path, content, says):
    (tmp_path / "in.json").write_text(content)
    refused = command(url, "import", f"{tmp_path}/in.json")
    assert refused.exit_code == 1
    assert says in refused.output
    assert kept(url) == []


def test_what_is_no_profile_is_named(url):
    async def story():
        async with open_store(url) as store:
            await store.put("systems/blue/profiles/grow", pack({"type": "grow"}))
            await Profiles(store, "blue").all()

    with pytest.raises(StoreFormatError, match="'systems/blue/profiles/grow' holds no profile"):
        asyncio.run(story())
    with pytest.raises(DocumentError, match="required property"):
        Learned.checked({})
