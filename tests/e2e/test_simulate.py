"""The command line of simulations."""

import importlib.util
import json

import pytest
from click.testing import CliRunner

from supreme_dask.cli import main

TRACE = "type,duration,arrival,demand:memory\n" + "".join(f"load,60,{number % 5},500 MiB\n" for number in range(40))
GROUPS = "small: {cpu: 2, memory: 2 GiB, count: 0, maximum: 8, startup: 20, cost: 0.5}\n"
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


@pytest.fixture
def simulate(tmp_path, monkeypatch):
    """Run `dask supreme simulate` on a small trace; the result is what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "trace.csv").write_text(TRACE)
    (tmp_path / "groups.yaml").write_text(GROUPS)

    def run(*arguments, fails=False):
        command = ("simulate", "--trace", "trace.csv", "--groups", "groups.yaml", *arguments)
        result = CliRunner().invoke(main, command)
        assert (result.exit_code != 0) == fails, result.output
        assert "Traceback" not in result.output
        return result.output

    return run


def test_it_tells_cost_makespan_waiting_allocation_and_scale_events(simulate):
    output = simulate()
    for figure in ("40 of 40 ended", "makespan", "cost", "waiting", "allocated", "cores computing", "small", "0 → "):
        assert figure in output


def test_equal_seeds_print_equal_figures_and_json_has_all_of_them(simulate, tmp_path):
    arguments = ("--failures", "20", "--seed", "3")
    assert simulate(*arguments, "--json", "one.json") == simulate(*arguments, "--json", "other.json")
    figures = json.loads((tmp_path / "one.json").read_text())
    assert figures == json.loads((tmp_path / "other.json").read_text())
    assert figures["finished"] == 40
    assert figures["moments"][0]["workers"] == [0]


def test_policies_can_be_compared(simulate, tmp_path):
    (tmp_path / "capped.yaml").write_text("demand: {kind: demand}\nbudget: {kind: budget, per-hour: 1}\n")
    for name in ("free", "capped"):
        simulate("--json", f"{name}.json", *(("--policy", "capped.yaml") if name == "capped" else ()))
    free, capped = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("free", "capped"))
    assert max(event["after"] for event in capped["scale_events"]) == 2
    assert capped["makespan"] > free["makespan"]


def test_what_cannot_be_read_is_refused_with_the_file_and_the_reason(simulate, tmp_path):
    (tmp_path / "wrong.yaml").write_text("high_cpu: {threshold: 80}\n")
    assert "wrong.yaml" in simulate("--policy", "wrong.yaml", fails=True)
    (tmp_path / "trace.csv").write_text("name,seconds\na,1\n")
    assert "trace.csv: no trace of jobs: it needs the columns" in simulate(fails=True)


def test_a_policy_that_cannot_be_used_is_told_of_as_one_to_simulate(simulate, tmp_path):
    (tmp_path / "wrong.yaml").write_text("high_cpu: {threshold: 80}\nnight: {kind: schedule, maximum: {smal: 1}}\n")
    said = simulate("--policy", "wrong.yaml", fails=True).splitlines()
    assert said[0] == "Error: wrong.yaml cannot be simulated:"
    assert said[2] == "  $.night.maximum: unknown group 'smal'; known are small"


def test_work_that_never_ends_fails_the_command_after_all_has_been_told(simulate, tmp_path):
    with (tmp_path / "trace.csv").open("a") as trace:
        trace.write("big,60,1,50 GiB\n")
    scaled = simulate("--json", "figures.json", fails=True)
    assert "Unmet: tasks 'big' can run on no worker of any group: they need memory 50.00 GiB" in scaled
    assert scaled.endswith("Error: 1 of 41 tasks never end\n")
    assert json.loads((tmp_path / "figures.json").read_text())["finished"] == 40
    fixed = simulate("--fixed", fails=True)
    assert "Unmet: tasks 'big' wait for a worker that they may run on: none of those is there" in fixed


def test_where_there_was_no_backlog_that_is_said(simulate, tmp_path):
    assert "of the whole run: no backlog" in simulate()
    (tmp_path / "trace.csv").write_text(TRACE + "load,60,0,500 MiB\n" * 100)
    assert "while 64 tasks waited or more: " in simulate()


def test_it_begins_within_the_limits_of_the_groups(simulate, tmp_path):
    (tmp_path / "groups.yaml").write_text("small: {cpu: 2, memory: 2 GiB, count: 9, maximum: 3}\n")
    simulate("--json", "scaled.json")
    simulate("--json", "fixed.json", "--fixed")
    begun = [json.loads((tmp_path / f"{name}.json").read_text())["moments"][0] for name in ("scaled", "fixed")]
    assert [moment["workers"] for moment in begun] == [[3], [9]]


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not installed: pip install 'supreme-dask[demo]'")
def test_it_draws_a_picture(simulate, tmp_path):
    simulate("--picture", "run.svg")
    assert "<svg" in (tmp_path / "run.svg").read_text()


def test_files_that_cannot_be_written_are_refused_before_the_run(simulate):
    assert "there is no directory 'nowhere'" in simulate("--json", "nowhere/run.json", fails=True)
