"""Makes the workers that exist those that a plan wants.

It compares what exists with the last plan, again and again, so it does not matter what was missed: a worker that
crashed, a launch that failed, or its own death. The reason of a failure is told to whoever plans.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from time import monotonic

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan, Progress, Steps
from supreme_dask.core.reconciling import Reconciler
from supreme_dask.errors import ProvisionError
from supreme_dask.errors.base import whole
from supreme_dask.provisioners.base import Provisioner
from supreme_dask.stores.outage import Outage

log = logging.getLogger(__name__)

_LOOK = 0.5  # s between two looks at what exists


class Controller:
    """Carries out the plans of one system with one provisioner, on one event loop.

    Whatever a plan says, never more workers of a group exist than its maximum, those that are ending counted, and no
    more are launched within an hour than may be.

    Parameters
    ----------
    provisioner
        Makes the workers and removes them.
    groups
        All groups of the system.
    name
        Under which it reports.
    launches_per_hour
        How many of one group may be launched within an hour; None for the default of `core.fuse.Fuse`.

    Attributes
    ----------
    name : str
        Under which it reports.
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
        self.progress = Progress(name)
        self.on_progress: Callable[[Progress], None] = lambda _progress: None
        self._reconciler = Reconciler(name, groups, life=uuid.uuid4().hex, launches_per_hour=launches_per_hour)
        self._provisioner = provisioner
        self._wanted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._outage = Outage(log)
        self._removals: set[asyncio.Task[None]] = set()
        self._blown: dict[str, str] = {}
        self._troubled: dict[str, str] = {}  # workers that do not start, and their groups
        self._looks: asyncio.Task[None] | None = None
        self._holds: Callable[[], bool] = lambda: True

    @property
    def groups(self) -> Mapping[str, WorkerGroup]:
        """The worker groups of which it can make workers, by name."""
        return self._reconciler.groups

    async def begin(self) -> None:
        """Look once, however long the provisioner cannot be asked, and then by itself."""
        while not await self._try_to_look():  # noqa: ASYNC110  a provisioner is asked, it tells nothing
            await asyncio.sleep(_LOOK)
        self.start()

    def start(self) -> None:
        """Begin to look by itself, on the running event loop, and return at once."""
        self._looks = asyncio.create_task(self._look_on(), name="supreme-controller")

    async def stop(self, patience: float = 10.0) -> None:
        """End; the workers stay.

        Parameters
        ----------
        patience
            Seconds that removals have to end; those that take longer are left to the next controller.
        """
        if self._looks is not None:
            self._looks.cancel()
            await asyncio.gather(self._looks, return_exceptions=True)
        if self._removals:
            await asyncio.wait(self._removals, timeout=patience)
        for removal in self._removals:
            removal.cancel()
        await asyncio.gather(*self._removals, return_exceptions=True)

    def change_groups(self, groups: Iterable[WorkerGroup]) -> None:
        """Make workers of these groups from now on; the fuse of a group that has changed is reset."""
        self._reconciler.change_groups(groups)

    def lead(self, term: int, holds: Callable[[], bool] = lambda: True) -> None:
        """Launch workers from now on, for plans that take into account what this controller has.

        Parameters
        ----------
        term
            Greater than that of every leader of the system before; 0 to launch none, since another controller does:
            those that are there are removed and reported as ever.
        holds
            Tells whether it leads still; asked before each launch.
        """
        self._reconciler.term = term
        self._holds = holds
        self._wanted.set()

    def accept(self, plan: Plan) -> bool:
        """Let a plan be in force from now on, and tell whether it is.

        One that is not later than the last is refused: its scheduler has lost the system, or was faster than its
        messages.
        """
        if not self._reconciler.accept(plan):
            if plan != self._reconciler.plan:
                log.warning("Plan %d of epoch %d is refused: a later one is in force", plan.generation, plan.epoch)
            return False
        self._wanted.set()
        return True

    async def carry_out(self, plan: Plan) -> Progress:
        """Do what a plan asks for, if it is accepted, and return what was reached."""
        return await self.look() if self.accept(plan) else self.progress

    async def look(self) -> Progress:
        """Compare what exists with the plan, and do what is lacking; do not wait for workers to start or to end."""
        async with self._lock:
            await self._take_in()
            if not self._holds():
                self._reconciler.term = 0
            await self._do(self._reconciler.next(monotonic()))
            self._report(await self._provisioner.workers())
            return self.progress

    async def _look_on(self) -> None:
        while True:
            self._wanted.clear()
            if not await self._try_to_look():
                await asyncio.sleep(_LOOK)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._wanted.wait()

    async def _try_to_look(self) -> bool:
        """Look, and return whether that was possible: a provisioner may raise anything, and the next look go well."""
        try:
            await self.look()
        except Exception as error:
            log.debug("Not looked after", exc_info=True)
            self._outage.failed("The workers cannot be looked after now", whole(error))
            return False
        self._outage.ended("The workers are looked after again")
        return True

    async def _take_in(self) -> None:
        """Learn which workers have arrived, which do not start, and which are gone though they were not removed."""
        existing = await self._provisioner.workers()
        arrived = set(await self._provisioner.arrived())
        ended = self._reconciler.take_in(existing, arrived)
        await self._take_in_troubles({name: group for name, group in existing.items() if name not in arrived})
        for name, group in ended.items():
            words = await self._provisioner.last_words(name) or "for an unknown reason"
            log.warning("Worker %s is gone: %s", name, words)
            if self._reconciler.ended_early(name):
                self._fail(group, f"{name} ended before it joined: {words}")

    async def _take_in_troubles(self, starting: Mapping[str, str]) -> None:
        """Learn why workers do not start, while they are still waited for; one of each group stands for all."""
        self._troubled = {name: group for name, group in self._troubled.items() if name in starting}
        for name, group in starting.items():
            if group not in self._troubled.values() and (words := await self._provisioner.trouble(name)):
                self._troubled[name] = group
                self._fail(group, f"{name} does not start: {words}")

    def _fail(self, group: str, reason: str) -> None:
        log.warning("No worker of group %s for now: %s", group, reason)
        self._reconciler.fail(group, reason, monotonic())

    async def _do(self, todo: Steps) -> None:
        if todo.remove:
            removal = asyncio.create_task(self._remove(todo.remove))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)
        if todo.launch and self._reconciler.plan is not None:
            await self._provisioner.heed(self._reconciler.plan)
        for group, count in todo.launch.items():
            await self._launch(group, count)

    async def _remove(self, names: Collection[str]) -> None:
        log.info("Remove %s", ", ".join(names))
        try:
            await self._provisioner.remove(names)
        except Exception:  # a provisioner may raise anything; what still exists at the next look is removed again
            log.exception("Not removed: %s", ", ".join(names))
        self._reconciler.removed(names)
        self._wanted.set()

    async def _launch(self, group: str, count: int) -> None:
        if group not in self.groups:
            return self._fail(group, f"controller {self.name!r} has only {', '.join(self.groups) or 'nothing'}")
        log.info("Launch %d of group %s", count, group)
        try:
            await self._provisioner.launch(self.groups[group], count)
        except ProvisionError as error:
            self._fail(group, error.reason)
        except Exception as error:  # a provisioner may raise anything, and other groups have theirs to launch
            log.debug("Launching failed", exc_info=True)
            self._fail(group, whole(error))
        return None

    def _report(self, existing: Mapping[str, str]) -> None:
        now = monotonic()
        blown = self._reconciler.blown(now)
        for group in blown.keys() - self._blown.keys():
            log.error("%s", blown[group])
        self._blown = blown
        progress = self._reconciler.progress(existing, now)
        if progress != self.progress:
            self.progress = progress
            self.on_progress(progress)
