"""Where engines are submitted: in the user's own process, through an ordinary Dask client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from distributed import Client, Future
from distributed.deploy.cluster import Cluster

from supreme_dask import extensions
from supreme_dask.core.resources import Resources
from supreme_dask.engines.base import BaseSupremeEngine
from supreme_dask.orchestrator.batching import submitter
from supreme_dask.orchestrator.connection import scheduler_address
from supreme_dask.stores import SCHEMES

Work = BaseSupremeEngine | Callable[..., Any] | str
"""An engine, any function, or the name of an installed engine."""


class SupremeOrchestrator:
    """Submits engines and functions to a cluster; what comes back are Dask's own futures.

    The demand of a call travels as Dask's own ``resources=`` annotation, so the futures mix freely with those of
    the client, and a scheduler without this package understands it too.

    Parameters
    ----------
    target
        Address of a scheduler, of a store in which one is registered, a cluster, or a client. A client that is given
        is left open by `close`.
    system
        Which of the systems that are registered in the store.
    options
        For the `distributed.Client` that is made otherwise, such as ``asynchronous`` or ``timeout``.

    Raises
    ------
    NoSchedulerError
        If a store is given and no scheduler of the system is registered in it.

    Attributes
    ----------
    client : distributed.Client
        What everything goes through.

    Examples
    --------
    >>> from supreme_dask import SupremeCluster, engine
    >>> sort = engine(sorted, cpu=1, memory=lambda values: 24 * len(values))
    >>> with SupremeCluster(dashboard_address=None) as cluster, SupremeOrchestrator(cluster) as orchestrator:
    ...     orchestrator.submit(sort, [3, 1, 2]).result()
    [1, 2, 3]
    """

    def __init__(self, target: str | Cluster | Client, *, system: str = "default", **options: Any) -> None:
        if isinstance(target, str) and target.partition("://")[0] in SCHEMES:
            target = scheduler_address(target, system=system)
        self._owns_client = not isinstance(target, Client)
        self.client: Client = (
            target if isinstance(target, Client) else Client(target, **options)  # type: ignore[no-untyped-call]
        )
        self._submit = submitter(self.client)

    def submit(
        self, work: Work, /, *args: Any, resources: Mapping[str, object] | None = None, **options: Any
    ) -> Future[Any]:
        """Run one call, as `Client.submit` does. Submits that follow each other closely travel together.

        Parameters
        ----------
        work
            What to call.
        args
            Arguments of the call; futures are replaced by their results.
        resources
            What the call needs; where an engine says otherwise, this is what counts.
        options
            Keyword arguments of the call, and the options of `Client.submit`.

        Raises
        ------
        DemandError
            If an amount cannot be understood. Nothing was submitted.
        EngineError
            If the engine cannot say what the call needs. Nothing was submitted.
        UnknownExtensionError
            If no engine of that name is installed.
        """
        call = _callable(work)
        demand = _demand(call, args, _arguments(options)).overlaid(Resources.parse(resources or {}))
        return self._submit(call, *args, resources=demand.in_units() or None, **options)

    def map(
        self,
        work: Work,
        /,
        *iterables: Sequence[Any],
        resources: Mapping[str, object] | None = None,
        key: str | list[Any] | None = None,
        **options: Any,
    ) -> list[Future[Any]]:
        """Run a call for each set of arguments, as `Client.map` does; calls that need the same travel together.

        Parameters
        ----------
        work
            What to call.
        iterables
            One for each positional argument; the shortest ends the calls.
        resources
            What each call needs; where an engine says otherwise, this is what counts.
        key
            Prefix of the names of the tasks, or all their names.
        options
            Keyword arguments of every call, and the options of `Client.map`.

        Raises
        ------
        DemandError, EngineError, UnknownExtensionError
            As for `submit`. Nothing was submitted.
        """
        call = _callable(work)
        explicit = Resources.parse(resources or {})
        if not isinstance(call, BaseSupremeEngine):
            return self._map(call, iterables, explicit, key, options)
        calls = list(zip(*iterables, strict=False))
        alike: dict[Resources, list[int]] = {}
        for number, args in enumerate(calls):
            demand = _demand(call, args, _arguments(options)).overlaid(explicit)
            alike.setdefault(demand, []).append(number)
        futures: dict[int, Future[Any]] = {}
        for demand, numbers in alike.items():
            columns = list(zip(*(calls[number] for number in numbers), strict=True))
            keys = key if key is None or isinstance(key, str) else [key[number] for number in numbers]
            futures.update(zip(numbers, self._map(call, columns, demand, keys, options), strict=True))
        return [futures[number] for number in range(len(calls))]

    def _map(
        self,
        call: Callable[..., Any],
        iterables: Sequence[Sequence[Any]],
        demand: Resources,
        key: str | list[Any] | None,
        options: Mapping[str, Any],
    ) -> list[Future[Any]]:
        futures: list[Future[Any]] = self.client.map(
            call, *iterables, key=key, resources=demand.in_units() or None, **options
        )
        return futures

    def close(self) -> Any:
        """Close the client, unless it was given; to be awaited if that is asynchronous."""
        return self.client.close() if self._owns_client else None  # type: ignore[no-untyped-call]

    def __enter__(self) -> SupremeOrchestrator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> SupremeOrchestrator:
        await self.client
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns_client:
            await self.close()


_OPTIONS = frozenset(
    {
        "key", "workers", "retries", "priority", "fifo_timeout", "allow_other_workers", "actor",
        "actors", "pure", "batch_size",
    }
)  # fmt: skip


def _callable(work: Work) -> Callable[..., Any]:
    if not isinstance(work, str):
        return work
    found = extensions.find("engines", work)
    made: Callable[..., Any] = found() if isinstance(found, type) else found
    return made


def _demand(call: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Resources:
    return call.get_demand(*args, **kwargs) if isinstance(call, BaseSupremeEngine) else Resources()


def _arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those keyword arguments that the call is given; the others are options of the client."""
    return {name: value for name, value in options.items() if name not in _OPTIONS}
