"""What each task type needs: declared amounts first, learned ones for the rest, and until then a guess.

A guess is safe where workers stop a task that would take more than there is (`supreme_dask.worker.wall`). Where some
worker would be killed instead, `Kinds` is cautious: a type whose memory is unknown runs where nothing else runs, one
task at a time, until one run was measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from supreme_dask.core.axes import CORE, CPU_AXIS, IDLE_AXIS, MEMORY_AXIS, THREADS_AXIS
from supreme_dask.core.instructions import Settings
from supreme_dask.core.keys import Key
from supreme_dask.core.kills import price
from supreme_dask.core.ledger import Ledger
from supreme_dask.core.predictors import TYPICAL_PRICE
from supreme_dask.core.profiles import Measurement, Profile
from supreme_dask.core.resources import CPU, MEMORY, Resources
from supreme_dask.core.rows import Row
from supreme_dask.core.shapes import Restrictions, Shape, Task

_UNKNOWN_DURATION = 0.5  # seconds; what Dask assumes too (distributed.scheduler.default-task-durations)
_COARSE_BITS = 6  # learned bytes are rounded up by 3 % at most, so that needs do not change with every run
_SMALL_INPUTS = 1 << 20
_MANY_SHAPES = 1024
_NOTHING = Resources()

_FEW_BYTES = 512
"""One part of so many of a worker's memory may fill with results that others need before fewer are made."""
_MOST = 0.8
"""Part of a learned need that a task may try with where it would wait for ever."""
_GUESS = 1 / 16
"""Part of a thread's share that a task of unknown memory is taken to need: little, for most tasks need little, and a
task that needs more is seen to grow, or is stopped. Of a whole share, one task fewer would fit as soon as a worker
stores anything."""

ShapeKey = tuple[Resources | None, Restrictions | None, bool, int, bool, bool]


class Kind:
    """One task type: its profile, the shapes of its tasks, and what its running tasks tell already."""

    __slots__ = (
        "assumed",
        "grown",
        "many",
        "price",
        "probes",
        "profile",
        "quota",
        "resolved",
        "shapes",
        "short",
        "version",
    )

    def __init__(self) -> None:
        self.profile = Profile()
        self.shapes: dict[ShapeKey, Shape] = {}
        self.many = _MANY_SHAPES  # shapes at which unused ones are looked for
        self.grown = 0  # bytes that one of its tasks held at most before any had ended
        self.probes: dict[Key, float] = {}  # tasks of unknown memory that run, and since when
        self.price = TYPICAL_PRICE  # of a failure, when a need was learned last
        self.assumed = False  # whether its tasks no longer wait for a measurement
        self.quota = 1  # how many of them may run at once
        self.short = False
        self.resolved = 0.0  # the duration that its shapes were last ranked by
        self.version = -1  # of the profile that they were last resolved by


class Kinds:
    """All task types, by name.

    Attributes
    ----------
    cautious : bool
        Whether a task of unknown memory must run alone.
    reranked : bool
        Whether a rank has changed since this was set back.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._kinds: dict[str, Kind] = {}
        self._extremes = (0, 0, 0)
        self.cautious = False
        self.reranked = False

    def __getitem__(self, name: str) -> Kind:
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = Kind()
        return kind

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def shape(self, task: Task) -> Shape:
        """Return the shape that a task belongs to."""
        downstream = task.inputs is not None
        size = _coarse(task.inputs.size) if task.inputs is not None else 0
        similar = _size_class(size) if downstream else -1
        key = (task.declared, task.restrictions, downstream, similar, task.alone, task.actor)
        kind = self[task.type]
        shape = kind.shapes.get(key)
        if shape is None:
            _forget_unused(kind)
            shape = kind.shapes[key] = Shape(task, downstream=downstream, size=size)
            self._resolve(kind, shape)
        elif size > shape.size:
            shape.size = size
            self._resolve(kind, shape)
            self._let_look(kind)  # some predictors expect less of larger inputs
        shape.came_last = task.priority[0]
        if task.feeds and not shape.feeds:
            shape.feeds = self.reranked = True
        return shape

    def learn(self, name: str, measurement: Measurement) -> bool:
        """Take a measurement into account; return whether what tasks of this type need has changed."""
        kind = self[name]
        profile = kind.profile
        first = profile.count == 0
        profile.learn(measurement)
        duration = profile.duration or 0.0
        short = self._is_short(kind, duration)
        if first or profile.version != kind.version or kind.short != short:
            kind.price = self._price(profile, measurement.inputs)
            return self._resolve_all(kind)
        if not kind.resolved / 2 <= duration <= kind.resolved * 2:
            return self._resolve_all(kind)
        return False

    def profiles(self) -> Iterator[tuple[str, Profile]]:
        """Return what was learned of each type."""
        return ((name, kind.profile) for name, kind in self._kinds.items())

    def adopt(self, name: str, profile: Profile) -> bool:
        """Take over what was learned of a type elsewhere, unless something is known here; return whether it was."""
        kind = self[name]
        if kind.profile.count:
            return False
        kind.profile = profile
        self._resolve_all(kind)
        return True

    def may_start(self, shape: Shape) -> bool:
        """Tell whether one more task of a shape may run, as far as its type is concerned: few probe at once."""
        kind = self[shape.type]
        return not shape.probing or shape.alone or len(kind.probes) < kind.quota

    def depth(self, shape: Shape, row: Row) -> int:
        """Return how many tasks of a shape may be on a worker, running or waiting there.

        At least one more than it has threads, as with stock Dask, and some time's worth: of types that are measured
        to be short in all, of others beside those that run. Results that other tasks need are made only as these take
        them, unless they are small.
        """
        kind, threads = self[shape.type], row.threads
        duration = kind.profile.duration or _UNKNOWN_DURATION
        turns = min(self._settings.most_ahead, self._settings.ahead / max(duration, 1e-4))
        depth = threads * max(1, int(turns)) if shape.short else threads + max(1, int(threads * turns))
        if shape.feeds and not shape.downstream:
            held = row.capacity[MEMORY_AXIS] // _FEW_BYTES // max(kind.profile.result, 1)
            depth = min(depth, max(held, threads + 1))
        return depth

    def assume(self, name: str) -> None:
        """Let tasks of a type that nobody has measured run beside others, as if they took a thread's share."""
        self[name].assumed = True
        self._resolve_all(self[name])
        self._let_look(self[name])

    def concede(self, shape: Shape, memory: int) -> None:
        """Let an undeclared need of a shape be so many bytes until more is learned, if that is most of it."""
        needed = dict(shape.need)
        if shape.declares_memory or shape.alone:
            return
        if _MOST * needed.get(MEMORY_AXIS, 0) <= memory < needed.get(MEMORY_AXIS, 0):
            shape.set_need(tuple(sorted({**needed, MEMORY_AXIS: memory}.items())))
            self._let_look(self[shape.type])

    def stalled(self, name: str, seconds: float) -> None:
        """Note that tasks of a short type have been running for `seconds`, and have not ended."""
        kind = self[name]
        kind.profile.duration = max(kind.profile.duration or 0.0, seconds)
        self._resolve_all(kind)
        self._let_look(kind)

    def seen(self, name: str, held: int) -> None:
        """Note that a running task holds so many bytes: others of its type may, while none was measured."""
        kind = self[name]
        if held > kind.grown:
            kind.grown = held
            if not kind.profile.count:
                self._resolve_all(kind)

    def be_cautious(self, cautious: bool) -> None:
        """Let tasks of unknown memory run alone from now on, or beside others."""
        if cautious != self.cautious:
            self.cautious = cautious
            for kind in self._kinds.values():
                self._resolve_all(kind)
                self._let_look(kind)

    def workers_changed(self) -> bool:
        """Look again at what follows from the largest worker and the smallest, after one joined, left or changed.

        Return whether what any task needs has changed by it.
        """
        rows = self._ledger.open_rows()
        cpu = max((row.capacity[CPU_AXIS] for row in rows), default=0)
        memory = max((row.capacity[MEMORY_AXIS] for row in rows), default=0)
        extremes = (cpu, memory, self._share_of_a_thread() or 0)
        if extremes != self._extremes:
            self._extremes = extremes
            changed = [self._resolve_all(kind) for kind in self._kinds.values()]
            return any(changed)
        return False

    # ------------------------------------------------------------------------------------ needs
    def _resolve_all(self, kind: Kind) -> bool:
        """Work out again what the shapes of a type need, and how they rank; return whether a need changed."""
        duration = kind.profile.duration or 0.0
        kind.short = self._is_short(kind, duration)
        kind.resolved = duration
        kind.version = kind.profile.version
        self.reranked = True
        before = [(shape.need, shape.short) for shape in kind.shapes.values()]
        for shape in kind.shapes.values():
            self._resolve(kind, shape)
        return before != [(shape.need, shape.short) for shape in kind.shapes.values()]

    def _let_look(self, kind: Kind) -> None:
        """Let every worker look at the queues again, if tasks of a type wait: they may need less than they did."""
        if any(shape.count for shape in kind.shapes.values()):
            self._ledger.gained.update(dict.fromkeys(self._ledger.open_rows()))

    def _resolve(self, kind: Kind, shape: Shape) -> None:
        profile = kind.profile
        if shape.actor:
            shape.set_need(self._ledger.need(shape.declared or _NOTHING, threads=0))
            return
        demand = dict(shape.declared or _NOTHING)
        demand.setdefault(CPU, self._cut(0, max(1, round(profile.cores)) * CORE))
        shape.guessed = MEMORY not in demand and not kind.profile.is_sure
        if MEMORY not in demand:
            memory = self._learned_memory(kind, shape)
            if memory is not None:
                demand[MEMORY] = memory
        idle = [(IDLE_AXIS, 1)] if shape.alone or (MEMORY not in demand and self.cautious) else []
        shape.set_need(tuple(sorted([*self._ledger.need(demand), *idle])))
        shape.laned = not idle and demand[CPU] <= CORE and shape.restrictions is None
        shape.short = shape.laned and kind.short
        shape.duration = profile.duration or _UNKNOWN_DURATION
        shape.timed = profile.duration is not None
        shape.rank = self._share(shape) * shape.duration

    def _learned_memory(self, kind: Kind, shape: Shape) -> int | None:
        """Return the bytes that a task of a shape is taken to need; None if nothing can be said."""
        profile = kind.profile
        estimate = profile.memory(shape.size, failure_price=kind.price)
        learned = None if estimate is None else self._cut(1, _coarse(estimate))
        share = self._share_of_a_thread()
        if not self.cautious and not profile.is_sure:
            guess = None if share is None else max(int(_GUESS * share), self._cut(1, _coarse(kind.grown)))
            return min((known for known in (learned, guess) if known is not None), default=None)
        if learned is None and (profile.count or kind.assumed or shape.declared):
            # It ran, and nobody measured it: its worker has no meter. Or it cannot run alone. Or its user says what
            # it needs, and that memory matters less. Assume what the size of Dask workers commonly is chosen by.
            return share
        return learned

    def _share_of_a_thread(self) -> int | None:
        """Return a thread's share of the smallest open worker's memory; None if there is no worker."""
        return min(
            (row.capacity[MEMORY_AXIS] // max(row.threads, 1) for row in self._ledger.open_rows()), default=None
        )

    def _price(self, profile: Profile, inputs: int) -> float:
        """Return what a run with such inputs costs if it gets too little, on the workers as they are."""
        if not self.cautious:
            return 1.0  # a task that is stopped loses its own attempt and no other
        memory = profile.memory(inputs, failure_price=1.0)
        own = (memory or 0) * (profile.duration or 0.0)
        # Soon they may be full of its like, though they are empty now.
        return price(own, max(self._ledger.stake, self._beside(memory) * own / 2 if memory else 0.0))

    def _beside(self, memory: int) -> int:
        """Return how many tasks of so much memory an average worker runs at once."""
        total, workers = self._ledger.total, len(self._ledger.open_rows()) or 1
        return min(total[THREADS_AXIS], total[MEMORY_AXIS] // memory) // workers

    def _cut(self, which: int, amount: int) -> int:
        # What nobody declared must not make a task wait for a worker larger than any.
        largest = self._extremes[which]
        return min(amount, largest) if largest else amount

    def _share(self, shape: Shape) -> float:
        if shape.probing:
            return 1.0
        total = self._ledger.total
        return max(amount / (total[axis] or 1) for axis, amount in shape.need)

    def _is_short(self, kind: Kind, duration: float) -> bool:
        if not kind.profile.count:
            return False
        return duration < (self._settings.long if kind.short else self._settings.short)


def _forget_unused(kind: Kind) -> None:
    if len(kind.shapes) >= kind.many:
        kind.shapes = {key: shape for key, shape in kind.shapes.items() if shape.count}
        kind.many = max(_MANY_SHAPES, 2 * len(kind.shapes))  # looked for rarely where all are in use


def _size_class(size: int) -> int:
    """Return the half octave that a size lies in; everything small is one class."""
    return max(0, (size * size >> 40).bit_length() - 1) if size > _SMALL_INPUTS else 0


def _coarse(amount: int) -> int:
    """Round up to a few significant bits.

    >>> [_coarse(amount) for amount in (0, 63, 65, 1000, 1001, 1025)]
    [0, 63, 66, 1008, 1008, 1056]
    """
    drop = max(0, amount.bit_length() - _COARSE_BITS)
    return -(-amount >> drop) << drop
