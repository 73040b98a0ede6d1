"""What is wrong in a command or in a file of its is answered with one line: `commands.txt` has the line of each."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from supreme_dask.cli import main

FILES: dict[str, bytes] = {
    "latin.yaml": "straße: {kind: demand}".encode("latin-1"),
    "empty.yaml": b"",
    "list.yaml": b"[1,2]",
    "bad.yaml": b"a: [1",
    "nul.yaml": b"a: \0",
    "date.yaml": b"a: 2026-02-30",
    "deep.yaml": b"[" * 3000,
    "alias.yaml": b"a: &a {b: *a}",
    "tag.yaml": b"a: !!python/object:os.x {}",
    "num.yaml": b"1: {cpu: 1}",
    "null.yaml": b"null: {cpu: 1}",
    "clock.yaml": b"n: {kind: schedule, from: 8:30, to: '18:00', minimum: {a: 1}}",
    "zone.yaml": b"n: {kind: schedule, from: '08:30', to: '18:00', time-zone: Mars/Base, minimum: {a: 1}}",
    "zone2.yaml": b"n: {kind: schedule, from: '08:30', to: '18:00', time-zone: ../../etc/passwd, minimum: {a: 1}}",
    "high.yaml": b"high_cpu: {threshold: 800, action: add_node}",
    "high2.yaml": b"high_cpu: {threshold: -8, action: add_node}",
    "g.yaml": b"small: {cpu: 1, memory: 1 GiB}",
    "gname.yaml": b"a/b: {cpu: 1}",
    "gcount.yaml": b"a: {count: 1.5}",
    "gdup.yaml": b"a: {cpu: 1}\na: {cpu: 2}",
    "t.csv": b"type,duration\nload,1\n",
    "t1.csv": b"type,duration\nload,1,2\n",
    "t3.csv": b"type,duration\nload,nan\n",
    "t4.csv": b"type,duration\nload,-1\n",
    "t5.csv": b"x,y\n1,2\n",
    "t6.csv": b"",
    "t7.csv": b"type,duration\nl\xff,1\n",
    "t8.csv": b"type,duration\nload,long\n",
    "t10.csv": b"type,duration,arrival\nload,1e400,2\n",
    "t11.csv": b"type,duration,demand:memory\nload,1,much\n",
    "t12.csv": b"type,duration,after\nload,1,7\n",
    "p1.json": b"{",
    "p2.json": b"{}",
    "p3.json": b"[1]",
    "p5.json": b"[{}]",
    "p6.json": b"[" * 100_000,
    "notdb": b"not a database at all" * 100,
    "file": b"",
}
LINES = Path(__file__).with_name("commands.txt").read_text().splitlines()
TABLE = [(command, said.strip()) for command, said in zip(LINES[::2], LINES[1::2], strict=True)]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    place = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    (place / "dir").mkdir()
    return place


@pytest.mark.parametrize(("command", "said"), TABLE, ids=[command for command, _ in TABLE])
def test_a_mistake_is_answered_with_one_line(command, said, here, monkeypatch):
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "state"))
    result = CliRunner().invoke(main, shlex.split(command.replace("{here}", str(here))), input="")
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code
    errors = [line for line in result.output.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert len(errors) == 1
    assert said.replace("{here}", str(here)) in errors[0]


def test_the_table_is_long():
    assert len({command for command, _ in TABLE}) >= 150
