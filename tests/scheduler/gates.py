"""Tasks that go on as long as a test wants: each test begins with a closed gate, and leaves it open."""

import threading

GO = threading.Event()
BEGUN = []
"""What has come to the gate, in order."""


def hold(number=None):
    """Wait at the gate; return what was given."""
    BEGUN.append(number)
    assert GO.wait(20)
    return number
