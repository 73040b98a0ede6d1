"""What the core asks its shell to do, and what an operator may ask of the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from supreme_dask.core.keys import Key


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may change; ``supreme.yaml`` has the defaults and the reasons.

    Attributes
    ----------
    short, long : float
        A task type is short when it takes less than `short` seconds, until it takes more than `long`.
    ahead : float
        Seconds of short work that may wait on a worker, per thread.
    most_ahead : int
        Short tasks that may wait on a worker, per thread.
    patience : float
        Seconds, at least, that a task may be passed over before a worker is promised to it.
    infeasible_timeout : float or None
        Seconds after which a task that no worker could ever run fails; None for never.
    """

    short: float = 0.010
    long: float = 0.020
    ahead: float = 0.050
    most_ahead: int = 64
    patience: float = 1.0
    infeasible_timeout: float | None = None


class Placed(NamedTuple):
    """Run this task there."""

    key: Key
    address: str


class Recall(NamedTuple):
    """Take back those of these tasks that have not started."""

    address: str
    keys: list[Key]


class Warn(NamedTuple):
    """Tell the user that some tasks wait which no worker that is there could run.

    Attributes
    ----------
    sentence : str
        What they lack.
    bound : bool
        Whether they may run on certain workers only, so that no other could help.
    """

    sentence: str
    bound: bool = False


class Fail(NamedTuple):
    """Fail these tasks: they would wait for ever."""

    keys: list[Key]
    sentence: str


Instruction = Recall | Warn | Fail
