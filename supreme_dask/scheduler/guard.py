"""What keeps a failure of ours from being one of Dask's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

Hook = TypeVar("Hook", bound=Callable[..., None])


class _Retreats(Protocol):
    active: bool

    def retreat(self, error: BaseException) -> None: ...


def safely(hook: Hook) -> Hook:
    """Let a hook of a plugin run only while the plugin is active, and end that if it fails."""

    @functools.wraps(hook)
    def call(self: _Retreats, *args: Any, **kwargs: Any) -> None:
        if self.active:
            try:
                hook(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001  (whatever it is, plain Dask must go on)
                self.retreat(error)

    return cast(Hook, call)
