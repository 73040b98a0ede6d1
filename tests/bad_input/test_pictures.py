"""A picture that cannot be drawn costs one line of error, and never the figures."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

FILES = {
    "trace.csv": "type,duration\nload,60\n",
    "small.yaml": "small: {cpu: 2, memory: 2 GiB}\n",
    "none.yaml": "small: {cpu: 2, memory: 2 GiB, count: 0}\n",
}
# What a process does before the command, the picture, and the line of error that follows the figures.
WITHOUT = "import sys; sys.modules['matplotlib'] = None"
NO_EXTRA = "A picture needs more packages: pip install 'supreme-dask[demo]'"
NOT_WRITTEN = "no picture was written"
TABLE = [
    (WITHOUT, "run.svg", NO_EXTRA),
    (WITHOUT, "run.song", NO_EXTRA),
    (WITHOUT, "nowhere/run.svg", NO_EXTRA),
    ("", "run.song", f"run.song: {NOT_WRITTEN}: pictures are written as"),
    ("", "run", f"run: {NOT_WRITTEN}: pictures are written as"),
    ("", "", f".: {NOT_WRITTEN}: pictures are written as"),
    ("", ".svg", f".svg: {NOT_WRITTEN}: pictures are written as"),
    ("", "nowhere/run.svg", f"nowhere/run.svg: {NOT_WRITTEN}: No such file or directory"),
    ("", "trace.csv/run.svg", f"trace.csv/run.svg: {NOT_WRITTEN}: Not a directory"),
    ("", "dir.svg", f"dir.svg: {NOT_WRITTEN}: Is a directory"),
    ("", "closed/run.svg", f"closed/run.svg: {NOT_WRITTEN}: Permission denied"),
    ("", "full.svg", f"full.svg: {NOT_WRITTEN}: No space left on device"),
    ("", f"{'x' * 300}.svg", f"{NOT_WRITTEN}: File name too long"),
    # A format that needs a program which is not there.
    ("", "run.pgf", f"run.pgf: {NOT_WRITTEN}: 'xelatex' not found"),
]


def command(place, prepared, picture, groups="small.yaml"):
    program = f"{prepared}\nfrom supreme_dask.cli import main\nmain()"
    options = ("--trace", "trace.csv", "--groups", groups, "--fixed", "--picture", picture)
    return subprocess.run(
        [sys.executable, "-c", program, "simulate", *options], capture_output=True, text=True, cwd=place
    )


@pytest.fixture
def here(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "dir.svg").mkdir()
    (tmp_path / "closed").mkdir(mode=0o500)
    (tmp_path / "full.svg").symlink_to("/dev/full")
    return tmp_path


@pytest.mark.parametrize(("prepared", "picture", "said"), TABLE, ids=[f"{row[1][:20]}-{row[2][:9]}" for row in TABLE])
def test_the_figures_are_printed_and_then_one_line_of_error(prepared, picture, said, here):
    if prepared != WITHOUT and importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed: pip install 'supreme-dask[demo]'")
    if "Permission" in said and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    if picture.endswith(".pgf") and shutil.which("xelatex"):
        pytest.skip("xelatex is installed")
    run = command(here, prepared, picture)
    assert run.returncode == 1
    assert "1 of 1 ended" in run.stdout
    assert "makespan" in run.stdout
    (line,) = run.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line


def test_a_failed_picture_does_not_hide_that_tasks_never_end(here):
    run = command(here, WITHOUT, "run.svg", groups="none.yaml")
    assert run.returncode == 1
    assert "0 of 1 ended" in run.stdout
    assert run.stderr == f"Error: {NO_EXTRA}; 1 of 1 tasks never end\n"
