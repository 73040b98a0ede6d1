"""Stands before the API server and answers with faults: refusals, resets, cut watches, lost answers."""

import asyncio
import json
import random
import ssl
from collections import Counter
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

_KEPT = ("authorization", "content-type", "accept")


class Faults:
    """A proxy of an API server.

    Attributes
    ----------
    part : float
        Of the requests, how many are answered with a fault.
    seen : Counter
        Faults by kind, and ``ok``.
    """

    def __init__(self, server, certificate, seed):
        self.part = 0.0
        self.seen = Counter()
        self._server = server
        self._certificate = certificate
        self._chance = random.Random(seed)

    @asynccontextmanager
    async def serve(self):
        """Give the address that it serves on."""
        context = ssl.create_default_context(cafile=self._certificate)
        async with ClientSession(
            connector=TCPConnector(ssl=context, limit=0), auto_decompress=False
        ) as self._session:
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    def _fault(self, request):
        watches = "watch" in request.query
        if self._chance.random() >= self.part:
            return "cut" if watches and self.part else "ok"
        writes = ["lost", "409"] if request.method == "POST" else ["lost"] if request.method == "DELETE" else []
        return self._chance.choice(["401", "429", "500", "503", "reset", *writes, *["410"] * (2 * watches)])

    async def _handle(self, request):
        fault = self._fault(request)
        self.seen[fault] += 1
        if fault == "reset":
            request.transport.abort()
            return web.Response()
        if fault == "410":
            expired = {"kind": "Status", "message": "too old resource version", "code": 410}
            return web.Response(text=json.dumps({"type": "ERROR", "object": expired}) + "\n")
        if fault.isdecimal():
            refusal = {"kind": "Status", "message": f"injected {fault}", "code": int(fault)}
            after = {"Retry-After": "1"} if fault == "429" else {}
            return web.json_response(refusal, status=int(fault), headers=after)
        return await self._pass(request, fault)

    async def _pass(self, request, fault):
        async with self._session.request(
            request.method,
            self._server + request.path_qs,
            data=await request.read(),
            headers={name: value for name, value in request.headers.items() if name.lower() in _KEPT},
            timeout=ClientTimeout(total=None),
        ) as answer:
            if fault == "lost":  # done, and not said
                await answer.read()
                request.transport.abort()
                return web.Response()
            out = web.StreamResponse(status=answer.status, headers={"content-type": answer.content_type})
            await out.prepare(request)
            try:
                async with asyncio.timeout(self._chance.uniform(0.5, 3.0) if fault == "cut" else None):
                    while part := await answer.content.readany():
                        await out.write(part)
            except (TimeoutError, OSError):
                if request.transport is not None:  # the client has not gone already
                    request.transport.abort()
        return out
