"""What commands print: help that is whole, tables that fit, JSON for programs."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.cli import main
from supreme_dask.cli.output import table

SENTENCE = "3 workers of small are launched: 12 tasks wait for 2 cores each, and no worker has as many to spare now"


def commands(command=main, path=()):
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, (*path, name))


COMMANDS = dict(commands())
LASTING = {("up",), ("worker",), ("controller",), ("store", "up")}  # until they are ended
FILES = {("simulate",), ("profiles", "export"), ("profiles", "import")}  # JSON is in the file that they are given


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_whole_in_a_window_of_80_columns(path):
    shown = CliRunner().invoke(main, [*path, "--help"], terminal_width=80).output
    assert max(map(len, shown.splitlines())) <= 80
    _, *told = shown.splitlines()
    assert not [line for line in told if line.endswith("...")]
    assert not [line for line in told if "RANGE" in line or "FILENAME" in line or "DIRECTORY DIR" in line]


def test_all_that_prints_values_prints_them_for_programs_too():
    leaves = {path for path, command in COMMANDS.items() if not isinstance(command, click.Group)}
    as_json = {path for path in leaves if any(option.name == "as_json" for option in COMMANDS[path].params)}
    assert leaves - as_json == LASTING | FILES


@pytest.fixture
def values(tmp_path, monkeypatch):
    """Run a command; the result is what its JSON holds."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "policy.yaml").write_text("high_cpu: {threshold: 80, action: add_node}")
    (tmp_path / "stricter.yaml").write_text("high_cpu: {threshold: 60, action: add_node}")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--json"])
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def test_values_for_programs_have_times_in_seconds_since_1970(values):
    (published,) = values("policy", "apply", "policy.yaml")
    assert (published["document"], published["number"]) == ("policy/default", 1)
    assert 1.7e9 < published["time"] < 1e10
    (shown,) = values("policy", "show")
    assert shown == published
    (difference,) = values("policy", "apply", "stricter.yaml", "--dry-run")
    assert (difference["path"], difference["before"], difference["after"]) == ("$.high_cpu.threshold", 80, 60)
    (tag,) = values("tag", "good")
    assert (tag["revisions"], type(tag["time"])) == ({"policy/default": 1}, float)
    values("policy", "apply", "stricter.yaml")
    assert [one["number"] for one in values("policy", "history")] == [1, 2]
    (difference,) = values("policy", "diff", "1")
    assert difference == {
        "document": "policy/default",
        "path": "$.high_cpu.threshold",
        "kind": "changed",
        "before": 80,
        "after": 60,
    }
    (back,) = values("rollback", "--to", "good")
    assert (back["document"], back["number"], back["rollback_of"]) == ("policy/default", 3, 1)
    assert values("rollback", "--to", "good") == []
    assert values("nodes") == values("history") == values("profiles", "show") == []


@pytest.mark.parametrize("path", [("nodes",), ("history",), ("profiles", "show")], ids=" ".join)
def test_a_system_of_which_the_store_knows_nothing_may_run_without_one(path, tmp_path):
    shown = CliRunner().invoke(main, [*path, "--store", f"sqlite://{tmp_path}/s.db"]).output
    assert shown.startswith("Nothing is ")
    assert "with a store (supreme.store)" in shown


CELLS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=12)
SENTENCES = st.lists(CELLS, max_size=20).map(" ".join)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, SENTENCES), min_size=1, max_size=6), st.none() | st.integers(60, 200))
def test_a_table_fits_the_window_and_says_what_it_leaves_out(cells, width):
    rows = [dict(zip(("a", "b", "c", "why"), row, strict=True)) for row in cells]
    told = table(rows, width, sentence="why")
    assert width is None or max(map(len, told)) <= width
    shown = "\n".join(told)
    for *short, sentence in cells:
        assert all(cell in shown for cell in short if "No room for" not in told[-1])
        assert set(sentence.split()) <= set(shown.split())
    if width is None:
        assert len(told) == 1 + len(rows)


def test_a_name_with_hyphens_stays_whole():
    rows = [{"when": "2026-11-26 20:00:00+00:00", "why": f"{'w ' * 12}default-worker-7 drained"}]
    assert "default-worker-7" in "\n".join(table(rows, 60, sentence="why"))


def test_a_sentence_goes_on_below_itself_and_below_the_row_where_the_window_is_too_narrow():
    rows = [{"when": "2026-11-26 20:00:00+00:00", "what": "scale", "why": SENTENCE}]
    told = table(rows, 80, sentence="why")
    assert {line[:34].strip() for line in told[2:]} == {""}
    assert " ".join(line[34:] for line in told[1:]) == SENTENCE
    assert " ".join(line[2:] for line in table(rows, 40, sentence="why")[2:]) == SENTENCE


def test_a_window_is_asked_for_its_width(tmp_path):
    """A command in a real terminal of 60 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    program = "from supreme_dask.cli.output import window; print(window())"
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    subprocess.run([sys.executable, "-c", program], stdout=theirs, env=environment, check=True)
    os.close(theirs)
    assert os.read(ours, 100).split() == [b"60"]
    os.close(ours)
