"""etcd as the contract wants it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from functools import cache
from pathlib import Path
from typing import Any

import grpc

from supreme_dask.errors import (
    CompactedError,
    LeaseLostError,
    StoreAddressError,
    StoreError,
    StoreUnavailableError,
)
from supreme_dask.stores.address import Address
from supreme_dask.stores.base import Store
from supreme_dask.stores.etcd.joining import JoinedPuts
from supreme_dask.stores.etcd.members import Members
from supreme_dask.stores.etcd.messages import (
    COMPACT,
    DELETE,
    GRANT,
    KEEP_ALIVE,
    PUT,
    RANGE,
    REVOKE,
    STATUS,
    TXN,
    Method,
    messages,
)
from supreme_dask.stores.etcd.watch import watch
from supreme_dask.stores.operations import (
    Absent,
    Compare,
    CreateRevisionIs,
    Delete,
    DeletePrefix,
    Exists,
    ModRevisionIs,
    Operation,
    Put,
    ValueIs,
)
from supreme_dask.stores.unless import unless
from supreme_dask.stores.values import (
    Changes,
    Committed,
    Event,
    KeyValue,
    Lease,
    Listing,
    Outcome,
    Refused,
    Revision,
)

log = logging.getLogger(__name__)

_OPTIONS = ("timeout", "tls", "ca", "cert", "key", "password-file", "discover")
_DISCOVER = 60.0  # s between looks for new members
_PAGE = 250  # keys; with the largest values, some 60 MiB
_EQUAL, _GREATER = 0, 1
_CREATE, _MOD, _VALUE = 1, 2, 3
_DELETED = 1
_SOUND_SERVERS = ((3, 4, 31), (3, 5, 13))


class EtcdStore(Store):
    """The keys under a prefix of an etcd cluster.

    Options of the address:

    ``timeout``
        Seconds in which a call succeeds on some member, or fails; 6. One attempt takes at most its
        share, and at least a second.
    ``tls=true``, ``ca``, ``cert``, ``key``
        Use TLS, with the system's authorities or the one in the file `ca`; files of our certificate and key.
    ``password-file``
        File with the password of the user that the address names.
    ``discover=true``
        Use the members that the cluster itself names, too, so that all of the address may be replaced in
        time. Leave it out behind a proxy, where those cannot be reached.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._prefix = address.path.strip("/").encode()
        if self._prefix:
            self._prefix = b"/" + self._prefix + b"/"
        self._members: Members | None = None
        self._puts = JoinedPuts(self._put_together)
        self._closing = asyncio.Event()
        self._discovery: asyncio.Task[None] | None = None

    @classmethod
    def from_address(cls, address: Address) -> EtcdStore:
        """Return the store of the cluster and the prefix that ``address`` names."""
        address.check_options(_OPTIONS)
        if not address.hosts:
            raise address.problem("no member: etcd://host1:2379,host2:2379/prefix")
        for host in address.hosts:
            _check_host(address, host)
        address.number("timeout", 6.0, least=1.0)
        for switch in ("tls", "discover"):
            if address.options.get(switch, "true") != "true":
                raise address.problem(f"{switch} is either true or left out")
        return cls(address)

    @property
    def address(self) -> str:
        """URL of the store, without its password."""
        return self._address.shown

    @property
    def member(self) -> str:
        """The member that calls go to, as host:port, until it fails."""
        return self._opened().current().host

    async def open(self) -> None:
        """Connect to some member, see that we may read, and warn of servers with known faults."""
        self._closing = asyncio.Event()
        password, credentials = await asyncio.to_thread(_secrets, self._address)
        self._members = Members(
            self._address.hosts,
            self.address,
            budget=self._address.number("timeout", 6.0, least=1.0),
            credentials=credentials,
            login=(self._address.user, password),
        )
        try:
            await self._call(RANGE, messages.RangeRequest(**self._range(""), count_only=True))
            _warn_of(self.address, (await self._call(STATUS, messages.StatusRequest())).version)
            if "discover" in self._address.options:
                await self._members.discover()
                self._discovery = asyncio.create_task(self._discover(self._members))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Cut all connections; watches end."""
        self._closing.set()
        if self._discovery is not None:
            self._discovery.cancel()
        members, self._members = self._members, None
        if members is not None:
            await members.close()

    async def _discover(self, members: Members) -> None:
        while True:
            await asyncio.sleep(_DISCOVER)
            try:
                await members.discover()
            except StoreError as error:
                log.info("Members are not looked for: %s", error)

    # ------------------------------------------------------------------------------------- reading
    async def _get(self, key: str, at: Revision | None) -> KeyValue | None:
        request = messages.RangeRequest(key=self._full(key), revision=at or 0)
        answer = await self._call(RANGE, request, revision=at or 0)
        return self._key_value(answer.kvs[0]) if answer.kvs else None

    async def _list(self, prefix: str, at: Revision | None) -> Listing:
        while True:
            try:
                return await self._pages(prefix, at or 0)
            except CompactedError:
                if at is not None:
                    raise
                # Somebody compacted between two pages: the first page's revision is gone, take a new one.

    async def _pages(self, prefix: str, revision: Revision) -> Listing:
        """List page by page, all at one revision: one long answer would be refused or held up."""
        found: list[Any] = []
        bounds = self._range(prefix)
        while True:
            request = messages.RangeRequest(**bounds, limit=_PAGE, revision=revision)
            answer = await self._call(RANGE, request, revision=revision)
            revision = revision or answer.header.revision
            found.extend(answer.kvs)
            if not answer.more:
                return Listing(revision, tuple(map(self._key_value, found)))
            bounds["key"] = found[-1].key + b"\0"

    # ------------------------------------------------------------------------------------- writing
    async def _commit(self, compares: tuple[Compare, ...], operations: tuple[Operation, ...]) -> Outcome:
        if not compares and len(operations) == 1:
            return Committed(await self._commit_one(operations[0]))
        request = messages.TxnRequest(
            compare=map(self._compare, compares),
            success=map(self._operation, operations),
            failure=map(self._read_back, _unique(compare.key for compare in compares)),
        )
        answer = await self._call(TXN, request, lease=_lease(operations))
        if answer.succeeded:
            return Committed(answer.header.revision)
        held = (self._key_value(kv) for response in answer.responses for kv in response.response_range.kvs)
        return Refused(answer.header.revision, {kv.key: kv for kv in held})

    async def _commit_one(self, operation: Operation) -> Revision:
        if isinstance(operation, Put):
            return await self._puts.put(operation)
        # Not as a transaction: only plain deletes work on every full server.
        answer = await self._call(*self._plain(operation))
        return int(answer.header.revision)

    async def _put_together(self, puts: Sequence[Put]) -> Revision:
        if len(puts) == 1:
            method, request = self._plain(puts[0])
        else:
            method, request = TXN, messages.TxnRequest(success=map(self._operation, puts))
        answer = await self._call(method, request, lease=_lease(puts))
        return int(answer.header.revision)

    async def compact(self, revision: Revision) -> None:
        """Forget the history before a revision, of the whole cluster."""
        try:
            await self._call(COMPACT, messages.CompactionRequest(revision=revision), revision=revision)
        except CompactedError:
            log.debug("Revision %d was compacted already", revision)

    # -------------------------------------------------------------------------------------- leases
    async def _grant(self, ttl: int) -> Lease:
        answer = await self._call(GRANT, messages.LeaseGrantRequest(TTL=ttl))
        return Lease(answer.ID, answer.TTL)

    async def keep_alive(self, lease: int) -> Lease:
        """Renew a lease once."""
        answer = await self._call(KEEP_ALIVE, messages.LeaseKeepAliveRequest(ID=lease), lease=lease)
        if answer.TTL <= 0:
            raise LeaseLostError(lease)
        return Lease(lease, answer.TTL)

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys."""
        try:
            await self._call(REVOKE, messages.LeaseRevokeRequest(ID=lease), lease=lease)
        except LeaseLostError:
            log.debug("Lease %x had ended already", lease)

    # --------------------------------------------------------------------------------------- watch
    async def _watch(self, prefix: str, after: Revision) -> AsyncGenerator[Changes]:
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            async with aclosing(watch(self._opened(), **self._watched(prefix), after=after)) as found:
                while (batch := await unless(closing, anext(found))) is not None:
                    revision, events = batch
                    yield Changes(revision, tuple(map(self._event, events)))
        finally:
            closing.cancel()

    # ------------------------------------------------------------------------------------- messages
    async def _call(self, method: Any, request: Any, **about: int) -> Any:
        return await self._opened().call(method, request, **about)

    def _opened(self) -> Members:
        if self._members is None:
            raise StoreUnavailableError(self.address, "it is not open")
        return self._members

    def _full(self, key: str) -> bytes:
        return self._prefix + key.encode()

    def _range(self, prefix: str) -> dict[str, bytes]:
        """Return key and range_end of a prefix; two zero bytes mean all keys."""
        first = self._full(prefix)
        # No UTF-8 ends in 0xFF, so that adding one never carries.
        return {
            "key": first or b"\0",
            "range_end": first[:-1] + bytes([first[-1] + 1]) if first else b"\0",
        }

    def _watched(self, prefix: str) -> dict[str, bytes]:
        bounds = self._range(prefix)
        return {"key": bounds["key"], "end": bounds["range_end"]}

    def _compare(self, compare: Compare) -> Any:
        key = self._full(compare.key)
        match compare:
            case ModRevisionIs(_, revision):
                return messages.Compare(result=_EQUAL, target=_MOD, key=key, mod_revision=revision)
            case CreateRevisionIs(_, revision):
                return messages.Compare(result=_EQUAL, target=_CREATE, key=key, create_revision=revision)
            case ValueIs(_, value):
                return messages.Compare(result=_EQUAL, target=_VALUE, key=key, value=value)
            case Exists():
                return messages.Compare(result=_GREATER, target=_CREATE, key=key, create_revision=0)
            case Absent():
                return messages.Compare(result=_EQUAL, target=_CREATE, key=key, create_revision=0)

    def _operation(self, operation: Operation) -> Any:
        method, request = self._plain(operation)
        if method is PUT:
            return messages.RequestOp(request_put=request)
        return messages.RequestOp(request_delete_range=request)

    def _plain(self, operation: Operation) -> tuple[Method, Any]:
        """Return the method that does one operation alone, and its request."""
        match operation:
            case Put(key, value, lease):
                return PUT, messages.PutRequest(key=self._full(key), value=value, lease=lease)
            case Delete(key):
                return DELETE, messages.DeleteRangeRequest(key=self._full(key))
            case DeletePrefix(prefix):
                return DELETE, messages.DeleteRangeRequest(**self._range(prefix))

    def _read_back(self, key: str) -> Any:
        return messages.RequestOp(request_range=messages.RangeRequest(key=self._full(key)))

    def _key_value(self, kv: Any) -> KeyValue:
        key = kv.key[len(self._prefix) :].decode(errors="backslashreplace")
        return KeyValue(key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)

    def _event(self, event: Any) -> Event:
        kv = self._key_value(event.kv)
        return Event(kv.key, None if event.type == _DELETED else kv)


def _check_host(address: Address, host: str) -> None:
    name, _, port = host.rpartition(":")
    if not name or not port.isdecimal():
        raise address.problem(f"member {host!r} is not host:port")


def _secrets(address: Address) -> tuple[str, grpc.ChannelCredentials | None]:
    """Read password and certificates from the files that an address names."""
    options = address.options
    try:
        password = Path(options["password-file"]).read_text().strip() if "password-file" in options else ""
        files = [Path(options[name]).read_bytes() if name in options else None for name in ("ca", "key", "cert")]
    except OSError as error:
        raise StoreAddressError(address.shown, f"cannot read {error.filename}: {error.strerror}") from error
    secure = "tls" in options or any(files)
    return password or address.password, grpc.ssl_channel_credentials(*files) if secure else None


@cache  # a process opens a store many times
def _warn_of(shown: str, version: str) -> None:
    numbers = tuple(int(part) for part in version.split("-")[0].split("."))
    if numbers < _SOUND_SERVERS[0] or (3, 5) <= numbers < _SOUND_SERVERS[1]:
        log.warning("etcd %s at %s can lose data or watch events; use 3.4.31, 3.5.13 or newer", version, shown)


def _lease(operations: Iterable[Operation]) -> int:
    return next((op.lease for op in operations if isinstance(op, Put) and op.lease), 0)


def _unique(keys: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(keys)
