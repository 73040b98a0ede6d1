"""Of each outage of a store each of its users tells once, however often it tries."""

import json
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path

from supreme_dask.errors import StoreFullError
from supreme_dask.stores.outage import Outage

PROGRAM = Path(__file__).with_name("full_disk.py")
OUTAGES = 2
USERS = 5


def test_a_full_disk_is_told_of_once_by_each_user_of_the_store(tmp_path):
    done = subprocess.run(
        [sys.executable, PROGRAM, f"sqlite://{tmp_path}/store.db", str(OUTAGES)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = Counter(json.loads(done.stdout))
    assert len(said) == USERS
    assert set(said.values()) == {OUTAGES}, said


def test_what_fails_again_is_for_debugging_until_it_has_worked(caplog):
    caplog.set_level(logging.DEBUG, "test")
    outage, error = Outage(logging.getLogger("test")), StoreFullError("sqlite:///x", "free some")
    for happens in ("fails", "fails", "works", "works", "fails"):
        if happens == "fails":
            outage.failed("History waits", error)
        else:
            outage.ended("History is written again")
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "DEBUG", "INFO", "WARNING"]


def test_an_answer_that_did_not_come_in_time_has_words(caplog):
    Outage(logging.getLogger("test")).failed("History waits", TimeoutError())
    assert caplog.messages == ["History waits: no answer in time"]
