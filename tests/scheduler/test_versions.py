"""Which version of ours runs where is in Dask's own answer, and is never a mismatch to Dask."""

import warnings

from distributed import Client

from supreme_dask import SupremePlugin, __version__
from tests.scheduler.clusters import plain, plugin, supreme, worker

OURS = {"supreme-dask": __version__}


def ours(answer):
    """Return what the scheduler and the workers say of plugins; None where they say nothing."""
    workers = sorted(answer["workers"])
    return [answer["scheduler"].get("plugins"), *(answer["workers"][name].get("plugins") for name in workers)]


async def checked(client):
    """Return the versions, after Dask itself has compared them without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return await client.get_versions(check=True)


@supreme(worker(), worker())
async def test_the_scheduler_and_each_worker_tell_it_beside_the_packages(client, scheduler, *_):
    answer = await checked(client)
    assert ours(answer) == [OURS, OURS, OURS]
    assert "supreme-dask" not in answer["scheduler"]["packages"]
    assert "plugins" not in answer["client"]


@supreme(worker())
async def test_packages_that_are_asked_for_are_told_too(client, *_):
    answer = await client.get_versions(packages=["supreme-dask"])
    (told,) = answer["workers"].values()
    for side in (answer["client"], answer["scheduler"], told):
        assert side["packages"]["supreme-dask"] == __version__
    assert ours(answer) == [OURS, OURS]


@plain(worker(), worker())
async def test_it_comes_with_the_plugin_and_goes_with_it(client, scheduler, first, *_):
    assert ours(await client.get_versions()) == [None, None, None]
    await client.register_plugin(SupremePlugin())
    assert ours(await checked(client)) == [OURS, OURS, OURS]
    await first.plugin_remove(name="supreme-meter")
    assert sorted(ours(await checked(client))[1:], key=str) == [None, OURS]
    plugin(scheduler).retreat(ZeroDivisionError("on purpose"))
    assert ours(await checked(client))[0] is None


@supreme(worker())
async def test_a_client_that_connects_is_not_warned(client, scheduler, *_):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with Client(scheduler.address, asynchronous=True) as other:
            assert ours(await other.get_versions()) == [OURS, OURS]
