"""Every example runs, in its short form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path):
    pytest.importorskip("skimage", reason="the extra `demo` is not installed")
    subprocess.run([sys.executable, example, "--small"], check=True, cwd=tmp_path, env={**os.environ, "TERM": "dumb"})
    assert list(tmp_path.glob("out/*.png"))
