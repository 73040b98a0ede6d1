"""What is asked of workers and nannies, against real sockets and processes."""

import socket

import psutil
from distributed import Nanny

from supreme_dask.scheduler.asking import end_process, greet, inquire
from tests.scheduler.clusters import supreme, until, worker


def silent():
    """Return a socket that takes connections and says nothing, as a process does that is frozen."""
    return socket.create_server(("127.0.0.1", 0))


def address(listening):
    return f"tcp://127.0.0.1:{listening.getsockname()[1]}"


@supreme(worker())
async def test_a_worker_answers_accepts_or_refuses(client, scheduler, a):
    with silent() as listening:
        there = address(listening)
        assert await greet(there, 0.3) == "accepts"
    assert await greet(there, 0.3) == "refuses"
    assert await greet(a.address, 10) == "answers"


@supreme(worker())
async def test_without_a_nanny_there_is_none_and_a_frozen_one_says_nothing(client, scheduler, a):
    assert await inquire(None, a.address, 10) == "none"
    with silent() as listening:
        assert await inquire(address(listening), a.address, 0.3) == "nothing"
        await end_process(address(listening), 0.3)


@supreme(worker(), Worker=Nanny)
async def test_a_nanny_tells_what_its_process_does(client, scheduler, nanny):
    served = nanny.worker_address
    assert await inquire(nanny.address, served, 10) == "runs"
    process = psutil.Process(nanny.pid)
    process.suspend()
    await until(lambda: process.status() == psutil.STATUS_STOPPED)
    assert await inquire(nanny.address, served, 10) == "stopped"
    process.resume()
    assert await inquire(nanny.address, "tcp://127.0.0.1:1", 10) == "gone"
