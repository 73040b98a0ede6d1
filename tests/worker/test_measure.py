"""Measurements are of the task, and of nothing that was there before it."""

import subprocess
import sys

import pytest

from supreme_dask.worker.measure import Meter

MIB = 1 << 20

MEASURE = """
from supreme_dask.worker.measure import Meter
print(Meter().run("task", lambda: len(bytearray(8 << 20)))[1][1])
"""


@pytest.fixture(autouse=True)
def _kernel_keeps_peaks():
    if not Meter().works:
        pytest.skip("this system keeps no peak that can be set back")


def test_a_task_that_runs_alone_is_measured_exactly():
    _, (_, peak, exact) = Meter().run("task", lambda: len(bytearray(64 * MIB)))
    assert exact
    assert 62 * MIB <= peak < 66 * MIB


def test_the_size_of_the_process_that_forked_the_worker_does_not_count():
    ballast = bytearray(256 * MIB)
    answer = subprocess.run([sys.executable, "-c", MEASURE], check=True, stdout=subprocess.PIPE)
    assert int(answer.stdout) < 32 * MIB
    del ballast
