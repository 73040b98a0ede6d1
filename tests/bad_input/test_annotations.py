"""What is wrong in an annotation fails its task with one line; all other tasks run."""

import asyncio
import math
import warnings

import dask
import pytest
from distributed import Client, Scheduler, Worker

UNIT, AMOUNT, NAME = "unknown unit; expected something like", "cannot be read; expected something like", "is a string"
MORE, NEGATIVE = "more than any machine has; is the unit right?", "an amount is zero or more"
NO_NUMBER, NO_DICT = "expected a number or a string such as", "'resources' annotation must be a dict"

REFUSED = [
    ({"memroy": "1 GiB"}, "memroy='1 GiB': only cpu, memory, network have units (did you mean 'memory'?)"),
    ({"GPU": "2 cards"}, "GPU='2 cards': only cpu, memory, network have units"),
    ({"disk": "250 MB/s"}, "disk='250 MB/s': only cpu, memory, network have units"),
    ({"memory": "4 parsecs"}, f"memory='4 parsecs': {UNIT}"),
    ({"memory": "9999 EiB"}, f"memory='9999 EiB': {UNIT}"),
    ({"memory": "2 cores"}, f"memory='2 cores': {UNIT}"),
    ({"cpu": "1 GiB"}, f"cpu='1 GiB': {UNIT}"),
    ({"memory": ""}, f"memory='': {AMOUNT}"),
    ({"memory": "GiB"}, f"memory='GiB': {AMOUNT}"),
    ({"cpu": "two"}, f"cpu='two': {AMOUNT}"),
    ({"cpu": "½"}, f"cpu='½': {AMOUNT}"),
    ({"GPU": "some"}, f"GPU='some': {AMOUNT}"),
    ({"network": "fast"}, f"network='fast': {AMOUNT}"),
    ({"cpu": -1}, f"cpu=-1: {NEGATIVE}"),
    ({"cpu": math.nan}, f"cpu=nan: {NEGATIVE}"),
    ({"cpu": math.inf}, f"cpu=inf: {MORE}"),
    ({"cpu": "1e400"}, f"cpu='1e400': {MORE}"),
    ({"cpu": 10**30}, MORE),
    ({"cpu": True}, f"cpu=True: {NO_NUMBER}"),
    ({"cpu": 1 + 2j}, f"cpu=(1+2j): {NO_NUMBER}"),
    ({"cpu": b"1"}, f"cpu=b'1': {NO_NUMBER}"),
    ({"memory": None}, f"memory=None: {NO_NUMBER}"),
    ({"memory": {}}, f"memory={{}}: {NO_NUMBER}"),
    ({"memory": [1]}, f"memory=[1]: {NO_NUMBER}"),
    ({"": 1}, NAME),
    ({1: 2}, NAME),
    ({("a",): 1}, NAME),
    ({"x" * 5000: -1}, NEGATIVE),
    ({"cpu\n": -1}, r"'cpu\n'=-1"),
    ("cpu", NO_DICT),
    (["cpu"], NO_DICT),
    (5, NO_DICT),
]
# Of one function, each sort of trouble is told once: no two of these are of the same sort.
WARNED = [
    ({"GPU": 0.5}, "a worker that declares 'GPU': none does"),
    ({"cpus": 1}, "did you mean 'cpu'?"),
    ({"x" * 5000: 1}, "a worker that declares 'xxxxxx"),
    ({"gpu\n": 1}, r"a worker that declares 'gpu\n'"),
    ({"memory": "1 TiB"}, "wait for a larger worker: they need memory 1.00 TiB"),
]


def told(annotations):
    """Return the error or the warning of a task with each annotation, of one cluster that goes on computing."""

    async def outcome(client, annotation, number):
        warned = asyncio.get_running_loop().create_future()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_: warned.done() or warned.set_result(str(message))
            try:
                with dask.annotate(resources=annotation):
                    future = client.compute(dask.delayed(abs)(-number, dask_key_name=f"task-{number}"))
                ended = asyncio.ensure_future(future.exception())
                done, _ = await asyncio.wait((ended, warned), return_when=asyncio.FIRST_COMPLETED)
                return str(done.pop().result())
            except TypeError as error:  # Dask's own, before it is sent
                return str(error)

    async def story():
        address = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        async with (
            Scheduler(**address, port=0, preload=["supreme_dask.preload"]) as scheduler,
            Worker(scheduler.address, **address, nthreads=2, memory_limit="1 GiB"),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            said = [await outcome(client, one, number) for number, one in enumerate(annotations)]
            assert await client.submit(sum, [1, 2]) == 3
            return said

    return asyncio.run(asyncio.wait_for(story(), 100))


@pytest.mark.parametrize("rows", [REFUSED, WARNED], ids=["refused", "warned"])
def test_a_mistake_in_an_annotation_is_told_in_one_short_line(rows):
    for (annotation, expected), said in zip(rows, told([annotation for annotation, _ in rows]), strict=True):
        assert expected in said, annotation
        assert len(said.splitlines()) == 1
        assert len(said) < 250
