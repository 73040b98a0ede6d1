"""One watch of a prefix that outlives its members."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from itertools import groupby
from typing import Any

import grpc.aio

from supreme_dask.errors import CompactedError, StoreUnavailableError
from supreme_dask.stores.etcd.faults import Fault, answer_error, classify
from supreme_dask.stores.etcd.members import Member, Members, metadata_with
from supreme_dask.stores.etcd.messages import WATCH, messages
from supreme_dask.stores.values import Revision

log = logging.getLogger(__name__)

_IDLE = 2.0  # s of silence after which a member must prove that it lives
_PROOF = 1.5  # s for that
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
_REQUESTED = -1  # watch id of an answer to our own question for progress


async def watch(
    members: Members, key: bytes, end: bytes, after: Revision
) -> AsyncGenerator[tuple[Revision, list[Any]]]:
    """Deliver (revision, events) for each revision after the given one, on whichever member lives."""
    member, pause, denied = members.current(), _FIRST_PAUSE, False
    token = ""
    while True:
        try:
            token = await members.token()
            async with aclosing(_responses(members, member, token, _create(key, end, after))) as responses:
                async for revision, events in responses:
                    pause, denied = _FIRST_PAUSE, False
                    # A member that was cut off, or a watch that began in the future, may tell old news.
                    if revision > after:
                        if events:
                            yield revision, events
                        after = revision
        except (grpc.aio.AioRpcError, _EndedError, TimeoutError) as error:
            denied = _denied_once(members, token, error, denied)
            log.debug("Watch on %s ended after revision %d: %s", member.host, after, error)
        except (asyncio.InvalidStateError, StoreUnavailableError) as error:
            # Written to just after the end, or nobody there to log in at.
            log.debug("Watch on %s ended after revision %d: %s", member.host, after, error)
        member = members.next_after(member)
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  spreads those who come back
        pause = min(2 * pause, _LONGEST_PAUSE)


class _EndedError(Exception):
    """The stream, or the watch on it, was ended by the server."""


def _create(key: bytes, end: bytes, after: Revision) -> Any:
    return messages.WatchCreateRequest(
        key=key, range_end=end, start_revision=after + 1, progress_notify=True, fragment=True
    )


async def _responses(
    members: Members, member: Member, token: str, create: Any
) -> AsyncGenerator[tuple[Revision, list[Any]]]:
    """Watch on one member: whole revisions, and without events those up to which nothing happened."""
    term = members.term
    stream = member.call(WATCH)(metadata=metadata_with(token))
    parts: list[Any] = []
    try:
        async with asyncio.timeout(_IDLE):
            await stream.write(messages.WatchRequest(create_request=create))
        async for response in _living(stream):
            members.check_header(response.header, member, term, write=True)
            _refuse_end(response, create.start_revision - 1)
            parts.extend(response.events)
            if response.fragment:
                continue
            for revision, events in _by_revision(parts):
                yield revision, events
            if response.created:
                yield create.start_revision - 1, []
            elif not parts and response.watch_id != _REQUESTED:
                yield response.header.revision, []
            parts = []
    finally:
        stream.cancel()


async def _living(stream: Any) -> AsyncIterator[Any]:
    """Read a stream; after some silence ask for a sign of life, and raise TimeoutError without one.

    gRPC's own keep-alive finds a hung server too late. Whatever comes is the sign.
    """
    while True:
        reading = asyncio.ensure_future(stream.read())
        try:
            if not (await asyncio.wait({reading}, timeout=_IDLE))[0]:
                progress = messages.WatchRequest(progress_request=messages.WatchProgressRequest())
                async with asyncio.timeout(_PROOF):
                    await stream.write(progress)
                    await asyncio.wait({reading})
            response = await reading
        finally:
            reading.cancel()
        if response is grpc.aio.EOF:
            raise _EndedError("the stream ended")
        yield response


def _by_revision(events: list[Any]) -> Iterator[tuple[Revision, list[Any]]]:
    for revision, batch in groupby(events, lambda event: event.kv.mod_revision):
        yield revision, list(batch)


def _refuse_end(response: Any, after: Revision) -> None:
    """Raise if the server has ended the watch, which it does with the connection still open."""
    if response.compact_revision:
        raise CompactedError(after, response.compact_revision)
    if response.canceled:
        raise _EndedError(response.cancel_reason)


def _denied_once(members: Members, token: str, error: Exception, before: bool) -> bool:
    """Raise what no other member would answer differently; return whether a token was denied.

    A watch with an expired token is told that it has no permission, so that the first time means little.
    """
    if isinstance(error, grpc.aio.AioRpcError):
        fault, code, details = members.fault_of(error)
    else:
        details = str(error)
        code = "PERMISSION_DENIED" if "permission denied" in details else "UNAVAILABLE"
        fault = classify(code, details)
    denied = code == "PERMISSION_DENIED" and bool(token)
    if fault is Fault.TOKEN or (denied and not before):
        members.forget(token)
    elif fault is Fault.FINAL:
        raise answer_error(members.shown, code, details) from error
    return denied
