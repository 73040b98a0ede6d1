"""Random programs: what a client does, step by step, and on which workers.

`generate` makes a program of an integer, the same one each time. Each ends on plain Dask, whatever runs first, and
comes to the same results:

* tasks that wait for others in their threads are fewer than the threads of any worker;
* who waits holds no resource;
* workers that leave hold nothing that only they have, and no task is bound to them;
* who would do something twice if he ran twice is not in a program in which workers leave.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker: its threads, what it declares, and its memory limit."""

    threads: int
    resources: tuple[tuple[str, float], ...] = ()
    memory: str = "20 GiB"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a client does.

    Attributes
    ----------
    does
        An action of `playing`, or the name of one of the `functions`, which is submitted.
    name
        Of what it makes.
    uses
        Names of tasks that it takes the results of, or acts on.
    needs
        Names of steps without which it would not end.
    options
        Of `Client.submit`.
    """

    does: str
    name: str
    uses: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    about: Any = None
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        about = "" if self.about is None else f" {self.about}"
        options = "".join(f", {name}={value}" for name, value in self.options)
        return f"{self.does} {self.name}({', '.join(self.uses)}){about}{options}"


@dataclass(frozen=True, slots=True)
class Program:
    """Steps of one client, on a layout of workers.

    Attributes
    ----------
    keys
        How tasks are named: ``dask`` (as Dask does), ``fresh`` (types that nobody has seen), ``numbered``
        (``run_1``), ``tuple``.
    ordered
        Whether the order in which its `marked` tasks begin is judged.
    """

    seed: int
    layout: str
    keys: str
    steps: tuple[Step, ...]
    ordered: bool = False

    def __str__(self) -> str:
        return "\n  ".join([f"seed {self.seed}, workers {self.layout}, keys {self.keys}:", *map(str, self.steps)])

    @property
    def kinds(self) -> list[str]:
        """What is in it, for a count of what goes wrong."""
        return sorted({step.does for step in self.steps})

    def without(self, dropped: Iterable[str]) -> Program:
        """Return the program less some steps, and less those that take something of theirs or wait for them."""
        gone = set(dropped)
        while more := {s.name for s in self.steps if s.name not in gone and gone & {*s.uses, *s.needs}}:
            gone |= more
        return replace(self, steps=tuple(step for step in self.steps if step.name not in gone))


LAYOUTS: dict[str, tuple[WorkerSpec, ...]] = {
    "none": (),
    "single": (WorkerSpec(1),),
    "pair": (WorkerSpec(2), WorkerSpec(2)),
    "four": (WorkerSpec(4, memory="1.5 GiB"), WorkerSpec(4, memory="1.5 GiB")),
    "mixed": (WorkerSpec(1), WorkerSpec(2, (("gpu", 1),)), WorkerSpec(4, (("gpu", 2), ("slots", 3)))),
}
JOINING = WorkerSpec(2)
KEYS = ("dask", "fresh", "numbered", "tuple")


def generate(seed: int) -> Program:
    """Return the program of a seed."""
    chance = random.Random(seed)
    if chance.random() < 0.12:
        return _ordered(seed, chance)
    return _Maker(seed, chance).make()


# ------------------------------------------------------------------------------------------ order
def _ordered(seed: int, chance: random.Random) -> Program:
    """Return a program whose tasks all become ready at once, on one thread.

    They take the result of a gate, so that none has begun before all are known. Each group has more than twice as
    many tasks as there are threads: Dask then lets them wait at the scheduler, in order. Groups that are smaller go
    to the worker at once and overtake, which is why there are none. Where ``fifo_timeout`` is 0, each submission is
    a generation of its own; otherwise they share one, for they take less than 100 ms.
    """
    steps, soon = [Step("gate", "gate")], (("fifo_timeout", "0 ms"),) if chance.random() < 0.5 else ()
    for number in range(chance.randint(1, 4)):
        priorities = chance.choice([(0,), (0,), (0, 5, -5)])
        names = [f"t{number}x{n}" for n in range(chance.randint(6, 12))]
        steps += [
            Step("marked", name, ("gate",), about=number, options=(("priority", chance.choice(priorities)), *soon))
            for name in names
        ]
    steps.append(Step("open", "opened", ("gate",)))
    return Program(seed, "single", "grouped", tuple(steps), ordered=True)


# --------------------------------------------------------------------------------------- the rest
@dataclass
class _Maker:
    seed: int
    chance: random.Random
    steps: list[Step] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)  # that others may use
    leaving: list[int] = field(default_factory=list)

    def make(self) -> Program:
        chance = self.chance
        self.layout = chance.choice(list(LAYOUTS))
        self.workers = LAYOUTS[self.layout]
        if len(self.workers) > 1 and chance.random() < 0.3:
            # The last ones stay: some tasks are bound to them.
            self.leaving = [0]
        self.spare = min((each.threads for each in self.workers), default=JOINING.threads) - 1
        kinds = chance.sample(_STILL if self.leaving else _ALL, chance.randint(2, 5))
        for _ in range(chance.randint(3, 14)):
            chance.choice(kinds)(self)
        self._come_and_go()
        return Program(
            self.seed, self.layout, chance.choice(["dask", "fresh", "numbered", "tuple"]), tuple(self.steps)
        )

    def _come_and_go(self) -> None:
        """Let workers leave and join somewhere; where there are none, at least one joins, at last."""
        for index in self.leaving:
            kind = self.chance.choice(["die", "retire"])
            self._insert(Step(kind, f"{kind}-{index}", about=index))
        if self.layout == "none":
            # The client itself waits here, for what only a worker can do.
            asking = [n for n, step in enumerate(self.steps) if step.does in ("scatter", "ask", "wait")]
            self.steps.insert(min([*asking, self.chance.choice([0, len(self.steps)])]), Step("join", "join-0"))
        elif self.chance.random() < 0.2:
            self._insert(Step("join", "join-0"))

    def _insert(self, step: Step) -> None:
        self.steps.insert(self.chance.randint(0, len(self.steps)), step)

    # ------------------------------------------------------------------------------ building blocks
    def add(self, does: str, inputs: int = 0, *, more: Iterable[str] = (), usable: bool = True, **known: Any) -> str:
        """Add a step, of a task that takes some results at random."""
        name = f"n{len(self.steps)}"
        uses = tuple(self.chance.sample(self.tasks, min(inputs, len(self.tasks))))
        options = known.pop("options", None)
        step = Step(does, name, (*more, *uses), options=tuple((options or {}).items()), **known)
        self.steps.append(step)
        if usable:
            self.tasks.append(name)
        return name

    def options(self, *, bound: bool = True) -> dict[str, Any]:
        """Return options as users give them, of which the task can run."""
        chance, found = self.chance, {}
        if chance.random() < 0.25:
            found["priority"] = chance.choice([-10, -1, 1, 10])
        if chance.random() < 0.15:
            found["retries"] = chance.randint(1, 3)
        staying = [n for n in range(len(self.workers)) if n not in self.leaving]
        if bound and staying and chance.random() < 0.2:
            found["workers"] = tuple(chance.sample(staying, chance.randint(1, len(staying))))
            found["allow_other_workers"] = chance.random() < 0.4
        elif bound and self.layout == "mixed" and chance.random() < 0.35:
            found["resources"] = chance.choice([(("gpu", 1),), (("gpu", 2),), (("slots", 1),), (("slots", 3),)])
        return found

    def may_wait(self) -> bool:
        """Tell whether one more task may wait in its thread."""
        return sum(step.does in WAITING for step in self.steps) < self.spare

    # -------------------------------------------------------------------------------------- kinds
    def some(self) -> None:
        self.add("mix", self.chance.randint(0, 3), options=self.options())

    def sources(self) -> None:
        for _ in range(self.chance.randint(2, 8)):
            self.add("mix", options=self.options(bound=False))

    def chain(self) -> None:
        last = self.add("mix", 1)
        for _ in range(self.chance.randint(1, 6)):
            last = self.add("mix", more=(last,))

    def tree(self) -> None:
        level = [self.add("mix") for _ in range(self.chance.choice([4, 8]))]
        while len(level) > 1:
            level = [self.add("mix", more=pair) for pair in zip(level[::2], level[1::2], strict=True)]

    def pairs(self) -> None:
        """A graph of two sources, sent as one."""
        self.add("graph", about=self.chance.randint(2, 10), options=self.options(bound=False))

    def mapped(self) -> None:
        self.add("map", about=self.chance.randint(3, 25), options=self.options(), usable=False)

    def failing(self) -> None:
        self.add("fail", self.chance.randint(0, 1), options=self.options())

    def flaky(self) -> None:
        self.add("flaky", self.chance.randint(0, 1), options={"retries": self.chance.choice([1, 2, 4])})

    def parents(self) -> None:
        if self.may_wait():
            self.add("parent", 1, options=self.options(bound=False))

    def seceding(self) -> None:
        for _ in range(self.chance.randint(1, 5)):
            self.add("seceding", self.chance.randint(0, 1), options=self.options(bound=False))

    def rejoining(self) -> None:
        self.add("rejoining", self.chance.randint(0, 1), options=self.options(bound=False))

    def events(self) -> None:
        self._meet("wait_event", "set_event")

    def variables(self) -> None:
        self._meet("get_variable", "set_variable")

    def queues(self) -> None:
        self._meet("take", "put")

    def _meet(self, waits: str, acts: str) -> None:
        """Add a task that waits for another one, which is submitted after it or before."""
        if not self.may_wait():
            return
        place, number = f"{waits}-{len(self.steps)}", len(self.steps)
        # The one that is waited for has no inputs, for they may fail, and is not usable, for who releases it may do
        # so before it has run: the other one would wait for ever.
        acting = {"about": place, "usable": False}
        if self.chance.random() < 0.7:
            self.add(waits, about=place, needs=(f"n{number + 1}",), options=self.options(bound=False), usable=False)
            self.add(acts, options=self.options(bound=False), **acting)
        else:
            self.add(acts, options=self.options(), **acting)
            self.add(waits, about=place, needs=(f"n{number}",), options=self.options(bound=False), usable=False)

    def locks(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.add("locked", about="lock", options=self.options(bound=False))

    def actors(self) -> None:
        """Add an actor, or a second one: three of one group may be more than twice the threads; Dask then fails."""
        if sum(step.does == "actor" for step in self.steps) == 2:
            return
        actor = self.add("actor", usable=False)
        # A caller that was there before any worker may wait for ever, on plain Dask.
        for _ in range(self.chance.randint(0, 3) if self.layout != "none" else 0):
            self.add("call", more=(actor,), options=self.options(bound=False), usable=False)
        self.add("ask", more=(actor,), usable=False)

    def scattered(self) -> None:
        self.add("scatter", about=self.chance.random() < 0.3)

    def cancels(self) -> None:
        name = self.add("mix", self.chance.randint(0, 2), options=self.options(), usable=False)
        self.add("cancel", more=(name,), usable=False)

    def waits(self) -> None:
        if self.tasks:
            self.add("wait", 1, usable=False)

    def releases(self) -> None:
        if self.tasks:
            name = self.tasks.pop(self.chance.randrange(len(self.tasks)))
            self.add("release", more=(name,), usable=False)


WAITING = ("parent", "wait_event", "get_variable", "take")

_STILL = [
    _Maker.some, _Maker.some, _Maker.sources, _Maker.chain, _Maker.tree, _Maker.pairs, _Maker.mapped, _Maker.failing,
    _Maker.parents, _Maker.seceding, _Maker.events, _Maker.variables, _Maker.cancels, _Maker.waits, _Maker.releases,
]  # fmt: skip
_ALL = [*_STILL, _Maker.rejoining, _Maker.flaky, _Maker.queues, _Maker.locks, _Maker.actors, _Maker.scattered]
