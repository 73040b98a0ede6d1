"""A connection that can be cut and healed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_HOST = "127.0.0.1"


class Proxy:
    """A TCP proxy on loopback before a server. Cut, it forwards and answers nothing, as a firewall.

    Parameters
    ----------
    target
        Where the server listens, as ``host:port``.

    Attributes
    ----------
    host : str
        Where clients connect, as ``host:port``.
    """

    def __init__(self, target: str) -> None:
        self.host = ""
        self._target = target
        self._server: asyncio.Server | None = None
        self._requests, self._answers = asyncio.Event(), asyncio.Event()
        self.heal()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, _HOST, 0)
        self.host = f"{_HOST}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, *, answers_only: bool = False) -> None:
        """Forward nothing more, or requests with ``answers_only``; connections stay open."""
        self._answers.clear()
        if not answers_only:
            self._requests.clear()

    def heal(self) -> None:
        """Forward again, first what has come since."""
        self._requests.set()
        self._answers.set()

    def reset(self) -> None:
        """End all connections with an error."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._requests.wait()
        host, port = self._target.rsplit(":", 1)
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        ways = (reader, far_writer, self._requests), (far_reader, writer, self._answers)
        for source, sink, flows in ways:
            task = asyncio.create_task(self._pump(source, sink, flows))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flows: asyncio.Event) -> None:
        with suppress(OSError):
            while received := await source.read(65536):
                await flows.wait()
                sink.write(received)
                await sink.drain()
        sink.transport.abort()
        self._writers.discard(sink)
