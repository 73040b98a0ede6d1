"""A real Chromium, driven by its DevTools protocol."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from time import monotonic

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

SECONDS = 60.0  # on a loaded machine
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "no Chromium is installed: apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--remote-debugging-address=127.0.0.1", "--remote-debugging-port=0", "--hide-scrollbars"),
)


@asynccontextmanager
async def browser():
    """Start a browser, and end it with all its processes."""
    with tempfile.TemporaryDirectory(prefix="supreme-chromium-", ignore_cleanup_errors=True) as place:
        arguments = [PROGRAM, *FLAGS, f"--user-data-dir={place}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = await asyncio.create_subprocess_exec(*arguments, **quiet)
        try:
            yield Browser(await _port(Path(place) / "DevToolsActivePort", process), process)
        finally:
            process.kill()
            await process.wait()


async def _port(file, process):
    end = monotonic() + SECONDS
    while not (file.exists() and file.read_text().strip()):
        assert process.returncode is None, f"Chromium ended with {process.returncode}"
        assert monotonic() < end, "Chromium does not say where it listens"
        await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])


class Browser:
    """Where tabs are opened."""

    def __init__(self, port, process):
        self.port = port
        self.process = process

    @asynccontextmanager
    async def tab(self, url, width=1280, height=800):
        """Open a page, and close it."""
        made = json.loads(await self._ask("new?about:blank"))
        socket = await websocket_connect(made["webSocketDebuggerUrl"], max_message_size=100_000_000)
        tab = Tab(socket)
        try:
            for domain in ("Runtime", "Log", "Page"):
                await tab.call(f"{domain}.enable")
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            await tab.call("Emulation.setDeviceMetricsOverride", **size)
            await tab.call("Page.navigate", url=url)
            yield tab
        finally:
            socket.close()
            await self._ask(f"close/{made['id']}")

    async def _ask(self, what):
        url = f"http://127.0.0.1:{self.port}/json/{what}"
        return (await AsyncHTTPClient().fetch(url, method="PUT", body="", request_timeout=SECONDS)).body


class Tab:
    """One open page.

    Attributes
    ----------
    errors : list
        What its console said of errors.
    """

    def __init__(self, socket):
        self._socket = socket
        self._numbers = count(1)
        self.errors = []

    async def call(self, method, **parameters):
        """Return what the browser answers."""
        number = next(self._numbers)
        await self._socket.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = await asyncio.wait_for(self._socket.read_message(), SECONDS)
            assert told is not None, "the tab is gone"
            message = json.loads(told)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message):
        told = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(told["exceptionDetails"])
        if message.get("method") == "Runtime.consoleAPICalled" and told["type"] == "error":
            self.errors.append(told["args"])
        if message.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(told["entry"])

    async def value(self, expression):
        """Return the value of an expression of JavaScript."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression):
        """Wait until an expression is true; return its value."""
        end = monotonic() + SECONDS
        while not (
            value := await self.value(f"(() => {{ try {{ return {expression} }} catch {{ return null }} }})()")
        ):
            assert monotonic() < end, f"in vain: {expression}; {self.errors}"
            await asyncio.sleep(0.05)
        return value

    async def picture(self):
        """Return what is to be seen, as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])
