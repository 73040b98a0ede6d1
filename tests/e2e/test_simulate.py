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
    assert "trace.csv: no trace of jobs: its columns are of no known format" in simulate(fails=True)


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not installed: pip install 'supreme-dask[demo]'")
def test_it_draws_a_picture(simulate, tmp_path):
    simulate("--picture", "run.svg")
    assert "<svg" in (tmp_path / "run.svg").read_text()


@pytest.mark.skipif(HAS_MATPLOTLIB, reason="matplotlib is installed")
def test_a_picture_without_matplotlib_is_refused_with_what_to_install(simulate):
    assert "pip install 'supreme-dask[demo]'" in simulate("--picture", "run.svg", fails=True)
