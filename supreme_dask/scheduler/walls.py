"""Which workers stop a task that would take more memory than there is, rather than be killed.

While all do, tasks of unknown memory run at once, beside others. Where one could be killed, their types run alone
until one run was measured.
"""

from __future__ import annotations

from supreme_dask.core.admission import Admission


class Walls:
    """Keeps the core as cautious as the workers need.

    Parameters
    ----------
    wanted
        Whether the operator lets workers stop tasks.
    """

    def __init__(self, admission: Admission, *, wanted: bool) -> None:
        self._admission = admission
        self._wanted = wanted
        self._without: set[str] = set()
        self._decide()

    def told(self, address: str, wall: bool | None) -> None:
        """Note whether a worker stops tasks; None if it does not, and nothing would kill it either."""
        (self._without.add if wall is False else self._without.discard)(address)
        self._decide()

    def gone(self, address: str) -> None:
        """Forget a worker that is gone."""
        self._without.discard(address)
        self._decide()

    def _decide(self) -> None:
        self._admission.kinds.be_cautious(not self._wanted or bool(self._without))
