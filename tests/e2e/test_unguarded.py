"""A program without `if __name__ == "__main__":` is told so in one sentence, by its first worker."""

import subprocess
import sys

import pytest

PROGRAM = """
from distributed import Client
from supreme_dask import SupremeCluster, WorkerGroup

groups = [WorkerGroup("small", memory="512 MiB", count={count})]
with SupremeCluster(groups{policy}, dashboard_address=None) as cluster:
    Client(cluster).submit(sum, [1, 2]).result()
"""


@pytest.mark.parametrize(("count", "policy"), [(1, ""), (0, ', policy={"work": {"kind": "demand"}}')])
def test_a_program_whose_worker_imports_it_says_what_to_write(tmp_path, count, policy):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(count=count, policy=policy))
    process = subprocess.Popen([sys.executable, program], stderr=subprocess.PIPE, text=True)
    try:
        said = next(line for line in process.stderr if "A worker imports this program" in line)
    finally:
        process.kill()
        process.wait()
    assert 'put what starts it below `if __name__ == "__main__":`' in said
