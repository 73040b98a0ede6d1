import sys

import pytest

from supreme_dask import extensions
from supreme_dask.errors import UnknownExtensionError


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution with an engine, and one that cannot be imported."""
    (tmp_path / "abacus.py").write_text("from supreme_dask import engine\ncount = engine(len, cpu=1)\n")
    metadata = tmp_path / "abacus-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[supreme_dask.engines]\nabacus = abacus:count\nbroken = abacus_that_is_gone:count\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("abacus", None)


@pytest.mark.usefixtures("installed")
def test_an_installed_engine_is_found_by_its_name():
    assert extensions.find("engines", "abacus")([1, 2]) == 2
    assert extensions.installed("engines") == ["abacus", "broken"]


@pytest.mark.usefixtures("installed")
def test_an_unknown_name_says_what_is_there():
    with pytest.raises(UnknownExtensionError, match="no 'spark' among the installed engines: abacus, broken"):
        extensions.find("engines", "spark")


@pytest.mark.usefixtures("installed")
def test_a_broken_extension_is_not_an_absent_one():
    with pytest.raises(ModuleNotFoundError, match="abacus_that_is_gone"):
        extensions.find("engines", "broken")


def test_nothing_installed_says_so():
    with pytest.raises(UnknownExtensionError, match="there are none"):
        extensions.find("windmills", "dutch")
