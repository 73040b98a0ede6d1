"""``dask supreme up`` runs a cluster until it is told to stop."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from distributed import Client

from supreme_dask.cli import main

COMMAND = [sys.executable, "-m", "dask", "supreme", "up", "--port", "0", "--dashboard-address", "127.0.0.1:0"]


def test_it_runs_the_groups_it_was_given_and_ends_when_it_is_interrupted():
    groups = ["--group", "small:cpu=1,memory=512MiB,count=2", "--group", "big:cpu=2,memory=1GiB,GPU=1,tpu=2"]
    with subprocess.Popen([*COMMAND, *groups], stdout=subprocess.PIPE, text=True) as up:
        try:
            address = re.search(r"tcp://[\d.:]+", up.stdout.readline()).group()
            with Client(address) as client:
                client.wait_for_workers(3, timeout=60)
                threads = client.scheduler_info(n_workers=-1)["workers"].values()
                assert sorted(worker["nthreads"] for worker in threads) == [1, 1, 2]
                assert client.submit(sum, [1, 2], resources={"GPU": 1}).result(timeout=60) == 3
        finally:
            up.send_signal(signal.SIGINT)
        assert up.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("small:cpu=much", "could not convert"),
        ("small:memory=4 parsecs", "4 parsecs"),
        ("small:cpu", "expected NAME:cpu=2"),
        ("nonsense", "expected NAME:cpu=2"),
        ("small:cpu=0", "needs some"),
        ("small:coun=1", "unknown 'coun' (did you mean 'count'?)"),
        ("small:mem=1GiB", "unknown 'mem' (did you mean 'memory'?)"),
    ],
)
def test_a_group_that_cannot_be_read_is_refused_with_the_form_that_is_expected(group, told):
    result = CliRunner().invoke(main, ["up", "--group", group])
    assert result.exit_code == 2
    assert told in result.output
