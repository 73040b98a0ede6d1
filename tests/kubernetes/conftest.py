"""Everything here runs inside a Kubernetes of its own, which `make test-kubernetes` starts."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.kubernetes import admin

collect_ignore = [] if find_spec("aiohttp") else ["faults.py", "test_faults.py"]


def pytest_collection_modifyitems(items):
    if "KUBE_LAB" in os.environ:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a Kubernetes of its own: make test-kubernetes"))


@pytest.fixture
def credentials(tmp_path, monkeypatch):
    """Return a function that has what this process asks go elsewhere, or be asked by another one, from now on."""

    def change(*, server=None, token=None):
        known = admin.config()
        if server is not None:
            known["clusters"][0]["cluster"] = {"server": server}
        if token is not None:
            known["users"][0]["user"] = {"token": token}
        (tmp_path / "kubeconfig").write_text(json.dumps(known))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    return change
