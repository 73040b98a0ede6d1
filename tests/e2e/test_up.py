"""``dask supreme up`` runs a cluster until it is told to stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client

from supreme_dask.cli import main

COMMAND = [sys.executable, "-m", "dask", "supreme", "up", "--port", "0", "--dashboard-address", "127.0.0.1:0"]


def test_it_runs_the_groups_it_was_given_and_ends_when_it_is_interrupted():
    small, big = "small:cpu=1,memory=512MiB,count=2,maximum=4", "big:cpu=2,memory=1GiB,GPU=1,tpu=2"
    command = [*COMMAND, "--group", small, "--group", big]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
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
        assert "small is scaled with --policy only\n" in up.stderr.read()


def two_small_ones():
    """Start the command in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [*COMMAND, "--group", "small:cpu=1,memory=512MiB,count=2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def interrupt_a_child():
    """Return how a program ends that a task interrupts."""
    with subprocess.Popen(["sleep", "100"]) as child:
        child.send_signal(signal.SIGINT)
    return child.returncode


def test_ctrl_c_in_a_terminal_is_for_the_command_and_its_workers_print_nothing():
    """A terminal sends it to the whole process group."""
    with two_small_ones() as up:
        try:
            address = re.search(r"tcp://[\d.:]+", up.stdout.readline()).group()
            with Client(address) as client:
                client.wait_for_workers(2, timeout=60)
                assert client.submit(interrupt_a_child).result(timeout=60) == -signal.SIGINT
        finally:
            os.killpg(up.pid, signal.SIGINT)
        told = up.stdout.read()
        assert up.wait(timeout=60) == 0
    assert "KeyboardInterrupt" not in told
    assert "Stopping" in told


def has_begun(process):
    """Tell whether the command, rather than Dask's own that imports it, has the signals by now."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", status).group(1), 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="signals are in Linux's /proc")
@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 1.0])
def test_ctrl_c_while_it_starts_ends_it_too(seconds):
    with two_small_ones() as up:
        while not has_begun(up.pid):
            time.sleep(0.01)
        time.sleep(seconds)
        os.killpg(up.pid, signal.SIGINT)
        told = up.stdout.read()
        assert up.wait(timeout=60) == 0, told
    assert "KeyboardInterrupt" not in told


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
