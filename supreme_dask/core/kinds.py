"""What each task type needs: declared amounts first, learned ones for the rest, and caution until then."""

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
from supreme_dask.core.shapes import Restrictions, Shape, Task

_UNKNOWN_DURATION = 0.5  # seconds; what Dask assumes too (distributed.scheduler.default-task-durations)
_COARSE_BITS = 6  # learned bytes are rounded up by 3 % at most, so that needs do not change with every run
_SMALL_INPUTS = 1 << 20
_MANY_SHAPES = 1024
_NOTHING = Resources()

ShapeKey = tuple[str, Resources | None, Restrictions | None, float, bool, int, bool]


class Kind:
    """One task type: its profile, the shapes of its tasks, and the runs that measure it first."""

    __slots__ = ("assumed", "price", "probes", "profile", "quota", "resolved", "shapes", "short", "version")

    def __init__(self) -> None:
        self.profile = Profile()
        self.shapes: dict[ShapeKey, Shape] = {}
        self.probes: dict[Key, float] = {}  # tasks of unknown memory that run, and since when
        self.price = TYPICAL_PRICE  # of a failure, when a need was learned last
        self.assumed = False  # whether its tasks no longer wait for a measurement
        self.quota = 1  # how many of them may run at once
        self.short = False
        self.resolved = 0.0  # the duration that its shapes were last ranked by
        self.version = -1  # of the profile that they were last resolved by


class Kinds:
    """All task types, by name."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._kinds: dict[str, Kind] = {}
        self._largest = (0, 0)
        self.reranked = False  # whether a rank has changed since somebody set this back

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
        key = (task.type, task.declared, task.restrictions, task.priority[0], downstream, similar, task.alone)
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

    def depth(self, shape: Shape) -> int:
        """Return how many short tasks of a shape may be on a worker, per thread."""
        duration = self[shape.type].profile.duration or _UNKNOWN_DURATION
        return min(self._settings.most_ahead, max(1, int(self._settings.ahead / max(duration, 1e-4))))

    def assume(self, name: str) -> None:
        """Let tasks of a type that nobody has measured run beside others, as if they took a thread's share."""
        self[name].assumed = True
        self._resolve_all(self[name])
        self._let_look(self[name])

    def stalled(self, name: str, seconds: float) -> None:
        """Note that tasks of a short type have been running for `seconds`, and have not ended."""
        kind = self[name]
        kind.profile.duration = max(kind.profile.duration or 0.0, seconds)
        self._resolve_all(kind)
        self._let_look(kind)

    def workers_changed(self) -> bool:
        """Look again at what is cut to the largest worker, after one joined, left or changed.

        Return whether what any task needs has changed by it.
        """
        rows = self._ledger.open_rows()
        largest = tuple(max((row.capacity[axis] for row in rows), default=0) for axis in (CPU_AXIS, MEMORY_AXIS))
        if largest != self._largest:
            self._largest = (largest[0], largest[1])
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
        demand = dict(shape.declared or _NOTHING)
        demand.setdefault(CPU, self._cut(0, max(1, round(profile.cores)) * CORE))
        memory = demand.get(MEMORY)
        if memory is None:
            memory = self._learned_memory(kind, shape)
        if memory is not None:
            demand[MEMORY] = memory
        idle = [(IDLE_AXIS, 1)] if memory is None or shape.alone else []
        shape.set_need(tuple(sorted([*self._ledger.need(demand), *idle])))
        shape.short = kind.short and not idle and demand[CPU] <= CORE
        shape.duration = profile.duration or _UNKNOWN_DURATION
        shape.timed = profile.duration is not None
        shape.rank = self._share(shape) * shape.duration

    def _learned_memory(self, kind: Kind, shape: Shape) -> int | None:
        estimate = kind.profile.memory(shape.size, failure_price=kind.price)
        if estimate is None and (kind.profile.count or kind.assumed or shape.declared):
            # It ran, and nobody measured it: its worker has no meter. Or it cannot run alone. Or its user says
            # what it needs, and that memory matters less. Assume the share of one thread, as the size of Dask
            # workers commonly is chosen.
            return min(
                (row.capacity[MEMORY_AXIS] // max(row.threads, 1) for row in self._ledger.open_rows()), default=None
            )
        return None if estimate is None else self._cut(1, _coarse(estimate))

    def _price(self, profile: Profile, inputs: int) -> float:
        """Return what the kill of a run with such inputs would cost on the workers as they are."""
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
        largest = self._largest[which]
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
    if len(kind.shapes) >= _MANY_SHAPES:
        kind.shapes = {key: shape for key, shape in kind.shapes.items() if shape.count}


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
