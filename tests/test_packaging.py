"""What is released: it says what it needs, and a release builds and tests itself."""

import ast
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_RELEASED = {".ci"}

# The distribution that brings a module, where its name is another.
BROUGHT_BY = {
    "yaml": "pyyaml",
    "grpc": "grpcio",
    "google": "protobuf",
    "dask": "distributed",  # distributed requires exactly one release of dask, and tornado
    "tornado": "distributed",
    "bokeh": "dask",  # of its extra [diagnostics], which is ours for the dashboard
}
# Only extensions' own tests import it, which are run by pytest.
TESTING = {"pytest"}
# Data, which zoneinfo finds by itself.
NOT_IMPORTED = {"tzdata"}
# A few of each kind: decisions, documents of the repository, commands, data beside the tests.
OWN_TESTS = ["tests/test_config.py", "tests/e2e/test_documents.py", "tests/bad_input", "tests/test_public_names.py"]


def names(requirements):
    return {Requirement(line).name for line in requirements}


def imported():
    """Return the top-level modules of others that the package imports, anywhere in its code."""
    found = set()
    for file in (ROOT / "supreme_dask").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module)
    tops = {name.partition(".")[0] for name in found}
    return tops - set(sys.stdlib_module_names) - {"supreme_dask"}


def test_it_requires_what_it_imports_and_nothing_else():
    needed = names(PROJECT["dependencies"])
    extras = names(
        line
        for extra in ("etcd", "demo", "kubernetes", "dashboard")
        for line in PROJECT["optional-dependencies"][extra]
    )
    found = {BROUGHT_BY.get(module, module) for module in imported()} - TESTING
    assert found - needed - extras == set()
    assert needed - found == NOT_IMPORTED


def test_the_extra_for_the_dashboard_is_dasks_own():
    (line,) = PROJECT["optional-dependencies"]["dashboard"]
    wanted = Requirement(line)
    assert (wanted.name, wanted.extras) == ("dask", {"diagnostics"})
    assert any("bokeh" in one and 'extra == "diagnostics"' in one for one in requires("dask"))


def build(kind, source, directory):
    """Build a release without a network, and return its file."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: pip install --group test")
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", directory]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (built,) = directory.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    (source,) = place.iterdir()
    return source


@pytest.fixture(scope="module")
def wheel(unpacked, tmp_path_factory):
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


def test_the_sdist_has_every_file_of_the_repository(sdist):
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    wanted = {name for name in listed.split("\0") if name and name.split("/")[0] not in NOT_RELEASED}
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in wanted - there if (ROOT / name).exists()} == set()
    assert {name for name in there if name.split("/")[0] in NOT_RELEASED} == set()


def test_the_wheel_has_the_package_whole_and_only_it(wheel, unpacked):
    package = unpacked / "supreme_dask"
    files = [file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert there == {str(file.relative_to(unpacked)) for file in files}
    assert {"supreme_dask/py.typed", "supreme_dask/supreme.yaml"} <= there
    assert len(licences) == 1


def test_the_wheel_runs_where_no_source_is(wheel, tmp_path):
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    program = (
        "import supreme_dask; from supreme_dask.cli import main; print(supreme_dask.__file__); main(['--version'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    place, version = run.stdout.splitlines()
    assert place == str(tmp_path / "site" / "supreme_dask" / "__init__.py")
    assert PROJECT["version"] in version


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sdist_passes_its_own_tests(unpacked):
    check = (
        "import sys, pathlib, pytest; code = pytest.main(sys.argv[1:]); import supreme_dask; "
        "place = pathlib.Path(supreme_dask.__file__).parents[1]; sys.exit(code or place != pathlib.Path.cwd())"
    )
    command = [sys.executable, "-c", check, "-q", "-p", "no:cacheprovider", *OWN_TESTS]
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    run = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert " passed" in run.stdout
