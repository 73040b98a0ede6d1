"""Cancelled tasks whose thread still runs: Python cannot stop a thread.

The scheduler forgets a cancelled task at once, and stock Dask gives its place away: twice the memory of a worker
was in use in a test. A ghost keeps the reservation until the worker says that the thread is done. Should that
message be lost, the worker is asked.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from dask.typing import Key

from supreme_dask.core.admission import Admission
from supreme_dask.scheduler.act import Hands

_AUDIT = 5.0  # seconds between two questions to a worker


class Ghosts:
    """Watches over the ghosts of a ledger.

    Parameters
    ----------
    admission
        Whose ledger holds them.
    hands
        To ask workers.
    """

    def __init__(self, admission: Admission, hands: Hands) -> None:
        self._admission = admission
        self._hands = hands
        self._asked: dict[tuple[str, Key], float] = {}
        self._homes: dict[Key, str] = {}
        self._metered: set[str] = set()

    def can_tell(self, address: str) -> bool:
        """Tell whether a worker will say when a thread is done."""
        return address in self._metered

    def metered(self, *, worker: str, **_: Any) -> None:
        """Note that a worker has our part installed: handler of ``supreme-hello``."""
        self._metered.add(worker)

    def add(self, address: str, key: Key) -> None:
        """Keep what a task holds until its thread is done."""
        self._admission.abandon(key)
        self._asked[address, key] = monotonic()
        self._homes[key] = address
        # It may have ended a moment ago, and its result be on the way: then nothing more would be said of it.
        self._ask(address, key)

    def home(self, key: Key) -> str | None:
        """Return the worker on which the ghost of a task runs."""
        return self._homes.get(key)

    def any_on(self, address: str) -> bool:
        """Tell whether the thread of a cancelled task still runs on a worker."""
        return any(one == address for one, _ in self._asked)

    def resume(self, key: Key) -> None:
        """Let a ghost be an ordinary task again: it is wanted after all, and its worker goes on with it."""
        address = self._homes.pop(key)
        del self._asked[address, key]
        self._admission.ledger.resume(address, key)

    def done(self, *, key: Key, worker: str) -> None:
        """Give back what a ghost held."""
        if self._asked.pop((worker, key), None) is not None:
            self._homes.pop(key, None)
            self._admission.ledger.settle(worker, key)

    def gone(self, address: str) -> None:
        """Forget the ghosts of a worker that is gone."""
        self._metered.discard(address)
        for ghost in [ghost for ghost in self._asked if ghost[0] == address]:
            del self._asked[ghost]
            self._homes.pop(ghost[1], None)

    def audit(self, now: float) -> None:
        """Ask workers about ghosts of which nothing was heard for long."""
        for (address, key), since in self._asked.items():
            if now - since > _AUDIT:
                self._asked[address, key] = now
                self._ask(address, key)

    def _ask(self, address: str, key: Key) -> None:
        self._hands.ask(address, {"op": "supreme-audit", "key": key})
