"""The commands that work on a system's state, over SQLite."""

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from supreme_dask.cli import main
from supreme_dask.cli.system import default_store

POLICY = "high_cpu: {threshold: 80, action: add_node}\n"


@pytest.fixture
def supreme(tmp_path, monkeypatch):
    """Run a command of `dask supreme` on a store of its own; the result is what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "stricter.json").write_text(json.dumps({"high_cpu": {"threshold": 60, "action": "add_node"}}))

    def run(*arguments, fails=False, text=None):
        result = CliRunner().invoke(main, arguments, input=text)
        assert (result.exit_code != 0) == fails, result.output
        assert "Traceback" not in result.output
        return result.output

    return run


def test_a_policy_is_published_shown_compared_and_rolled_back(supreme):
    assert "revision 1 by" in supreme("policy", "apply", "policy.yaml", "-m", "begin")
    assert "revision 2 by" in supreme("policy", "apply", "stricter.json", "-m", "busy season")
    assert "threshold: 60" in supreme("policy", "show")
    assert "threshold: 80" in supreme("policy", "show", "--revision", "1")
    assert supreme("policy", "diff", "1") == "$.high_cpu.threshold: changed: 80 → 60\n"
    assert "revision 3 (content of revision 1)" in supreme("policy", "rollback", "1", "-m", "too many workers")
    history = supreme("policy", "history")
    assert "busy season" in history
    assert "that of revision 1" in history


def test_what_is_shown_can_be_applied(supreme):
    supreme("policy", "apply", "policy.yaml")
    said = supreme("policy", "apply", "-", text=supreme("policy", "show"))
    assert "policy/default of system default: unchanged, revision 1 by" in said
    assert supreme("policy", "history").count("revision") <= 1
    assert "unchanged" not in supreme("policy", "apply", "stricter.json")
    assert "revision 3 by" in supreme("policy", "apply", "policy.yaml")
    assert supreme("policy", "diff", "1", "3") == ""


def test_a_document_that_breaks_its_schema_names_the_path(supreme):
    said = supreme("policy", "apply", "-", text="high_cpu: {threshold: high, action: add}", fails=True)
    assert "$.high_cpu.threshold: 'high' is not of type 'number'" in said
    assert "nothing" in supreme("policy", "show", fails=True)


def test_each_offence_has_a_line(supreme):
    said = supreme("policy", "apply", "-", text="a: {kind: budget}\nb: {threshold: 1, action: add_node}", fails=True)
    first, *others = said.splitlines()
    assert first == "Error: policy/default is refused:"
    assert [line[:6] for line in others] == ["  $.a:", "  $.b:"]


def test_groups_that_a_policy_names_and_nobody_has_published_are_told(supreme):
    night = "night: {kind: schedule, minimum: {small: 2}}"
    assert "Warning" not in supreme("policy", "apply", "-", text=night)
    said = supreme("groups", "apply", "-", text="tiny: {}")
    warning = "Warning: policy/default, $.night.minimum: unknown group 'small'; known are tiny; the rule does nothing"
    assert warning in said
    assert "revision 1" in said
    assert warning in supreme("policy", "apply", "-", text=night)
    assert "Warning" not in supreme("groups", "apply", "-", text="small: {}")
    assert warning in supreme("groups", "rollback", "1")


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "just text"])
def test_a_file_that_is_no_document_is_refused(supreme, text):
    assert supreme("policy", "apply", "-", text=text, fails=True).startswith("Error: <stdin>")


def test_who_saw_an_older_revision_is_told(supreme):
    supreme("policy", "apply", "policy.yaml", "--expected", "0")
    said = supreme("policy", "apply", "stricter.json", "--expected", "0", fails=True)
    assert "policy/default: based on revision 0, but the newest is revision 1" in said


def test_what_would_change_is_shown_and_nothing_is_published(supreme):
    assert supreme("policy", "apply", "policy.yaml", "--dry-run").startswith("policy/default $.high_cpu: added: {")
    supreme("policy", "apply", "policy.yaml")
    shown = supreme("policy", "apply", "stricter.json", "--dry-run")
    assert shown.startswith("policy/default $.")
    supreme("policy", "apply", "stricter.json")
    assert supreme("policy", "rollback", "1", "--dry-run").startswith("policy/default $.")
    assert "revision 2 by" in supreme("policy", "show")
    assert "$.a.cpu" in supreme("groups", "apply", "-", "--dry-run", text="a: {cpu: none}", fails=True)


def test_a_system_goes_back_to_a_tag(supreme):
    supreme("policy", "apply", "policy.yaml")
    supreme("groups", "apply", "-", text="small: {cpu: 2, memory: 1 GiB, count: 3}")
    assert "groups/default 1, policy/default 1" in supreme("tag", "good")
    supreme("policy", "apply", "stricter.json")
    supreme("policy", "apply", "stricter.json", "--name", "nightly")
    assert supreme("rollback", "--to", "good").splitlines()[-2:] == [
        "policy/default: revision 3, content of revision 1",
        "policy/nightly: revision 2, removed: it was not there then",
    ]
    assert "nothing was published" in supreme("rollback", "--to", "good")
    assert "tag 'good': there is one of that name; take another name" in supreme("tag", "good", fails=True)
    assert "has no tags" in supreme("tag", "--delete", "good")


def test_a_system_goes_back_to_a_time(supreme):
    supreme("policy", "apply", "policy.yaml")
    shown = supreme("rollback", "--to", "2001-01-01", "--dry-run")
    assert shown.startswith("policy/default $.high_cpu: removed: {")
    assert "Publish 1 changed document of system default? [y/N]: " in supreme(
        "rollback", "--to", "2001-01-01", fails=True
    )
    assert "revision 1" in supreme("policy", "show")
    assert "removed: it was not there then" in supreme("rollback", "--to", "2001-01-01", text="y")
    supreme("policy", "apply", "policy.yaml")
    assert "removed: it was not there then" in supreme("rollback", "--to", "2001-01-01", "--yes")
    assert "2999-01-01 is still to come" in supreme("rollback", "--to", "2999-01-01", fails=True)
    assert "neither a tag of the system nor a time" in supreme("rollback", "--to", "yesterday", fails=True)


def test_systems_are_apart(supreme):
    supreme("policy", "apply", "policy.yaml", "--system", "blue")
    assert "there is no document" in supreme("policy", "show", "--system", "green", fails=True)


def test_without_a_store_it_is_a_file_of_the_user(supreme, tmp_path):
    supreme("policy", "apply", "policy.yaml")
    assert default_store() == f"sqlite://{tmp_path}/state/supreme-dask/store.db"
    assert (tmp_path / "state" / "supreme-dask").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("postgres://here", "unknown scheme"),
        ("here", "not a URL"),
        ("sqlite:///nowhere/at/all.db", "there is no directory"),
        ("etcd://127.0.0.1:1/?timeout=1", "no answer"),
    ],
)
def test_a_store_that_cannot_be_used_is_told_in_a_line(supreme, store, problem):
    assert problem in supreme("policy", "show", "--store", store, fails=True)


def test_a_local_cluster_runs_until_it_is_stopped(supreme, tmp_path):
    try:
        from supreme_dask.stores.local_etcd import find_etcd

        find_etcd()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    command = [sys.executable, "-u", "-m", "dask", "supreme", "store", "up", "--members", "3"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    try:
        url = process.stdout.readline().split()[-1]
        supreme("policy", "apply", "policy.yaml", "--store", url)
        assert "threshold: 80" in supreme("policy", "show", "--store", url)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to its members too
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert not list(tmp_path.glob("supreme-store-*"))


def test_a_directory_with_things_in_it_is_left_alone(supreme, tmp_path):
    assert "not empty" in supreme("store", "up", "--directory", str(tmp_path), fails=True)
