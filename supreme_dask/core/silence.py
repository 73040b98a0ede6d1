"""Workers that are not heard of any more, and whether they are lost.

A worker that computes may be silent for long: a task that holds Python's lock stops its heartbeats, and removing it
would lose what it does. So a silent worker is asked, and so is its nanny, which sees the process from outside.

========================== =========================== ====================================
its nanny says             the worker                  it is
========================== =========================== ====================================
the process is stopped     whatever                    lost: stopped
the process is gone        whatever                    lost: gone
                           answers, is not heard of    lost: cut off on its way to us
the process runs           does not answer             left: it computes, or waits for ever
nothing                    does not answer             lost: unreachable
there is none              cannot be connected to      lost: unreachable
there is none              accepts, answers nothing    lost if it was given nothing: frozen
there is none              accepts, answers nothing    left otherwise: it may compute
========================== =========================== ====================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Worker = Literal["answers", "accepts", "refuses"]
"""It answers; its host takes connections for it, and it says nothing; or not even that."""
NannyWord = Literal["runs", "stopped", "gone", "nothing", "none"]
"""What the nanny says of the process; nothing at all; or there is no nanny."""
Loss = Literal["stopped", "gone", "cut", "unreachable", "frozen"]

_BLINK = 2.0
"""Seconds between two looks that count at most: in a longer pause nobody listened."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found out about a silent worker.

    Attributes
    ----------
    worker, nanny : str
        What they answered.
    busy : bool
        Whether the worker was given tasks that it has not ended, cancelled ones too.
    """

    worker: Worker
    nanny: NannyWord
    busy: bool


def judge(answers: Answers) -> Loss | None:
    """Return in which way a worker is lost, that is still not heard of; None if it may be computing.

    Examples
    --------
    >>> judge(Answers("accepts", "stopped", busy=True))
    'stopped'
    >>> judge(Answers("accepts", "runs", busy=True))
    """
    match answers.nanny, answers.worker:
        case ("stopped" | "gone") as seen, _:
            return seen
        case _, "answers":
            return "cut"
        case "runs", _:
            return None
        case "none", "accepts":
            return None if answers.busy else "frozen"
        case _:
            return "unreachable"


class Silence:
    """Counts for how long workers have not been heard of, while somebody listened."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}
        self._silent: dict[str, float] = {}
        self._looked: float | None = None

    def look(self, now: float, heard: Mapping[str, float], patience: float) -> list[str]:
        """Return who has been silent for too long, and then again after as long.

        Parameters
        ----------
        heard
            When each worker was heard of last, on any clock.
        patience
            Seconds.

        Examples
        --------
        >>> silence = Silence()
        >>> [silence.look(now, {"a": 0.0, "b": now}, patience=3) for now in range(5)]
        [[], [], [], ['a'], []]
        """
        listened = min(now - self._looked, _BLINK) if self._looked is not None else 0.0
        self._looked = now
        self._silent = {
            address: self._silent[address] + listened if self._heard.get(address) == last else 0.0
            for address, last in heard.items()
        }
        self._heard = dict(heard)
        found = [address for address, seconds in self._silent.items() if seconds >= patience]
        self._silent.update(dict.fromkeys(found, 0.0))
        return found
