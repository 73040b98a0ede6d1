"""The door for messages of other processes: read by `core.wire`, or left aside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from supreme_dask.core import wire
from supreme_dask.errors import MessageError

log = logging.getLogger(__name__)

R = TypeVar("R")


class Inbox:
    """Reads messages for a plugin, and says of each kind once that one could not be read."""

    def __init__(self) -> None:
        self._unread: set[str] = set()

    def reading(self, hooks: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., None]]:
        """Return what takes in messages, by name, and calls the hook of each with its fields."""

        def reader(message: str) -> Callable[..., None]:
            return lambda **told: self.read(message, told, hooks[message])

        return {message: reader(message) for message in hooks}

    def read(self, message: str, told: object, hook: Callable[..., Any]) -> None:
        """Call `hook` with the fields of a message, unless it cannot be read."""
        try:
            fields = wire.read(message, told)
        except MessageError as error:
            self.refuse(error)
        else:
            hook(**fields)

    def measured(self, metadata: object) -> wire.Measured | None:
        """Return what a task took; None if that was not measured, or cannot be read."""
        try:
            return wire.measured(metadata)
        except MessageError as error:
            self.refuse(error)
            return None

    def check_release(self, version: int) -> None:
        """Say that a worker writes messages of another release, if it does."""
        if version != wire.VERSION:
            problem = f"this release reads {wire.VERSION}; what it cannot read is left aside"
            self.refuse(MessageError("supreme-hello", "version", version, problem))

    def refuse(self, error: MessageError) -> None:
        """Leave a message aside."""
        level = logging.DEBUG if error.message in self._unread else logging.WARNING
        self._unread.add(error.message)
        log.log(level, "A message is left aside, and everything else goes on: %s", error)


def answering(answers: Mapping[str, Callable[..., R]]) -> dict[str, Callable[..., R]]:
    """Return what answers calls, by name; one that cannot be read is answered with its `MessageError`."""

    def reader(call: str) -> Callable[..., R]:
        return lambda **told: answers[call](**wire.read(call, told))

    return {call: reader(call) for call in answers}
