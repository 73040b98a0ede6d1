"""Files of a controller that are damaged, or of another release."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from supreme_dask.cli import main
from supreme_dask.errors import ConfigError
from supreme_dask.provisioners.local import LocalProvisioner

PROCESS = {"pid": 4_194_305, "born": 1.0, "boot": "another"}  # greater than any number of a process
RECORD = {"group": "small", "process": PROCESS}
DEEP = "[" * 100_000

RECORDS = {
    "empty": "",
    "half of it": json.dumps(RECORD)[:20],
    "a list": "[]",
    "null": "null",
    "without group": json.dumps({"process": PROCESS}),
    "without process": json.dumps({"group": "small"}),
    "process null": json.dumps({"group": "small", "process": None}),
    "process in words": json.dumps({"group": "small", "process": {**PROCESS, "pid": "many"}}),
    "deep": DEEP,
}
NUMBERS = {
    "empty": "",
    "a list": "[1]",
    "null": "null",
    "in words": '{"small": "seven"}',
    "nested": '{"small": {}}',
    "deep": DEEP,
}


def write(directory, name, content):
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


@pytest.mark.parametrize("content", RECORDS.values(), ids=RECORDS)
def test_a_record_that_cannot_be_read_keeps_the_controller_from_launching_beside_its_worker(tmp_path, content):
    file = write(tmp_path, "small-0/process.json", content)
    with pytest.raises(ConfigError, match=r"remove it once the worker small-0 has ended$") as caught:
        LocalProvisioner(tmp_path)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    file.unlink()
    LocalProvisioner(tmp_path).close()


@pytest.mark.parametrize("content", NUMBERS.values(), ids=NUMBERS)
def test_numbers_that_cannot_be_read_are_not_counted_from_the_beginning(tmp_path, content):
    file = write(tmp_path, "numbers.json", content)
    with pytest.raises(ConfigError, match="their names would be given again") as caught:
        LocalProvisioner(tmp_path)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_newer_release_has_added_is_left_out(tmp_path):
    added = {**RECORD, "process": {**PROCESS, "host": "box"}, "zone": "a"}
    write(tmp_path, "small-0/process.json", json.dumps(added))
    with LocalProvisioner(tmp_path) as provisioner:
        assert asyncio.run(provisioner.workers()) == {}  # it was read, and that process has ended


def test_the_command_says_it_in_one_line(tmp_path):
    write(tmp_path, "small-0/process.json", "")
    store = f"sqlite://{tmp_path}/store.db"
    done = CliRunner().invoke(main, ["controller", "--directory", str(tmp_path), "--store", store])
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1
    assert "process.json" in done.output
