"""Plays programs on plain Dask and on ours, and judges what came of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from tests.differential.grids import Grid
from tests.differential.playing import Outcome, play
from tests.differential.programs import Program, Step, generate

PATIENCE = 20.0  # seconds for a program of some milliseconds
CHANCES = 20  # more times that plain Dask plays what ours does otherwise: its own hangs come by chance


@dataclass(frozen=True, slots=True)
class Difference:
    """A program of which ours made something else than plain Dask, which does the same again.

    Attributes
    ----------
    alone
        Whether ours does it too on a cluster that has played nothing else.
    """

    program: Program
    what: str
    alone: bool

    def __str__(self) -> str:
        how = "" if self.alone else " (not so on a cluster that has played nothing else)"
        return f"{self.program}\n→ {self.what}{how}\n  again: python tests/differential/run.py {self.program.seed}"


@dataclass
class Judge:
    """Keeps one cluster for each contender and layout, and counts.

    Attributes
    ----------
    other
        Whom to compare plain Dask with; with itself, to see that the judge is fair.
    unstable
        Seeds of programs of which plain Dask itself does not make the same each time; they are not judged.
    once
        Seeds of programs of which ours made something else once in three times.
    """

    processes: bool = False
    patience: float = PATIENCE
    other: str = "ours"
    played: int = 0
    unstable: list[int] = field(default_factory=list)
    once: list[int] = field(default_factory=list)
    _grids: dict[tuple[int, str], Grid] = field(default_factory=dict)

    async def __aenter__(self) -> Judge:
        return self

    async def __aexit__(self, *_: object) -> None:
        for grid in self._grids.values():
            await grid.__aexit__()

    async def differences(self, seeds: Iterable[int]) -> AsyncIterator[Difference]:
        """Give the differences that the programs of some seeds show."""
        for seed in seeds:
            program = generate(seed)
            if found := await self.judge(program):
                yield found
            self.played += 1

    async def judge(self, program: Program) -> Difference | None:
        """Play a program on both; if they differ, see whether each does the same again, twice.

        What ours does not do again is a matter of time, as some hangs of plain Dask are: it is counted in `once`.
        What ours does again is a difference only if plain Dask does not do it in `CHANCES` more plays.
        """
        stock, ours = await self._play(0, "stock", program), await self._play(1, self.other, program)
        what = differs(program, stock, ours)
        if stock.hang:
            self.unstable.append(program.seed)
        if what is None or stock.hang:
            return None
        if not await self._stable(program, stock, 2):
            return None
        ours_again = [differs(program, stock, await self.alone(self.other, program)) for _ in range(2)]
        if not any(ours_again):
            self.once.append(program.seed)
            return None
        if not await self._stable(program, stock, CHANCES):
            return None
        return Difference(program, what, ours_again[0] is not None)

    async def _stable(self, program: Program, first: Outcome, plays: int) -> bool:
        """Tell whether plain Dask makes the same of a program so many more times; note the seed if it does not."""
        for _ in range(plays):
            other = await self.alone("stock", program)
            if differs(program, first, other) or differs(program, other, first):
                self.unstable.append(program.seed)
                return False
        return True

    async def alone(self, contender: str, program: Program) -> Outcome:
        """Play a program on a cluster of its own."""
        async with Grid(contender, program.layout, processes=self.processes) as grid:
            return await play(program, grid, self.patience)

    async def _play(self, side: int, contender: str, program: Program) -> Outcome:
        """Play a program on a cluster that has played others, unless the last one left it in disorder."""
        place = side, program.layout
        if place not in self._grids:
            self._grids[place] = await Grid(contender, program.layout, processes=self.processes).__aenter__()
        grid = self._grids[place]
        outcome = await play(program, grid, self.patience)
        if outcome.hang or not await grid.restore():
            await self._grids.pop(place).__aexit__()
        return outcome


def differs(program: Program, stock: Outcome, other: Outcome) -> str | None:
    """Say what another outcome has that one of plain Dask has not; nothing if it may be."""
    if other.hang:
        return f"hang {', '.join(other.hang)}"
    for name, result in stock.results.items():
        if result != other.results.get(name):
            return f"{name}: {other.results.get(name)} and not {result}"
    return overtaken(program, other.order) if program.ordered else None


def overtaken(program: Program, order: tuple[str, ...]) -> str | None:
    """Say which task began before one that Dask starts first: by priority, then by submission.

    Examples
    --------
    >>> steps = (Step("marked", "a", options=(("priority", 0),)), Step("marked", "b", options=(("priority", 5),)))
    >>> overtaken(Program(0, "single", "grouped", steps), ("b", "a"))
    >>> overtaken(Program(0, "single", "grouped", steps), ("a", "b"))
    'a began before b'
    """
    ranks = {step.name: _rank(step, number) for number, step in enumerate(program.steps) if step.does == "marked"}
    for first, second in itertools.pairwise(order):
        if ranks[first] > ranks[second]:
            return f"{first} began before {second}"
    return None


def _rank(step: Step, number: int) -> tuple[int, int]:
    options = dict(step.options)
    return -options["priority"], number if "fifo_timeout" in options else 0


async def shrink(judge: Judge, program: Program) -> Program:
    """Return a smaller program of which ours still makes something else, each time on a cluster of its own."""
    for name in [step.name for step in reversed(program.steps)]:
        less = program.without([name])
        if less.steps == program.steps:
            continue
        stock = await judge.alone("stock", less)
        if not stock.hang and differs(less, stock, await judge.alone(judge.other, less)):
            program = less
    return program


def kinds(found: Iterable[Difference]) -> Counter[str]:
    """Count what is in the programs that differ."""
    return Counter(kind for each in found for kind in each.program.kinds)


async def judge_all(
    seeds: Iterable[int], judge: Judge, most: int, tell: Callable[[Difference], None] = lambda _: None
) -> list[Difference]:
    """Return the differences that some seeds show, and tell each at once; stop after so many."""
    found: list[Difference] = []
    async with judge:
        async for each in judge.differences(seeds):
            found.append(each)
            tell(each)
            if len(found) >= most:
                break
    return found
