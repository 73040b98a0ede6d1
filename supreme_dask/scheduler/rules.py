"""Which policy is in force, over which worker groups, and where they come from.

What an embedding program gives counts before Dask's config, and that before the documents of the store. What cannot
be used is refused with its reasons, and what was there before stays in force.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from supreme_dask import config
from supreme_dask.core.groups import WorkerGroup, group_of
from supreme_dask.core.plans import Plan
from supreme_dask.core.policies import DEFAULT_POLICY, unknown_groups
from supreme_dask.core.scaling import Scaling
from supreme_dask.errors import DocumentError, PolicyError
from supreme_dask.stores import schemas

log = logging.getLogger(__name__)

Content = Mapping[str, Any]

_MOST_NAMES = 10_000


class Rules:
    """The policy and the groups of one scheduler.

    Parameters
    ----------
    say
        Tells humans what was refused.

    Attributes
    ----------
    policy : mapping
        The document in force.
    groups : dict of str to WorkerGroup
        By name.
    scaling : Scaling
        What the policy makes of snapshots.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._before: Content | None = None
        self._documents: dict[str, Content | None] = {}
        self._fixed: set[str] = set()
        self._homes: dict[str, str] = {}
        self.policy: Content = DEFAULT_POLICY
        self.groups: dict[str, WorkerGroup] = {}
        self.scaling = Scaling(schemas.policy(DEFAULT_POLICY))
        self._unknown: list[str] = []  # what was said last of groups that are not there

    @property
    def looks_at_demand(self) -> bool:
        """Whether a rule tells of work that no group could ever host, and launches for what some could."""
        return any(rule.get("kind") == "demand" for rule in self.policy.values()) if self.policy else False

    def read_config(self) -> None:
        """Take what Dask's config says, if it says something."""
        for name, take in (("policy", self.take_policy), ("groups", self.take_groups)):
            content = config.get(f"scaling.{name}")
            if content is not None:
                take(content, f"supreme.scaling.{name}")
                self._fixed.add(name)
        self._say_unknown()

    def fix(self, policy: Content | None, groups: Sequence[WorkerGroup] | None) -> None:
        """Take what an embedding program gives; nothing else counts from then on.

        Raises
        ------
        PolicyError
            With the path of each offence, and its reason.
        """
        if policy is not None:
            self._use(policy, None)
            self._fixed.add("policy")
        if groups is not None:
            self._set_groups(groups)
            self._fixed.add("groups")
        self._say_unknown()

    def reset(self) -> None:
        """Go back to what config and the store say."""
        self._fixed.clear()
        self._set_groups([])
        self._use(DEFAULT_POLICY, None)
        self.read_config()
        for document, content in self._documents.items():
            self._take(document, content)
        self._say_unknown()

    def take_document(self, document: str, content: Content | None, last: Plan | None = None) -> None:
        """Take a revision of a document of the store; None if it was removed."""
        if document in (schemas.POLICY, schemas.GROUPS):
            self._documents[document] = content
            self._take(document, content, last)
            self._say_unknown()

    def _take(self, document: str, content: Content | None, last: Plan | None = None) -> None:
        if document == schemas.POLICY and "policy" not in self._fixed:
            self.take_policy(content or DEFAULT_POLICY, document, last)
        elif document == schemas.GROUPS and "groups" not in self._fixed:
            self.take_groups(content or {}, document)

    def take_policy(self, content: Content, source: str, last: Plan | None = None) -> None:
        """Let a policy be in force from now on, if it can be used."""
        try:
            self._use(content, last)
        except PolicyError as error:
            self._say(f"{source} is refused, and the policy before stays in force: {_line(error.problems)}")

    def take_groups(self, content: Content, source: str) -> None:
        """Let these be the groups from now on, if they can be used."""
        try:
            self._set_groups(schemas.groups(content))
        except DocumentError as error:
            self._say(f"{source} is refused, and the groups stay as they are: {_line(error.problems)}")

    def fall_back(self, error: Exception, last: Plan | None) -> bool:
        """Have the policy before in force again, because this one fails; tell whether there is one."""
        if self._before is None:
            return False
        self._say(f"the policy failed, and the one before is in force again: {error!r}")
        self._use(self._before, last)
        self._before = None
        return True

    def group_of(self, worker: str) -> str:
        """Return the group of the worker of a name; empty if it belongs to none."""
        home = self._homes.get(worker)
        if home is None:
            if len(self._homes) >= _MOST_NAMES:  # workers come and go under ever new names
                self._homes.clear()
            home = self._homes[worker] = group_of(worker, self.groups)
        return home

    def claim(self, workers: Iterable[str], group: str) -> None:
        """Let workers belong to a group whatever their names are."""
        self._homes.update(dict.fromkeys(workers, group))

    def _use(self, content: Content, last: Plan | None) -> None:
        if content == self.policy:
            return
        scaling = Scaling(schemas.policy(content), last)
        self._before, self.policy, self.scaling = self.policy, content, scaling
        log.info("The policy has the rules %s", ", ".join(content))

    def _say_unknown(self) -> None:
        """Say where the policy names groups that are not there. They may be published later, so it stays in force."""
        unknown = unknown_groups(self.policy, self.groups) if self.groups and self.policy else []
        if unknown and unknown != self._unknown:
            self._say(f"the policy names groups that are not there: {_line(unknown)}")
        self._unknown = unknown

    def _set_groups(self, groups: Sequence[WorkerGroup]) -> None:
        self.groups = {group.name: group for group in groups}
        self._homes.clear()
        log.info("Workers are scaled in the groups %s", ", ".join(self.groups) or "none")


def _line(problems: list[str]) -> str:
    """Return problems for a log, which has a line for each event."""
    return "; ".join(problems)
