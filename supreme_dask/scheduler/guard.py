"""What keeps a failure of ours from being one of Dask's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

Hook = TypeVar("Hook", bound=Callable[..., None])
R = TypeVar("R")


class _Retreats(Protocol):
    active: bool

    def retreat(self, error: BaseException) -> None: ...


def safely(hook: Hook) -> Hook:
    """Let a hook of a plugin run only while the plugin is active, and end that if it fails."""

    @functools.wraps(hook)
    def call(self: _Retreats, *args: Any, **kwargs: Any) -> None:
        _attempt(self, hook, self, *args, **kwargs)

    return cast(Hook, call)


def guarded(plugin: _Retreats, hook: Callable[..., None]) -> Callable[..., None]:
    """Return the same for what belongs to a plugin and is no method of it."""
    return functools.partial(_attempt, plugin, hook)


def or_stock(plugin: _Retreats, stock: Callable[..., R], ours: Callable[..., R]) -> Callable[..., R]:
    """Return `ours`, with `stock` in its place as soon as it fails."""

    def call(*args: Any, **kwargs: Any) -> R:
        try:
            return ours(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  (whatever it is, plain Dask must go on)
            plugin.retreat(error)
            return stock(*args, **kwargs)

    return call


def or_both_fail(plugin: _Retreats, stock: Callable[..., R], ours: Callable[..., R]) -> Callable[..., R]:
    """Return the same as `or_stock` for what others call: should `stock` fail too, then it is the caller's fault."""

    def call(*args: Any, **kwargs: Any) -> R:
        try:
            return ours(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  (whatever it is, plain Dask must go on)
            result = stock(*args, **kwargs)
            plugin.retreat(error)
            return result

    return call


def _attempt(plugin: _Retreats, hook: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    if plugin.active:
        try:
            hook(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  (whatever it is, plain Dask must go on)
            plugin.retreat(error)
