import pytest

from tests.scheduler.gates import BEGUN, GO


@pytest.fixture(autouse=True)
def gate():
    BEGUN.clear()
    GO.clear()
    yield
    GO.set()
