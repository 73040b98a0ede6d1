"""Decides how many workers of each group there should be, and sees to it.

A decision is made soon after something happened, and at least every second. What happens meanwhile waits for the next
one, so that deciding takes a small part of the scheduler's time at most. Controllers get the plan and report. Workers
that are to leave are drained here, and only then named as removable. If a policy fails, everything stays as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from time import monotonic, thread_time
from typing import Any

from distributed.scheduler import Scheduler

from supreme_dask import config
from supreme_dask.core import reasons
from supreme_dask.core.admission import Admission
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.lifecycle import Life, Lifecycle, Status
from supreme_dask.core.plans import Plan, Progress
from supreme_dask.core.policies.situation import Situation, Supply
from supreme_dask.core.resources import MEMORY
from supreme_dask.core.revisions import Content
from supreme_dask.core.snapshot import GroupView, Snapshot
from supreme_dask.core.timeline import Timeline, counts_of
from supreme_dask.errors import ScalingError
from supreme_dask.scheduler import observe
from supreme_dask.scheduler.act import Hands
from supreme_dask.scheduler.announcing import Announcements
from supreme_dask.scheduler.draining import Drains
from supreme_dask.scheduler.metrics import SystemMetricsMonitor
from supreme_dask.scheduler.rules import Rules

log = logging.getLogger(__name__)

_PAUSE = 0.05  # s between two decisions, at least
_SHARE = 7  # times as long as decisions take is rested: an eighth of the scheduler's time
_CREDIT = 1.0  # s of rest that may be owed when the next decision is made: a burst does not wait for it
_LAZY = 0.25  # s for what becomes ready one by one; a graph is decided on at once
_BOUND = 30.0  # s for which a worker that could not leave is not asked again
_SILENCE = 30  # intervals without a question, after which somebody asks no more


class ScalabilityEngine:
    """Scales the workers of one scheduler.

    Parameters
    ----------
    scheduler, admission, drains, hands
        Of the plugin that it belongs to.

    Attributes
    ----------
    metrics_monitor : SystemMetricsMonitor
        Takes the snapshots on which it decides.
    plan : Plan
        The plan in force.
    wanted : bool
        Whether there are groups to scale, and somebody who carries plans out.
    awaited : set of str
        Names of workers that whoever asked for it removes, once they are drained.
    timeline : Timeline
        What was decided, and how many workers there were.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, drains: Drains, hands: Hands) -> None:
        self._scheduler = scheduler
        self._drains = drains
        self.timeline = Timeline()
        self._announcements = Announcements(scheduler, hands, self.timeline)
        self.rules = Rules(self._announcements.warn)
        self.metrics_monitor = SystemMetricsMonitor(scheduler, admission, drains, self._views, self.rules.group_of)
        self.plan = Plan(0, ())
        self.wanted = False
        self.awaited: set[str] = set()
        self._every = config.seconds("scaling.interval") or 1.0
        self._timeout = config.seconds("scaling.launch-timeout") or 60.0
        self._lifecycle = Lifecycle(self._timeout)
        self._publish: Callable[[Plan], None] | None = None
        self._published: Plan | None = None
        self._generation = 0
        self._snapshot: Snapshot | None = None
        self._begun: set[str] = set()
        self._unreported: set[str] = set()
        self._planned: asyncio.TimerHandle | None = None
        self._decided = float("-inf")  # when the last decision was made, on the clock of the event loop
        self._rested = 0.0  # when all rest that is owed will be over
        self._graph_came = False
        self._regular: Callable[[Plan], None] | None = None  # who gets plans when nobody asks for them
        self._silent: asyncio.TimerHandle | None = None
        self._close = drains.on_removable
        drains.on_removable = self._drained
        self.rules.read_config()

    @property
    def scaling_policies(self) -> Mapping[str, Any]:
        """The policy in force: rules by name."""
        return self.rules.policy

    # ------------------------------------------------------------------------- begin and end
    def begin(
        self,
        publish: Callable[[Plan], None],
        *,
        policy: Mapping[str, Any] | None = None,
        groups: Sequence[WorkerGroup] | None = None,
        last: Plan | None = None,
    ) -> None:
        """Scale from now on.

        Parameters
        ----------
        publish
            Called with each new plan, on the scheduler's event loop; it must not block.
        policy, groups
            What is in force whatever config or store say; None to leave that to them.
        last
            What was published there last, by whoever scaled before: the next plan is a later one.

        Raises
        ------
        PolicyError
            With the path of each offence, and its reason.
        """
        self.rules.fix(policy, groups)
        self._publish = publish
        self._published = None
        self._generation = max(self._generation, last.generation if last is not None else 0)
        self._reconsider()

    def lend(self, group: WorkerGroup, progress: Progress, policy: Mapping[str, Any] | None) -> None:
        """Scale one group for somebody who asks for the plan every now and then, and no more when he is silent.

        All workers that he reports belong to it, whatever their names are.

        Raises
        ------
        ScalingError
            If somebody else carries plans out already.
        """
        if self.wanted and self._publish is not _nobody:
            raise ScalingError(list(self.rules.groups))
        if self._publish is not _nobody:
            self._regular = self._publish
        if self._silent is not None:
            self._silent.cancel()
        self._silent = asyncio.get_running_loop().call_later(_SILENCE * self._every, self._take_back)
        if list(self.rules.groups.values()) != [group] or (policy is not None and policy != self.rules.policy):
            self.begin(_nobody, policy=policy, groups=[group])
        self.rules.claim(progress.workers, group.name)
        self.report(progress)
        if not self.plan.targets:
            self._decide()

    def release(self) -> None:
        """Plan no more and keep all workers; those that are drained are closed."""
        self.end()
        self._drains.cancel(self._drains.returnable(), reasons.NOBODY_ASKS)
        for name in self._lifecycle.complete(self.plan, self._lives()).removable:
            self._close(name)
        # What was planned for one that asks no more is no answer for the next.
        self.plan = Plan(self._generation, ())
        self._lifecycle = Lifecycle(self._timeout)
        self.rules.reset()
        self._publish = None

    def _take_back(self) -> None:
        """Go back to those that got plans before, since they are asked for no more."""
        self.release()
        self._publish = self._regular
        self._reconsider()

    def take_document(self, document: str, content: Content) -> None:
        """Take a revision of a document of the store; None if it was removed."""
        self.rules.take_document(document, content, self.plan)
        self._reconsider()
        if not self.rules.groups and (there := self._lifecycle.existing()):
            self._announcements.once(reasons.no_groups(sorted({*there.values()})))

    def _reconsider(self) -> None:
        self.wanted = bool(self.rules.groups) and self._publish is not None
        self.wake()

    def end(self) -> None:
        """Decide no more."""
        self.wanted = False
        for timer in (self._planned, self._silent):
            if timer is not None:
                timer.cancel()
        self._planned = self._silent = None

    # -------------------------------------------------------------------------------- events
    def wake(self, within: float = 0.0) -> None:
        """Decide soon: something happened. Only for the thread of the scheduler's event loop."""
        if not self.wanted:
            return
        loop = asyncio.get_running_loop()
        when = max(loop.time() + within, self._decided + _PAUSE, self._rested - _CREDIT)
        if self._planned is not None:
            if self._planned.when() <= when:
                return
            self._planned.cancel()
        self._planned = loop.call_at(when, self._decide)

    def graph_came(self) -> None:
        """Note that what is held next belongs to a graph, which arrives at once."""
        self._graph_came = True

    def held(self) -> None:
        """Note that a task waits."""
        if self._graph_came:
            self._graph_came = False
            self.wake()
        elif self._planned is None:
            self.wake(_LAZY)

    def joined(self, address: str) -> None:
        """Note a worker that came, before it is given tasks."""
        if not self.wanted:
            return
        name = str(self._scheduler.workers[address].name)
        group = self.rules.group_of(name)
        if self._lifecycle.is_ending(name):
            self._drains.leave(address, 0.0)  # its controller removes it at any moment
        elif group:
            self._lifecycle.launches.joined(group, name)
        self.wake()

    def report(self, *progress: Progress) -> None:
        """Take in how far some controllers are."""
        self._take_in(self._lifecycle.report({one.controller: one for one in progress}))

    def report_all(self, progress: Mapping[str, Progress]) -> None:
        """Take in how far all controllers are. Without any, the last reports count: workers outlive controllers."""
        if progress:
            self._take_in(self._lifecycle.report(progress, complete=True))

    def _take_in(self, news: Sequence[Progress]) -> None:
        if not self.wanted:
            return
        now = monotonic()
        for one in news:
            for group, reason in one.blocked.items():
                if group in self.rules.groups and self._lifecycle.launches.refuse(group, reason, now):
                    self._announcements.once(f"{group}: {reason}")
        self._look(now)
        self.wake()

    def _look(self, now: float) -> None:
        for sentence in self._lifecycle.look(self._names(), self.rules.groups, now):
            self._announcements.once(sentence)

    def _drained(self, name: str) -> None:
        """Name a worker as removable; close it if no controller would remove it."""
        if name in self.awaited:
            return
        if self.wanted and self.rules.group_of(name) and self._lifecycle.is_reported(name):
            self._lifecycle.drained(name)
            self.wake()
        else:
            self._close(name)

    # ----------------------------------------------------------------------------- decisions
    def _decide(self) -> None:
        if self._planned is not None:
            self._planned.cancel()
            self._planned = None
        begun = thread_time()
        try:
            self.execute_scaling_action(self.evaluate_scaling())
        except Exception as error:  # whatever it is, the workers that are there go on
            self._announcements.once(f"scaling failed, and everything stays as it is: {error!r}")
            log.debug("Scaling failed", exc_info=True)
        self._decided = asyncio.get_running_loop().time()
        self._rested = max(self._rested, self._decided) + _SHARE * (thread_time() - begun)
        self.wake(self._every)

    def evaluate_scaling(self) -> Plan:
        """Return what should be, by the policy in force."""
        self._look(now := monotonic())
        for sentence in self._lifecycle.expire(now):
            self._announcements.once(sentence)
        self._snapshot = self.metrics_monitor.snapshot()
        while True:
            try:
                return self.rules.scaling.plan(self._snapshot)
            except Exception as error:  # noqa: BLE001  (a policy may be anybody's)
                if not self.rules.fall_back(error, self.plan):
                    self._announcements.once(f"the policy failed, and everything stays as it is: {error!r}")
                    return self.plan

    def execute_scaling_action(self, plan: Plan) -> None:
        """Begin to make a plan true, and publish it to those who make workers."""
        snapshot = self._snapshot or self.metrics_monitor.snapshot()
        before = {target.group: target for target in self.plan.targets}
        for target in plan.targets:
            if target != before.get(target.group):
                self._announcements.decided(target)
        for sentence in plan.unmet:
            self._announcements.once(sentence)
        self._lifecycle.want(plan, snapshot, self.rules.groups, monotonic())
        self._let_go(plan)
        self._send(plan)
        self.timeline.note(counts_of(snapshot, plan), snapshot.wall)

    def _let_go(self, plan: Plan) -> None:
        """Let workers leave that the plan names, and keep those that it names no more."""
        states = self._drains.states()
        named = self._of_no_group() | {name: one.reason for one in plan.targets for name in one.victims}
        back = {name for name in self._drains.returnable() - named.keys() if self.rules.group_of(name)}
        if back:
            self._drains.cancel(back, reasons.DEMAND_RETURNED)
        kept = (self._begun & named.keys()) - states.keys()
        self._bind(kept)
        self._begun &= states.keys() - back
        for name, reason in named.items():
            if name not in states and name not in kept:
                self._begin(name, reason)

    def _of_no_group(self) -> dict[str, str]:
        """Return why workers leave whose group is not there any more."""
        there, joined = self._lifecycle.existing().items(), self._names()
        lost = {name: group for name, group in there if name in joined and group not in self.rules.groups}
        return {name: reasons.group_gone(group) for name, group in lost.items()}

    def _begin(self, name: str, reason: str) -> None:
        refused = self._drains.drain([name], reason=reason)
        if refused:
            log.debug("Worker %s stays: %s", name, refused[name])
            self._bind(refused)
        else:
            self._begun.add(name)

    def _bind(self, names: Iterable[str]) -> None:
        """Let those alone for a while that were to leave and were kept, because something binds them."""
        self.metrics_monitor.bound.update(dict.fromkeys(names, monotonic() + _BOUND))

    def _send(self, plan: Plan) -> None:
        for name in self._lifecycle.unclaimed(self._names()):
            self._close(name)
        lives = self._lives()
        self._say_others(lives)
        whole = self._lifecycle.complete(plan, lives)
        content = replace(whole, generation=0)
        if self._publish is not None and content != self._published:
            self._generation += 1
            self.plan = replace(whole, generation=self._generation)
            self._publish(self.plan)
            self._published = content

    # --------------------------------------------------------------------------------- values
    def _views(self) -> list[GroupView]:
        now, launches = monotonic(), self._lifecycle.launches
        return [
            GroupView(group, launching=launches.of(name), blocked=launches.blocked(name, now))
            for name, group in self.rules.groups.items()
        ]

    def latest(self) -> Snapshot:
        """Return the snapshot that was decided on last, a second ago at most; where nothing is scaled, a new one."""
        return (self._snapshot if self.wanted else None) or self.metrics_monitor.snapshot()

    def supplies(self) -> list[Supply]:
        """Return the groups that are scaled, with their workers; none if nothing is."""
        return [*Situation.of(self.latest()).groups.values()] if self.wanted else []

    def largest_to_launch(self) -> int:
        """Return the bytes for tasks of the largest worker that would be launched if a task needs it; 0 for none."""
        supplies = self.supplies() if self.rules.looks_at_demand else []
        return max((supply.room[MEMORY] for supply in supplies if supply.growth != 0), default=0)

    def _lives(self) -> dict[str, Life]:
        joined = {name: self.rules.group_of(name) for name in self._names()}
        return self._lifecycle.lives(joined, self._drains.states())

    def _names(self) -> set[str]:
        return observe.names(self._scheduler)

    # --------------------------------------------------------------------------------- saying
    def _say_others(self, lives: Mapping[str, Life]) -> None:
        """Say which workers count though no controller reports them; the first report may be on its way."""
        joined = {life.name: life for life in lives.values() if life.status is Status.JOINED and not life.controller}
        for name in joined.keys() & self._unreported if self._lifecycle.is_reported_to else ():
            self._announcements.once(reasons.not_reported(name, joined[name].group))
        self._unreported = {*joined}


def _nobody(_: Plan) -> None:
    """Take the place of whoever carries plans out, where plans are asked for."""
