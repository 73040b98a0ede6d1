"""Does work that annotates nothing run at least as well as on plain Dask?

    python tests/benchmarks/ordinary.py --runs 3 --json ordinary.json --picture ordinary.png

Plain Dask and ours run each workload in turns, each time in a process and on a cluster of its own: two workers of
four threads and 1 GiB, under nannies, on 127.0.0.1. In each cluster the work is done twice: the second time, ours
has measured it. Figures are ratios of one round, ours ÷ stock, their median and the worst:

``first``, ``second``
    Seconds from the call until its result is there.
``memory``
    The largest sum of what the worker processes, and those that they start, have resident, in either run; sampled
    every 40 ms.
``fetched``, ``spilled``
    Bytes that workers sent to each other, and wrote to their disks, in both runs; of workers that are still there.
``lost``
    Workers that went, in both runs, of all rounds: ours / stock.

Each side counts as at least `FLOORS`, of seconds and of bytes: 0 ÷ 0 is 1, and some kilobytes make no ratio.

It ends with 1 if anything failed, hung, lost a worker that plain Dask kept, or came to another result. With
``--quick`` the sizes are small, a contender does all in one cluster, and that is all that is worth reading.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ordinary_collections  # noqa: F401, what is imported is registered
import ordinary_dataframes  # noqa: F401
import ordinary_tasks  # noqa: F401
from clusters import write_json
from ordinary_process import CONTENDERS, Run, run_all
from ordinary_registry import WORKLOADS, equal
from ordinary_report import draw, report

QUICK_PATIENCE, PATIENCE = 30.0, 180.0


def main() -> None:
    options = _options()
    if options.list:
        for each in WORKLOADS.values():
            print(f"{each.name:22} {each.about}")
        return
    names = _installed(options.only or list(WORKLOADS))
    runs = list(_rounds(names, options))
    report(runs, names)
    faults = list(_faults(runs, names))
    print(*faults, sep="\n")
    write_json(options.json, {"runs": [run.figures() for run in runs], "faults": faults})
    if options.picture:
        draw(runs, names, options.picture)
    sys.exit(bool(faults))


def _rounds(names: Sequence[str], options: argparse.Namespace) -> Iterator[Run]:
    """Run every workload in turns; another contender begins each time."""
    batches = [list(names)] if options.quick else [[name] for name in names]
    patience = options.patience or (QUICK_PATIENCE if options.quick else PATIENCE)
    for number in range(options.runs):
        for place, batch in enumerate(batches):
            for contender in CONTENDERS[:: 1 if (number + place) % 2 == 0 else -1]:
                for run in run_all(contender, batch, quick=options.quick, patience=patience, number=number):
                    print(f"{run.workload:22} {number + 1} {contender:5} {run.line()}", file=sys.stderr, flush=True)
                    yield run


def _faults(runs: Sequence[Run], names: Sequence[str]) -> Iterator[str]:
    """Say what noise does not explain."""
    for name in names:
        mine = [run for run in runs if run.workload == name]
        for run in mine:
            if not run.ended:
                yield f"{name}: {run.contender}, {run.turn} run: {run.error or 'hang'}"
        results = [run.result for run in mine if run.ended]
        if not all(equal(results[0], other) for other in results[1:]):
            yield f"{name}: results differ: {[(run.contender, run.turn, run.result) for run in mine]}"
        lost = {contender: sum(run.lost for run in mine if run.contender == contender) for contender in CONTENDERS}
        if lost["ours"] > lost["stock"]:
            yield f"{name}: {lost['ours']} workers lost by ours, {lost['stock']} by stock"


def _installed(names: Sequence[str]) -> list[str]:
    """Return the workloads that can run; say of the others how."""
    for name in names:
        if missing := WORKLOADS[name].missing():
            print(f"{name}: skipped; python -m pip install {' '.join(missing).replace('sklearn', 'scikit-learn')}")
    return [name for name in names if not WORKLOADS[name].missing()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="rounds, in each of which every contender runs once")
    parser.add_argument("--only", type=_names, help="NAME[,NAME…]")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--quick", action="store_true", help="small sizes, for CI: results, not figures")
    parser.add_argument("--patience", type=float, help="seconds until a run counts as a hang")
    parser.add_argument("--json", type=Path, help="where to write all runs")
    parser.add_argument("--picture", type=Path, help="where to draw the ratios")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names: list[Any] = text.split(",")
    if unknown := [name for name in names if name not in WORKLOADS]:
        raise argparse.ArgumentTypeError(f"no workload {', '.join(unknown)}; --list says what there is")
    return names


if __name__ == "__main__":
    main()
