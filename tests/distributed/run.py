"""Run Dask's own tests with our plugin in every scheduler: `make test-distributed`.

Those in Dask's wheel always run. Those of distributed are in its repository only: DISTRIBUTED_SOURCE names a
checkout of the installed release; without it, one is cloned. `selection.toml` says what runs, what not, and why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
SELECTION = tomllib.loads((HERE / "selection.toml").read_text())
RELEASE = version("distributed")
CHECKOUT = HERE.parents[1] / "build" / f"distributed-{RELEASE}"
CLONE = ["git", "clone", "--quiet", "--depth=1", f"--branch={RELEASE}", "https://github.com/dask/distributed"]

PYTEST = ["-c", os.devnull, "-p", "no:cacheprovider", "-q", "-rfE", "--timeout=300", "--disable-warnings"]
# Distributed's own conftest would take all preloads away, ours with them; the rest of it is its fixtures.
OF_SOURCE = ["--noconftest", "-p", "distributed.utils_test", "-m", "not slow"]


def main(options: list[str]) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        failed = run(["--pyargs", *SELECTION["shipped"], *options], Path(scratch))
    source = find_source()
    if source is not None:
        deselected = [f"--deselect={test}" for test in SELECTION["deselected"]]
        failed |= run([*OF_SOURCE, *SELECTION["source"], *deselected, *options], source)
    return int(failed)


def find_source() -> Path | None:
    if "DISTRIBUTED_SOURCE" in os.environ:
        return Path(os.environ["DISTRIBUTED_SOURCE"]).resolve()
    if not CHECKOUT.exists() and subprocess.run([*CLONE, CHECKOUT], check=False).returncode:
        print(f"The tests of distributed's repository did not run. To get them: {' '.join(CLONE)} {CHECKOUT}")
        return None
    return CHECKOUT


def run(arguments: list[str], folder: Path) -> bool:
    """Run tests in a folder, and return whether any failed, or was not ours."""
    with tempfile.NamedTemporaryFile("r") as tally:
        preloads = json.dumps(["supreme_dask.preload", str(HERE / "tally.py")])
        ours = {"DASK_DISTRIBUTED__SCHEDULER__PRELOAD": preloads, "SUPREME_TALLY": tally.name}
        command = [sys.executable, "-m", "pytest", *PYTEST, f"--rootdir={folder}", *arguments]
        failed = subprocess.run(command, cwd=folder, env={**os.environ, **ours}, check=False).returncode != 0
        fates = tally.read().split()
    print(f"Our plugin placed the tasks of {fates.count('kept')} schedulers out of {len(fates)}, to the end.")
    return failed or "kept" not in fates or "lost" in fates


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
