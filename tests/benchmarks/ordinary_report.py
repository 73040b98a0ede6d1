"""What `ordinary.py` prints and draws of its runs."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from ordinary_process import Run
from rich.console import Console
from rich.table import Table

MiB = 1 << 20
FLOORS = {"first": 0.05, "second": 0.05, "memory": 64 * MiB, "fetched": 32 * MiB, "spilled": 32 * MiB}
"""Figures, and what each side counts as at least; a worker that rests has 150 MB, and sends and spills nothing."""


def report(runs: Sequence[Run], names: Sequence[str]) -> None:
    """Print the ratios ours ÷ stock: median and worst of all rounds."""
    table = Table(
        "workload", "stock s", *(f"{figure}" for figure in FLOORS), "lost", title="ours ÷ stock: median, worst"
    )
    for name in names:
        mine = [run for run in runs if run.workload == name]
        cells = [_cell(ratios(mine, figure)) for figure in FLOORS]
        table.add_row(name, _seconds(mine), *cells, f"{_lost(mine, 'ours')}/{_lost(mine, 'stock')}")
    for label, middle in (("median of all", statistics.median), ("worst of all", max)):
        every = [[statistics.median(found) for found in _known(runs, names, figure)] for figure in FLOORS]
        cells = [f"{middle(found):.2f}" if found else "" for found in every]
        table.add_row(label, "", *cells, f"{_lost(runs, 'ours')}/{_lost(runs, 'stock')}", style="bold")
    Console(width=130).print(table)


def ratios(runs: Sequence[Run], figure: str) -> list[float]:
    """Return ours ÷ stock of one figure of one workload, one ratio for each round that both have ended."""
    sides = [
        _by_round([run for run in runs if run.contender == contender], figure) for contender in ("ours", "stock")
    ]
    both = sides[0].keys() & sides[1].keys()
    return [sides[0][each] / sides[1][each] for each in sorted(both)]


def draw(runs: Sequence[Run], names: Sequence[str], path: Path) -> None:
    """Draw the median ratios as points, a row for each workload; skip with a word where there is no matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        print("no picture; python -m pip install matplotlib")
        return
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.25 * len(names)))
    for label, marker in zip(FLOORS, "os^dx", strict=True):
        points = [
            (statistics.median(found), row)
            for row, name in enumerate(names)
            if (found := ratios([run for run in runs if run.workload == name], label))
        ]
        axes.plot([x for x, _ in points], [y for _, y in points], marker, label=label, alpha=0.7)
    axes.axvline(1, color="grey", linewidth=1)
    axes.set(xscale="log", xlabel="ours ÷ stock (left is better)", yticks=range(len(names)), yticklabels=names)
    axes.invert_yaxis()
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _by_round(runs: Sequence[Run], figure: str) -> dict[int, float]:
    """Return one figure of one contender by round; only where all that it is made of has ended."""
    turns = ("first", "second") if figure not in ("first", "second") else (figure,)
    found: dict[int, list[float]] = {}
    for run in runs:
        if run.turn in turns and run.ended:
            found.setdefault(run.round, []).append(getattr(run, "wall" if figure in turns else figure))
    whole = {number: each for number, each in found.items() if len(each) == len(turns)}
    joined = max if figure == "memory" else sum
    return {number: max(joined(each), FLOORS[figure]) for number, each in whole.items()}


def _known(runs: Sequence[Run], names: Sequence[str], figure: str) -> Iterator[list[float]]:
    for name in names:
        if found := ratios([run for run in runs if run.workload == name], figure):
            yield found


def _cell(found: Sequence[float]) -> str:
    if not found:
        return "[red]none[/red]"
    middle, worst = statistics.median(found), max(found)
    text = f"{middle:.2f}" if len(found) == 1 else f"{middle:.2f} {worst:.2f}"
    return f"[red]{text}[/red]" if worst > 1.1 else text


def _seconds(runs: Sequence[Run]) -> str:
    walls = [run.wall for run in runs if run.contender == "stock" and run.turn == "first" and run.wall is not None]
    return f"{statistics.median(walls):.1f}" if walls else "none"


def _lost(runs: Sequence[Run], contender: str) -> int:
    return sum(run.lost for run in runs if run.contender == contender)
