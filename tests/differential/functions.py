"""What the tasks of random programs do: next to nothing, of which every result can be foretold."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from distributed import Event, Lock, Queue, Variable, get_client, rejoin, secede

PRIME = 1_000_003
PATIENCE = 120  # seconds that a task waits for another; longer than any program may take


class ExpectedError(Exception):
    """What a task fails with that is meant to fail."""


class OtherExpectedError(ExpectedError):
    """The same, of another type."""


class Counter:
    """An actor."""

    def __init__(self):
        self.count = 0

    def add(self, number):
        self.count += number
        return self.count


def mix(name, place, *inputs):
    """Return a number that is another one if an input, their order or the name is."""
    total = zlib.crc32(name.encode())
    for each in inputs:
        total = (total * 31 + each) % PRIME
    return total


def fail(name, place, *inputs):
    raise (ExpectedError if len(name) % 2 else OtherExpectedError)(name)


def flaky(name, place, *inputs):
    """Fail the first two times."""
    if mark(place, name) < 3:
        raise ExpectedError(name)
    return mix(name, place, *inputs)


def marked(name, place, *inputs):
    """Leave a mark of the order in which tasks began."""
    mark(place, "order", f"{name}\n")
    return mix(name, place, *inputs)


def parent(name, place, *inputs):
    """Wait for children in the thread."""
    return _children(name, place, inputs)


def seceding(name, place, *inputs):
    """Give the thread away while it waits for children."""
    secede()
    return _children(name, place, inputs)


def rejoining(name, place, *inputs):
    """Give the thread away while it waits for children, and ask for one again."""
    secede()
    total = _children(name, place, inputs)
    rejoin()
    return total


def _children(name, place, inputs):
    client = get_client()
    count = 1 + zlib.crc32(name.encode()) % 3
    futures = [client.submit(mix, f"{name}{n}", place, *inputs, pure=False) for n in range(count)]
    return mix(name, place, *client.gather(futures))


def wait_event(name, place, event, *inputs):
    if not Event(f"{place}/{event}").wait(PATIENCE):
        raise TimeoutError(event)
    return mix(name, place, *inputs)


def set_event(name, place, event, *inputs):
    Event(f"{place}/{event}").set()
    return mix(name, place, *inputs)


def get_variable(name, place, variable, *inputs):
    return mix(name, place, *inputs, Variable(f"{place}/{variable}").get(PATIENCE))


def set_variable(name, place, variable, *inputs):
    Variable(f"{place}/{variable}").set(7)
    return mix(name, place, *inputs)


def take(name, place, queue, *inputs):
    return mix(name, place, *inputs, Queue(f"{place}/{queue}").get(PATIENCE))


def put(name, place, queue, *inputs):
    Queue(f"{place}/{queue}").put(11)
    return mix(name, place, *inputs)


def locked(name, place, lock, *inputs):
    with Lock(f"{place}/{lock}"):
        return mix(name, place, *inputs)


def call(name, place, actor):
    """Have an actor add something; others may have done so before, so what it says is not the result."""
    actor.add(1).result()
    return mix(name, place)


def mark(place, name, text="."):
    """Append to a file, and return how long it is now."""
    file = os.open(Path(place, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, text.encode())  # short and at once: whole, whoever else writes
    os.close(file)
    return Path(place, name).stat().st_size
