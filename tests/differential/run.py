"""Play random programs on plain Dask and on ours, and say where they differ.

python tests/differential/run.py 4711                  one seed, whole
python tests/differential/run.py 0 2000                two thousand seeds from 0
python tests/differential/run.py 4711 --shrink         the least program that still differs
python tests/differential/run.py 0 100 --processes     on real worker processes
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.differential.grids import PRELOADS
from tests.differential.judging import PATIENCE, Judge, kinds, shrink
from tests.differential.programs import generate
from tests.differential.sharing import report


def main() -> None:
    options = _options()
    seeds = range(options.seed, options.seed + options.count)
    how = {"processes": options.processes, "patience": options.patience, "other": options.other}
    begin = time.perf_counter()
    made = report(seeds, options.most, jobs=options.jobs, **how)
    seconds = time.perf_counter() - begin
    for each in made.found if options.shrink else ():
        print("less:", asyncio.run(shrink(Judge(**how), each.program)), end="\n\n")
    if options.count == 1 and not made.found:
        print(generate(options.seed))
    print(f"{made.played} programs, {made.played / seconds:.1f}/s; unstable on plain Dask: {made.unstable}")
    print(f"{len(made.once)} differ once in three times: {made.once}")
    print(f"{len(made.found)} differ: {sorted(each.program.seed for each in made.found)}")
    print("in those that differ:", dict(kinds(made.found).most_common()))
    sys.exit(bool(made.found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--processes", action="store_true", help="each worker in a process of its own")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds until a program hangs")
    parser.add_argument("--most", type=int, default=1000, help="stop after so many differences")
    parser.add_argument("--shrink", action="store_true", help="leave out steps without which it differs too")
    parser.add_argument("--other", choices=PRELOADS, default="ours", help="stock: is the judge fair?")
    parser.add_argument("--jobs", type=int, help="processes that play at once; by default one for each core")
    return parser.parse_args()


if __name__ == "__main__":
    main()
