"""Calls to a cluster: which member to ask, whom to ask next, who we are."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio

from supreme_dask.errors import (
    AmbiguousWriteError,
    StoreAccessError,
    StoreError,
    StoreFormatError,
    StoreUnavailableError,
)
from supreme_dask.stores.etcd.faults import HOW_TO_MAKE_ROOM, Fault, answer_error, classify
from supreme_dask.stores.etcd.messages import AUTHENTICATE, KEEP_ALIVE, MEMBERS, WATCH, Method

log = logging.getLogger(__name__)

_OPTIONS = (
    # etcd answers more frequent pings, or pings of an idle connection, with the end of the connection.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),  # what may be sent again is for us to say
    ("grpc.enable_http_proxy", 0),  # a store is inside the network
)
# Without it, a member that has lost the others says nothing at all.
_NEEDS_LEADER = ("hasleader", "true")
_LEAST_TIMEOUT = 1.0
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


class Member:
    """One endpoint with its channel."""

    def __init__(self, host: str, credentials: grpc.ChannelCredentials | None) -> None:
        self.host = host
        self._channel = (
            grpc.aio.secure_channel(host, credentials, options=_OPTIONS)
            if credentials
            else grpc.aio.insecure_channel(host, options=_OPTIONS)
        )
        self._calls: dict[str, Any] = {}

    def call(self, method: Method) -> Any:
        """Return the callable of a method, made once."""
        if method.path not in self._calls:
            streams = method in (WATCH, KEEP_ALIVE)
            kind = self._channel.stream_stream if streams else self._channel.unary_unary
            self._calls[method.path] = kind(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
        return self._calls[method.path]

    async def close(self) -> None:
        """Cut the connection, and with it every call and watch."""
        await self._channel.close(None)


class Members:
    """All endpoints of a cluster.

    Parameters
    ----------
    shown
        Address for messages.
    budget
        Seconds in which a call succeeds on some member, or fails.
    login
        User name and password; an empty name for none.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        shown: str,
        *,
        budget: float,
        credentials: grpc.ChannelCredentials | None = None,
        login: tuple[str, str] = ("", ""),
    ) -> None:
        self.shown = shown
        self._credentials = credentials
        self._members = [Member(host, credentials) for host in hosts]
        self._current = random.randrange(len(self._members))  # noqa: S311  spreads clients over members
        self._budget = budget
        self._login = login
        self._closed = False
        self._token = ""
        self._logging_in = asyncio.Lock()
        self._cluster = 0
        self._term = 0

    @property
    def timeout(self) -> float:
        """Seconds for one attempt, so that every member gets one within the budget."""
        return max(_LEAST_TIMEOUT, self._budget / len(self._members))

    async def close(self) -> None:
        """Cut all connections; calls under way end with errors of ours."""
        self._closed = True
        for member in self._members:
            await member.close()

    async def discover(self) -> None:
        """Add the members that the cluster names, so that it may replace those of the address."""
        answer = await self.call(MEMBERS, MEMBERS.request())
        known = {member.host for member in self._members}
        named = (urlsplit(url).netloc for member in answer.members for url in member.clientURLs)
        for host in sorted(set(named) - known):
            log.info("Found member %s of %s", host, self.shown)
            self._members.append(Member(host, self._credentials))

    def current(self) -> Member:
        """Return the member that worked last."""
        return self._members[self._current]

    def next_after(self, member: Member) -> Member:
        """Return another member to try after one has failed; all later calls go there too."""
        if self.current() is member:
            self._current = (self._current + 1) % len(self._members)
        return self.current()

    async def call(self, method: Method, request: Any, **about: int) -> Any:
        """Return the answer of some member.

        `about` may give the `revision` and the `lease` of the request, for the error that may come.

        Raises
        ------
        AmbiguousWriteError
            If the method cannot be repeated and a failure leaves it in doubt.
        StoreUnavailableError, StoreAccessError
            If nobody answers within the budget, or nobody accepts us.
        """
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + self._budget, _FIRST_PAUSE
        while True:
            try:
                return await self._attempt(method, request, about)
            except _RepeatError as failure:
                if loop.time() + pause > end:
                    raise failure.given_up from failure
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _attempt(self, method: Method, request: Any, about: dict[str, int]) -> Any:
        """Ask one member; raise `_RepeatError` if another may do better."""
        member = self.current()
        token = await self.token() if method is not AUTHENTICATE else ""
        try:
            return await self._send(member, method, request, token)
        except grpc.aio.AioRpcError as error:
            fault, code, details = self.fault_of(error)
            reason = f"{member.host}: {details}"
            if fault is Fault.FULL and not method.repeatable:
                raise AmbiguousWriteError(self.shown, f"{reason}: {HOW_TO_MAKE_ROOM}") from error
            if fault in (Fault.FULL, Fault.FINAL):
                raise answer_error(self.shown, code, details, **about) from error
            self._recover(fault, member, token)
            if fault is Fault.DOUBT and not method.repeatable:
                raise AmbiguousWriteError(self.shown, reason) from error
            raise _RepeatError(self._given_up(fault, reason)) from error
        except asyncio.CancelledError:
            self._raise_if_closed(method)
            raise

    def _raise_if_closed(self, method: Method) -> None:
        """Tell the end of a call by `close`, which gRPC shows as cancellation, from that of its task."""
        task = asyncio.current_task()
        if not self._closed or (task is not None and task.cancelling()):
            return
        if method.repeatable:
            raise StoreUnavailableError(self.shown, "it was closed meanwhile") from None
        raise AmbiguousWriteError(self.shown, "the store was closed meanwhile") from None

    @staticmethod
    def fault_of(error: grpc.aio.AioRpcError) -> tuple[Fault, str, str]:
        """Return what a failure means, with its code and details."""
        code, details = error.code().name, error.details() or ""
        return classify(code, details), code, details

    async def token(self) -> str:
        """Return what proves who we are, after logging in if need be; empty without a login."""
        if self._login[0] and not self._token:
            async with self._logging_in:
                if not self._token:
                    user, password = self._login
                    request = AUTHENTICATE.request(name=user, password=password)
                    self._token = (await self.call(AUTHENTICATE, request)).token
        return self._token

    def forget(self, token: str) -> None:
        """Log in again before the next call, unless somebody has done so since."""
        if self._token == token:
            self._token = ""

    async def _send(self, member: Member, method: Method, request: Any, token: str) -> Any:
        term, metadata = self._term, metadata_with(token)
        if method is KEEP_ALIVE:
            answer = await _first_answer(member, request, metadata, self.timeout)
            if answer is None:
                self.next_after(member)
                raise _RepeatError(StoreUnavailableError(self.shown, f"{member.host} ends our calls"))
        else:
            answer = await member.call(method)(request, timeout=self.timeout, metadata=metadata)
        self.check_header(answer.header, member, term, write=not method.repeatable)
        return answer

    def check_header(self, header: Any, member: Member, term: int, *, write: bool = False) -> None:
        """Refuse an answer of another cluster, or of a time before `term`, which we have seen pass.

        A write that was answered is applied, however old the member's idea of the time is.
        """
        if self._cluster and header.cluster_id != self._cluster:
            raise StoreFormatError(
                self.shown, f"{member.host} belongs to cluster {header.cluster_id:x}, not {self._cluster:x}"
            )
        if header.raft_term < term and not write:
            self.next_after(member)
            raise _RepeatError(StoreUnavailableError(self.shown, f"{member.host} is behind the cluster"))
        self._cluster = header.cluster_id
        self._term = max(self._term, header.raft_term)

    @property
    def term(self) -> int:
        """Highest term of the cluster that an answer has shown."""
        return self._term

    def _recover(self, fault: Fault, member: Member, token: str) -> None:
        if fault is Fault.TOKEN:
            self.forget(token)
        else:
            log.debug("Leave %s: %s", member.host, fault.name)
            self.next_after(member)

    def _given_up(self, fault: Fault, reason: str) -> StoreError:
        if fault in (Fault.REFUSED, Fault.TOKEN):
            return StoreAccessError(self.shown, reason)
        return StoreUnavailableError(self.shown, reason)


class _RepeatError(Exception):
    """An attempt failed without effect; `given_up` is what to raise when time is over."""

    def __init__(self, given_up: StoreError) -> None:
        super().__init__(str(given_up))
        self.given_up = given_up


def metadata_with(token: str) -> tuple[tuple[str, str], ...]:
    """Return what goes along with each request: that we need a leader, and who we are."""
    return (_NEEDS_LEADER, ("token", token)) if token else (_NEEDS_LEADER,)


async def _first_answer(member: Member, request: Any, metadata: Any, within: float) -> Any:
    """Return the first answer on a stream of its own, or None if that ends without one."""
    stream = member.call(KEEP_ALIVE)(timeout=within, metadata=metadata)
    try:
        await stream.write(request)
        answer = await stream.read()
    except asyncio.InvalidStateError:  # it ended before we wrote
        return None
    finally:
        stream.cancel()
    return None if answer is grpc.aio.EOF else answer
