"""`dask supreme drain` and `undrain`, against a scheduler that runs."""

import re
import time

import pytest
from click.testing import CliRunner
from distributed import Client, LocalCluster

from supreme_dask import SupremeCluster, WorkerGroup
from supreme_dask.cli import main


@pytest.fixture(scope="module")
def cluster():
    with SupremeCluster([WorkerGroup("small", cpu=1, memory="512 MiB", count=2)], dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture
def supreme():
    def run(*arguments, fails=False):
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code != 0) == fails, result.output
        assert "Traceback" not in result.output
        return result.output

    return run


def busy(dask_scheduler):
    return sum(bool(ws.processing) for ws in dask_scheduler.workers.values())


def states(dask_scheduler):
    return dask_scheduler.plugins["supreme"].drains.states()


def test_a_worker_is_drained_and_kept_after_all(cluster, supreme, tmp_path):
    address = cluster.scheduler_address
    with Client(cluster) as client:
        held = client.map(wait_for, [tmp_path / "go"] * 2, resources={"memory": 1 << 20, "cpu": 1}, pure=False)
        while client.run_on_scheduler(busy) < 2:
            time.sleep(0.01)
        assert supreme("drain", "small-0", "--scheduler", address, "--deadline", "10m") == "small-0: draining\n"
        assert list(client.run_on_scheduler(states)) == ["small-0"]
        assert supreme("undrain", "small-0", "--scheduler", address) == "small-0: kept\n"
        assert client.run_on_scheduler(states) == {}
        (tmp_path / "go").touch()
        assert client.gather(held) == [None, None]


def test_one_that_nothing_can_take_the_results_of_is_said_to_stay(cluster, supreme):
    address = cluster.scheduler_address
    with Client(cluster) as client:
        held = client.map(bytes, [1, 2], workers=["small-0", "small-1"], pure=False)
        while len(client.gather(held)) < 2 or len(client.run_on_scheduler(holders)) < 2:
            held += client.map(bytes, [1, 2], pure=False)
        said = supreme("drain", "small-0", "small-1", "--scheduler", address, fails=True)
        stay = re.findall(r"(small-[01]): kept, no other worker can take the results that only it holds", said)
        assert stay
        assert not [name for name in stay if f"{name}: draining" in said]
        assert client.gather(held) == [bytes(one) for one in ([1, 2] * len(held))[: len(held)]]


def holders(dask_scheduler):
    return [ws.address for ws in dask_scheduler.workers.values() if ws.has_what]


def wait_for(path):
    while not path.exists():
        time.sleep(0.01)


def test_what_cannot_be_done_is_said(cluster, supreme):
    address = cluster.scheduler_address
    said = supreme("drain", "nobody", "--scheduler", address, fails=True)
    assert "nobody: kept, no worker has this name" in said
    assert "not on the way out, or too late: nobody" in supreme(
        "undrain", "nobody", "--scheduler", address, fails=True
    )
    for text in ("soon", "-5s"):
        assert "expected a time" in supreme("drain", "a", "--scheduler", address, "--deadline", text, fails=True)


def test_where_nobody_is_is_said(supreme, tmp_path):
    assert "tcp://127.0.0.1:1" in supreme("drain", "a", "--scheduler", "tcp://127.0.0.1:1", fails=True)
    url = f"sqlite://{tmp_path}/store.db"
    assert "no scheduler of system 'blue'" in supreme("drain", "a", "--store", url, "--system", "blue", fails=True)


def test_plain_dask_is_said(supreme):
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as plain:
        said = supreme("drain", "a", "--scheduler", plain.scheduler_address, fails=True)
    assert "supreme-dask is not active" in said
