"""Plays a program on a grid: each step as a client does it, and what came of every future."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Event, Future
from distributed.client import FutureCancelledError

from tests.differential import functions
from tests.differential.grids import Grid
from tests.differential.programs import JOINING, Program, Step
from tests.scheduler.clusters import until

_plays = itertools.count()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program: of each future its value or how it failed, and in which order marked tasks began.

    Attributes
    ----------
    hang
        What was not done in time; empty if it ended.
    """

    results: dict[str, Any]
    order: tuple[str, ...] = ()
    hang: tuple[str, ...] = ()


async def play(program: Program, grid: Grid, patience: float) -> Outcome:
    """Play a program to its end, or for so many seconds."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:  # released tasks may still write
        running = _Play(program, grid, place)
        try:
            await asyncio.wait_for(running.all(), patience)
        except TimeoutError:
            return Outcome({}, hang=tuple(running.undone()))
        finally:
            await running.free()
        return Outcome(running.results, _order(place))


class _Play:
    def __init__(self, program: Program, grid: Grid, place: str) -> None:
        self.program, self.grid, self.client, self.place = program, grid, grid.client, place
        self.number = next(_plays)
        self.futures: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.made: list[Future] = []
        self.at = "start"

    async def all(self) -> None:
        """Take all steps, then wait for all results."""
        self.grid.make_current()
        for step in self.program.steps:
            self.at = str(step)
            action = getattr(self, f"do_{step.does}", self.submit)
            await action(step)
            self.made += _listed(self.futures.get(step.name, []))
        self.at = "results"
        for name, made in self.futures.items():
            self.results[name] = await self._result(made)

    def undone(self) -> list[str]:
        """Say what is not done."""
        pending = [name for name, made in self.futures.items() if any(not one.done() for one in _listed(made))]
        return [f"at {self.at}", *pending]

    async def free(self) -> None:
        """Let tasks that still wait for others go."""
        for step in self.program.steps:
            if step.does == "gate":
                await Event(f"{self.place}/gate", client=self.client).set()
        for made in self.made:
            made.release()  # a failed one is held by the traceback of what it failed with
        self.futures.clear()

    async def _result(self, made: Any) -> Any:
        if isinstance(made, list):
            return [await self._result(each) for each in made]
        try:
            value = await made.result()
        except FutureCancelledError:
            return made.status
        except Exception as error:  # noqa: BLE001, whatever it failed with is its outcome
            return made.status, type(error).__name__
        # An actor is a reference to where it lives.
        return value if isinstance(value, int) else type(value).__name__

    # -------------------------------------------------------------------------------------- tasks
    async def submit(self, step: Step) -> None:
        """Submit one of the functions."""
        inputs = [self.futures[name] for name in step.uses]
        if step.does in ("wait_event", "set_event", "get_variable", "set_variable", "take", "put", "locked"):
            inputs.insert(0, self._meeting(step))
        work = getattr(functions, step.does)
        self.futures[step.name] = self.client.submit(
            work, step.name, self.place, *inputs, key=self._key(step), pure=False, **self._options(step)
        )

    def _meeting(self, step: Step) -> str:
        return str(step.about)

    def _options(self, step: Step) -> dict[str, Any]:
        options = dict(step.options)
        if "workers" in options:
            options["workers"] = [self.grid.address(number) for number in options["workers"]]
        if "resources" in options:
            options["resources"] = dict(options["resources"])
        return options

    def _key(self, step: Step, number: int = 0) -> Any:
        place = [each.name for each in self.program.steps].index(step.name) * 100 + number
        match self.program.keys:
            case "fresh":
                return f"{step.does}{self.program.seed}x-{step.name}-{number}-{self.number}"
            case "numbered":
                return f"run_{self.number}_{place}"
            case "tuple":
                return (f"{step.does}-{self.number}", place)
            case "grouped":
                return f"group{step.about}x-{step.name}-{self.number}"
        return None

    async def do_map(self, step: Step) -> None:
        names = [f"{step.name}m{n}" for n in range(step.about)]
        keys = [self._key(step, n) for n in range(step.about)] if self.program.keys != "dask" else None
        self.futures[step.name] = self.client.map(
            functions.mix, names, place=self.place, key=keys, pure=False, **self._options(step)
        )

    async def do_graph(self, step: Step) -> None:
        """Send sources of two kinds, joined in pairs, and their sum, in one graph."""
        token, graph = f"{self.program.seed}-{self.number}-{step.name}", {}
        for n in range(step.about):
            graph[f"one-{token}", n] = (functions.mix, f"one{n}", self.place)
            graph[f"two-{token}", n] = (functions.mix, f"two{n}", self.place)
            graph[f"both-{token}", n] = (functions.mix, "both", self.place, (f"one-{token}", n), (f"two-{token}", n))
        graph[f"all-{token}"] = (sum, [(f"both-{token}", n) for n in range(step.about)])
        self.futures[step.name] = self.client.get(graph, f"all-{token}", sync=False, **self._options(step))

    async def do_actor(self, step: Step) -> None:
        self.futures[step.name] = self.client.submit(functions.Counter, actor=True, key=self._key(step), pure=False)

    async def do_ask(self, step: Step) -> None:
        """Ask an actor what its callers have told it, once all have."""
        actor = self.futures[step.uses[0]]
        calls = [each.name for each in self.program.steps if each.does == "call" and each.uses == step.uses]
        for call in calls:
            await self.futures[call]
        self.results[step.name] = await (await actor).add(0)

    async def do_gate(self, step: Step) -> None:
        self.futures[step.name] = self.client.submit(
            functions.wait_event, step.name, self.place, "gate", key=f"gate-{self.number}"
        )

    async def do_open(self, step: Step) -> None:
        """Open the gate once all tasks are known."""
        keys = [future.key for future in self.futures.values()]
        await until(lambda: all(key in self.grid.scheduler.tasks for key in keys))
        await Event(f"{self.place}/gate", client=self.client).set()

    # ------------------------------------------------------------------------------ what clients do
    async def do_scatter(self, step: Step) -> None:
        self.futures[step.name] = await self.client.scatter(17, broadcast=step.about, hash=False)

    async def do_cancel(self, step: Step) -> None:
        await self.client.cancel([self.futures[step.uses[0]]])

    async def do_wait(self, step: Step) -> None:
        for name in step.uses:
            await self._result(self.futures[name])

    async def do_release(self, step: Step) -> None:
        self.futures.pop(step.uses[0]).release()

    # ------------------------------------------------------------------------------------- workers
    async def do_join(self, step: Step) -> None:
        await self.grid.start(100, JOINING)

    async def do_die(self, step: Step) -> None:
        await self.grid.die(step.about)

    async def do_retire(self, step: Step) -> None:
        await self.grid.retire(step.about)


def _order(place: str) -> tuple[str, ...]:
    order = Path(place, "order")
    return tuple(order.read_text().split()) if order.exists() else ()


def _listed(made: Any) -> list[Future]:
    return made if isinstance(made, list) else [made]
