"""What README and documentation show can be typed: programs run, commands exist, and a how-to runs in its order."""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from supreme_dask.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("how-to/*.md")), ROOT / "docs" / "index.md"]
NOT_HERE = ("dask scheduler", "dask supreme store", "etcd", "pip install", "sharded:", "make ")
"""What begins servers that do not end, needs several machines, or installs."""


def blocks(document, *languages):
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        if language in languages:
            yield text


def named(found):
    return [pytest.param(text, id=f"{document.stem}-{place}") for document, place, text in found]


PYTHON = [(one, place, text) for one in DOCUMENTS for place, text in enumerate(blocks(one, "python"))]
PROGRAMS = [found for found in PYTHON if "__main__" in found[2]]
COMMANDS = {
    line.removeprefix("$ ").partition(" #")[0].strip()
    for document in DOCUMENTS
    for text in blocks(document, "bash", "console")
    for line in text.replace("\\\n", " ").splitlines()
    if line.removeprefix("$ ").startswith("dask supreme ")
}


@pytest.mark.slow
@pytest.mark.parametrize("program", named(PROGRAMS))
def test_a_whole_program_runs(program, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(program)
    subprocess.run([sys.executable, file], check=True, cwd=tmp_path, timeout=100)


@pytest.mark.parametrize("part", named(found for found in PYTHON if found not in PROGRAMS))
def test_what_a_part_of_a_program_imports_is_there(part):
    imports = [one for one in ast.parse(part).body if isinstance(one, (ast.Import, ast.ImportFrom))]
    exec(compile(ast.Module(imports, []), "part", "exec"), {})  # noqa: S102  our own documentation


@pytest.mark.parametrize("line", sorted(COMMANDS))
def test_a_command_has_the_options_that_are_shown(line):
    command, arguments = main, shlex.split(line)[2:]
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.commands[name]
    try:
        command.make_context(name, arguments)
    except click.BadParameter as error:
        assert re.search("does not exist|No such file", error.format_message())  # noqa: PT017  files are not here


@pytest.mark.slow
def test_the_commands_on_versions_run_in_the_order_in_which_they_are_shown(tmp_path):
    shown = list(blocks(ROOT / "docs" / "how-to" / "store.md", "bash"))
    lines = "\n".join(text for text in shown if not any(word in text for word in NOT_HERE))
    for told in ("policy rollback 1", "rollback --to good", "profiles import", "history --last"):
        assert told in lines
    lines = re.sub("dask supreme rollback --to 2026.*", "", lines)  # before its store began
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", "-euc", lines], check=True, cwd=tmp_path, env=environment, input="y\n" * 9, text=True)
