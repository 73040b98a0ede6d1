import pytest

from tests.stores.matrix import Matrix

MATRIX = pytest.StashKey[Matrix]()


@pytest.fixture
def matrix(request):
    """The table to which every test of a fault adds its row."""
    return request.config.stash.setdefault(MATRIX, Matrix())


def pytest_terminal_summary(terminalreporter, config):
    if (matrix := config.stash.get(MATRIX, None)) is not None:
        terminalreporter.section("faults of etcd")
        for line in matrix.lines():
            terminalreporter.line(line)
