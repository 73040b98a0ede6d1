"""Many submits, one message: the only file that touches the inside of distributed's client.

What the scheduler spends on a ``Client.submit`` is mostly spent on its message: a hop to another thread, an event,
a pass through the queues. So the calls that are submitted until the client's event loop comes to send the first of
them travel with that one. Nothing ever waits to be joined by others.

What must hold, and how it does:

* A call is pickled when it is submitted: its arguments may change afterwards.
* Messages leave in the order in which they were asked for. Any other message closes the batch that is open; only the
  release of keys that are not in it may be overtaken.
* Calls share a message, not a fate: one that depends on futures, and may so be cancelled with them, travels alone.
* Only calls with equal options share a message, because options are the message's.

In all other cases, and with a distributed that we do not know, it is `Client.submit` that sends.
"""

from __future__ import annotations

import logging
import pickle
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

import dask.config
from dask.base import get_annotations
from dask.typing import Key
from distributed import Client, Future, Scheduler
from distributed.protocol.pickle import dumps
from distributed.protocol.serialize import Serialized, ToPickle, serialize, to_serialize
from distributed.sizeof import safe_sizeof
from distributed.threadpoolexecutor import thread_state

from supreme_dask import compatibility
from supreme_dask.errors import IncompatibleDaskError

log = logging.getLogger(__name__)

_LARGE = 1 << 16  # bytes; copying more than that costs more than a message of its own
_FULL = 1 << 22  # bytes in one message
_HAIR = 2.0**-40  # of priority, between one call and the next: submits have the same, and go in order

_SENDING = {
    "_send_to_scheduler": ("self", "msg"),
    "_send_to_scheduler_safe": ("self", "msg"),
    "_graph_to_futures": (
        "self", "expr", "keys", "span_metadata", "workers", "allow_other_workers", "internal_priority",
        "user_priority", "resources", "retries", "fifo_timeout", "actors",
    ),
}  # fmt: skip
_RECEIVING = {
    "update_graph": (
        "self", "client", "expr_ser", "keys", "span_metadata", "internal_priority", "submitting_task",
        "user_priority", "actors", "fifo_timeout", "code", "annotations", "stimulus_id",
    ),
}  # fmt: skip


def submitter(client: Client) -> Callable[..., Future[Any]]:
    """Return what to call in place of ``client.submit``: it takes the same arguments, and does the same."""
    try:
        compatibility.check(Client, _SENDING)
        compatibility.check(Scheduler, _RECEIVING)
    except IncompatibleDaskError as difference:
        log.info("Each submit is a message of its own, as this distributed is not one that we know: %s", difference)
        return client.submit
    batcher = getattr(client._send_to_scheduler, "__self__", None)
    if not isinstance(batcher, Batcher):
        batcher = Batcher(client)
    return batcher.submit


@dataclass(frozen=True, slots=True)
class _Options:
    """What calls have in common that share a message."""

    annotations: Mapping[str, Any]
    fifo_timeout: Any
    submitting_task: Key | None


class _Group:
    """Calls that will share a message."""

    __slots__ = ("calls", "kind", "options", "ranks", "size", "span")

    def __init__(self, kind: type, options: _Options, span: Any) -> None:
        self.kind = kind  # of expression
        self.options = options
        self.span = span
        self.calls: dict[Key, _Pickled] = {}
        self.ranks: dict[Key, float] = {}
        self.size = 0

    def add(self, key: Key, call: bytes, rank: float) -> None:
        """Take a call in."""
        self.calls[key] = _Pickled(call)
        self.ranks[key] = rank
        self.size += len(call)


class _Batch:
    """Calls that will be sent at one point in the order of the client's messages."""

    __slots__ = ("groups", "released")

    def __init__(self) -> None:
        self.groups: list[_Group] = []
        self.released: set[Key] = set()  # while it was open: these may not be submitted anew in it

    def group_like(self, new: _Group) -> _Group:
        """Return a group with the options of a new one, and room; it is the new one if there is no other."""
        for group in self.groups:
            if group.options == new.options and group.size < _FULL:
                return group
        self.groups.append(new)
        return new


class _Pickled:
    """A call that is pickled already. Whoever unpickles it gets the call; that needs nothing of ours."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._content,)


class Batcher:
    """Puts submits of one client into common messages. Any thread may use it.

    Parameters
    ----------
    client
        Whose messages it watches from now on.
    """

    def __init__(self, client: Client) -> None:
        self._client = cast(Any, client)  # most of what we need of it is private, or not typed
        self._lock = threading.Lock()
        self._batch: _Batch | None = None
        self._numbers = count(1)
        self._stock_send = self._client._send_to_scheduler
        self._client._send_to_scheduler = self._send

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Run one call, as `Client.submit` does: it is that which names the task and checks the options."""
        stand: Any = _Stand(self._client, self.join)
        return Client.submit(stand, function, *args, **options)

    def join(self, expr: Any, keys: Sequence[Key], span_metadata: Any, **options: Any) -> dict[Key, Future[Any]]:
        """Let a call travel with others, if it may; take the place of ``Client._graph_to_futures``."""
        client, key = self._client, keys[0]
        with client._refcount_lock:
            if key in client.futures:
                return {key: Future(key, client)}
        task = expr.operand("dsk")[key]
        call = _pickle(task) if self._may_join(key, task, options) else None
        if call is None:
            alone: dict[Key, Future[Any]] = client._graph_to_futures(expr, keys, span_metadata, **options)
            return alone
        common = _Options(_annotations(**options), options["fifo_timeout"], getattr(thread_state, "key", None))
        with client._refcount_lock:
            if key not in client.futures:
                self._add(key, call, _Group(type(expr), common, span_metadata))
            return {key: Future(key, client)}

    def _may_join(self, key: Key, task: Any, options: Mapping[str, Any]) -> bool:
        return (
            self._client.status == "running"
            and isinstance(key, str)
            and not options["actors"]
            and not task.dependencies
            and safe_sizeof((task.args, task.kwargs)) < _LARGE
            and not dask.config.get("distributed.diagnostics.computations.nframes")
        )

    def _add(self, key: Key, call: bytes, new: _Group) -> None:
        with self._lock:
            batch = self._batch
            if batch is None or key in batch.released:
                batch = self._batch = _Batch()
                self._client.loop.add_callback(self._flush, batch)
            batch.group_like(new).add(key, call, rank=next(self._numbers) * _HAIR)

    def _send(self, msg: dict[str, Any]) -> None:
        """Close the batch, and let the client send its message after it."""
        with self._lock:
            if self._batch is not None:
                if msg["op"] == "client-releases-keys":
                    self._batch.released.update(msg["keys"])
                else:
                    self._batch = None
        self._stock_send(msg)

    def _flush(self, batch: _Batch) -> None:
        with self._lock:
            if self._batch is batch:
                self._batch = None
        for group in batch.groups:
            self._client._send_to_scheduler_safe(_message(group))


class _Stand:
    """What `Client.submit` is called on: the client, but for what it does with the graph in the end."""

    def __init__(self, client: Client, graph_to_futures: Callable[..., Any]) -> None:
        self._client = client
        self._graph_to_futures = graph_to_futures
        self.futures: dict[Key, Any] = {}  # known keys are looked up later: here they would be bound to us

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _pickle(task: Any) -> bytes | None:
    """Return a call as bytes; None if that cannot be, which the client then says in its own words."""
    try:
        content: bytes = dumps(task)  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001  (whatever the user's own object raises)
        return None
    return content


def _annotations(
    *,
    workers: Any,
    allow_other_workers: bool,
    user_priority: float,
    resources: Mapping[str, Any] | None,
    retries: int | None,
    **_: Any,
) -> dict[str, Any]:
    """Return what `Client` makes of its options, on top of what `dask.annotate` has set here."""
    given = {
        "priority": user_priority,
        "workers": workers if isinstance(workers, (list, tuple, set)) or not workers else [workers],
        "retries": retries,
        "allow_other_workers": allow_other_workers,
        "resources": resources,
    }
    return {**get_annotations(), **{name: value for name, value in given.items() if value}}


def _message(group: _Group) -> dict[str, Any]:
    expr: Any = group.kind(group.calls, _determ_token=uuid.uuid4().hex)
    pickled: Any = serialize(to_serialize(expr), on_error="raise")  # type: ignore[no-untyped-call]
    return {
        "op": "update-graph",
        "expr_ser": Serialized(*pickled),  # type: ignore[no-untyped-call]
        "keys": set(group.calls),
        "internal_priority": group.ranks,
        "submitting_task": group.options.submitting_task,
        "fifo_timeout": group.options.fifo_timeout,
        "actors": False,
        "code": ToPickle(()),
        "annotations": ToPickle(group.options.annotations),
        "span_metadata": ToPickle(group.span),
    }
