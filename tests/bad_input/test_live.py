"""Mistakes that only a process or a connection shows."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import closing

import dask
import pytest
from click.testing import CliRunner
from distributed import Scheduler

from supreme_dask.cli import main
from supreme_dask.errors import ConfigError


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("patience", "soon"),
        ("look-ahead.tasks", 0),
        ("memory.safe-fraction", 800),
        ("memory.wall", "high"),
        ("network", "fast"),
        ("demands", {"load": 5}),
        ("tick", "often"),
        ("silence", -1),
        ("rebalance", "much"),
        ("scaling.interval", "x"),
        ("scaling.launch-timeout", []),
    ],
)
def test_a_scheduler_does_not_start_with_a_setting_that_cannot_be_used(setting, value):
    async def start():
        scheduler = Scheduler(host="127.0.0.1", port=0, dashboard=False, preload=["supreme_dask.preload"])
        try:
            await scheduler
        finally:
            await scheduler.close()

    with dask.config.set({f"supreme.{setting}": value}), pytest.raises(RuntimeError) as caught:
        asyncio.run(start())
    assert isinstance(caught.value.__cause__, ConfigError)
    assert f"supreme.{setting}" in str(caught.value.__cause__)


@pytest.fixture
def taken():
    """Listen on a port of this machine."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server


def test_a_port_that_is_taken_is_said(taken):
    port = str(taken.getsockname()[1])
    group = "a:cpu=1,memory=300MiB"
    result = CliRunner().invoke(main, ["up", "--port", port, "--dashboard-address", "127.0.0.1:0", "--group", group])
    assert result.exit_code == 1
    assert f"Error: no scheduler at 127.0.0.1:{port}: " in result.output
    assert "Address already in use" in result.output


def test_an_address_that_is_no_scheduler_is_said(taken):
    def answer():
        connection, _ = taken.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 20)

    threading.Thread(target=answer, daemon=True).start()
    address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    result = CliRunner().invoke(main, ["drain", "w", "--scheduler", address])
    assert result.exit_code == 1
    assert result.output == f"Error: {address} does not answer; is it a scheduler?\n"
