"""What users declared, by task: Dask's ``resources=`` annotation, or a rule for the prefix of its name.

Stock code compares annotated amounts as they stand, so strings, negatives and names that no worker declares make
it raise in the middle of its own accounting (distributed #9108). They are read here, once, before any transition,
and taken off the task.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dask.typing import Key
from distributed.scheduler import TaskState

from supreme_dask.core.resources import MEMORY, Resources
from supreme_dask.errors import DemandError


class Demands:
    """Declared demands by task.

    Parameters
    ----------
    rules
        Demands by task prefix, for tasks that are not annotated.

    Attributes
    ----------
    errors : dict of Key to Exception
        What tasks fail with when they are to be placed the next time.
    alone : set of Key
        Tasks beside which nothing may run.
    last : set of Key
        Those whose next error is their own.
    """

    def __init__(self, rules: Mapping[str, Resources]) -> None:
        self._rules = dict(rules)
        self._declared: dict[Key, Resources] = {}
        self._interned: dict[Resources, Resources] = {}
        self.errors: dict[Key, Exception] = {}
        self.alone: set[Key] = set()
        self.last: set[Key] = set()

    def read(self, ts: TaskState, own: Collection[str]) -> None:
        """Remember what a task's annotation declares; one that cannot be understood is an entry of `errors`.

        Parameters
        ----------
        own
            Names that are kept as they are written.
        """
        try:
            demand = Resources.parse(self._annotated(ts) or {}, own)
        except DemandError as error:
            self.errors[ts.key] = error
        else:
            self._declared[ts.key] = self._interned.setdefault(demand, demand)

    def is_annotated(self, ts: TaskState) -> bool:
        """Tell whether a task has an annotation that may be read."""
        return bool(self._annotated(ts))

    def _annotated(self, ts: TaskState) -> Any:
        # The annotation stays as the user wrote it; `resource_restrictions` is taken off the task.
        return (ts.annotations or {}).get("resources")

    def of(self, ts: TaskState) -> Resources | None:
        """Return what was declared for a task, or None."""
        return self._declared.get(ts.key) or self._rules.get(ts.prefix.name)

    def enlarge(self, ts: TaskState, memory: int) -> None:
        """Give a task so many bytes from now on, whatever was declared or learned: it was killed with less."""
        self._declared[ts.key] = (self.of(ts) or Resources()).overlaid(Resources.of({MEMORY: memory}))

    def refuse(self, key: Key, error: Exception) -> None:
        """Let a task fail when it is to be placed the next time."""
        self.errors[key] = error

    def forget(self, key: Key) -> None:
        """Drop what was declared for a task that is gone."""
        self._declared.pop(key, None)
        self.alone.discard(key)
        self.last.discard(key)
        self.errors.pop(key, None)

    def as_dask(self, key: Key, supply: Mapping[str, object]) -> dict[str, float]:
        """Return a demand in Dask's own terms, without what no worker supplies: stock code cannot wait for it."""
        demand = self._declared.get(key, Resources())
        return {name: amount for name, amount in demand.in_units().items() if name in supply}
