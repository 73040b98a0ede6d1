"""Makes the workers that exist those that a plan wants.

It compares what exists with the last plan, again and again, so it does not matter what was missed: a worker that
crashed, a launch that failed, or its own death. The reason of a failure is told to whoever plans.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from time import monotonic

from supreme_dask.core.fuse import Fuse
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Progress, steps, supersedes
from supreme_dask.core.trials import Trial
from supreme_dask.errors import ProvisionError
from supreme_dask.provisioners.base import Provisioner

log = logging.getLogger(__name__)

_LOOK = 0.5  # s between two looks at what exists


class Controller:
    """Carries out the plans of one system with one provisioner, on one event loop.

    Whatever a plan says, never more workers of a group exist than its maximum, those that are ending counted, and no
    more are launched within an hour than may be.

    Parameters
    ----------
    launches_per_hour
        How many of one group may be launched within an hour; None for the default of `core.fuse.Fuse`.

    Attributes
    ----------
    name : str
        Under which it reports.
    groups : dict of str to WorkerGroup
        Of which it makes workers, by name.
    progress : Progress
        What it has come to.
    on_progress : callable
        Called with the progress whenever that has changed.
    """

    def __init__(
        self,
        provisioner: Provisioner,
        groups: Iterable[WorkerGroup],
        *,
        name: str = "controller",
        launches_per_hour: int | None = None,
    ) -> None:
        self.name = name
        self.groups = {group.name: group for group in groups}
        self.progress = Progress(name)
        self.on_progress: Callable[[Progress], None] = lambda _progress: None
        self._provisioner = provisioner
        self._plan: Plan | None = None
        self._wanted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._existing: Mapping[str, str] = {}
        self._arrived: set[str] = set()
        self._removals: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, str] = {}  # by name, the group of those that are being removed
        self._fuse = Fuse(launches_per_hour)
        self._blown: dict[str, str] = {}
        self._trials: dict[str, Trial] = {}
        self._looks: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look by itself, on the running event loop, and return at once."""
        self._looks = asyncio.create_task(self._look_on(), name="supreme-controller")

    async def stop(self) -> None:
        """End; the workers stay."""
        if self._looks is not None:
            self._looks.cancel()
            await asyncio.gather(self._looks, return_exceptions=True)
        await asyncio.gather(*self._removals.values(), return_exceptions=True)

    def change_groups(self, groups: Iterable[WorkerGroup]) -> None:
        """Make workers of these groups from now on; the fuse of a group that has changed is reset."""
        before, self.groups = self.groups, {group.name: group for group in groups}
        for name in {*before, *self.groups}:
            if before.get(name) != self.groups.get(name):
                self._fuse.reset(name)

    def accept(self, plan: Plan) -> bool:
        """Let a plan be in force from now on, and tell whether it is.

        One that is not later than the last is refused: its scheduler has lost the system, or was faster than its
        messages.
        """
        if not supersedes(plan, self._plan):
            if plan != self._plan:
                log.warning("Plan %d of epoch %d is refused: a later one is in force", plan.generation, plan.epoch)
            return False
        self._plan = plan
        self._wanted.set()
        return True

    async def carry_out(self, plan: Plan) -> Progress:
        """Do what a plan asks for, if it is accepted, and return what was reached."""
        return await self.look() if self.accept(plan) else self.progress

    async def look(self) -> Progress:
        """Compare what exists with the plan, and do what is lacking; do not wait for workers to start or to end."""
        async with self._lock:
            existing = await self._provisioner.workers()
            await self._take_in(existing, set(await self._provisioner.arrived()))
            if self._plan is not None:
                await self._do(self._plan, existing)
            self._existing = await self._provisioner.workers()
            self._report()
            return self.progress

    async def _look_on(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self.look()
            except Exception:  # a provisioner may raise anything, and the next look may go well
                log.exception("The workers cannot be looked after now")
                await asyncio.sleep(_LOOK)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._wanted.wait()

    # --------------------------------------------------------------------------------- take in
    async def _take_in(self, existing: Mapping[str, str], arrived: set[str]) -> None:
        """Learn from who has arrived, and who is gone though nobody removed him."""
        for name in (arrived & existing.keys()) - self._arrived:
            self._trials.pop(existing[name], None)
        lost = {name: group for name, group in self._existing.items() if name not in {*existing, *self._removals}}
        words = {name: await self._provisioner.last_words(name) or "nobody knows why" for name in lost}
        for name in lost:
            log.warning("Worker %s is gone: %s", name, words[name])
        early = {group: name for name, group in lost.items() if name not in arrived}
        for group, name in early.items():
            self._fail(group, f"{name} ended before it joined: {words[name]}")
        self._arrived = arrived & existing.keys()
        self._removals = {name: task for name, task in self._removals.items() if not task.done()}
        self._ending = {name: group for name, group in self._ending.items() if name in self._removals}

    def _fail(self, group: str, reason: str) -> None:
        log.warning("No worker of group %s for now: %s", group, reason)
        self._trials[group] = self._trials.get(group, Trial()).failed(reason, monotonic())

    # -------------------------------------------------------------------------------------- do
    async def _do(self, plan: Plan, existing: Mapping[str, str]) -> None:
        # Who counts is for the plan alone to say. One that is being removed, and that it does not name, is in its
        # number; were it not in ours, each report would bring one more.
        todo = steps(plan, existing)
        if leaving := [name for name in todo.remove if name not in self._removals]:
            removal = asyncio.create_task(self._remove(leaving))
            self._removals.update(dict.fromkeys(leaving, removal))
            self._ending.update({name: existing[name] for name in leaving})
        staying = {name: group for name, group in existing.items() if name not in self._removals}
        for group, count in todo.launch.items():
            if prudent := self._prudent(group, count, staying):
                there = [*{**plan.others, **self._ending, **existing}.values()].count(group)
                await self._launch(group, prudent, there)

    async def _remove(self, names: Collection[str]) -> None:
        log.info("Remove %s", ", ".join(names))
        try:
            await self._provisioner.remove(names)
        except Exception:  # a provisioner may raise anything; who still exists at the next look is removed again
            log.exception("Not removed: %s", ", ".join(names))
        self._wanted.set()

    def _prudent(self, group: str, count: int, existing: Mapping[str, str]) -> int:
        """Return how many to launch of a group: after a failure one at a time, and none before its time."""
        trial = self._trials.get(group, Trial())
        if not trial.failures:
            return count
        tried = any(of == group and name not in self._arrived for name, of in existing.items())
        return 0 if tried or trial.blocked(monotonic()) else 1

    async def _launch(self, group: str, wanted: int, existing: int) -> None:
        if group not in self.groups:
            return self._fail(group, f"controller {self.name!r} has only {', '.join(self.groups) or 'nothing'}")
        count = self._fuse.allow(self.groups[group], wanted, existing, monotonic())
        if not count:
            return None  # some have to end first, or the fuse has blown, which is reported
        log.info("Launch %d of group %s", count, group)
        try:
            await self._provisioner.launch(self.groups[group], count)
        except ProvisionError as error:
            self._fail(group, error.reason)
        except Exception as error:  # a provisioner may raise anything, and other groups have theirs to launch
            log.debug("Launching failed", exc_info=True)
            self._fail(group, str(error) or repr(error))
        return None

    # ---------------------------------------------------------------------------------- report
    def _report(self) -> None:
        now = monotonic()
        blown = self._fuse.blown(now)
        for group in blown.keys() - self._blown.keys():
            log.error("%s", blown[group])
        self._blown = blown
        blocked = {group: reason for group, trial in self._trials.items() if (reason := trial.blocked(now))} | blown
        progress = Progress(self.name, dict(self._existing), blocked)
        if progress != self.progress:
            self.progress = progress
            self.on_progress(progress)
