"""What keeps a worker below its memory limit while its tasks grow: how much may be mapped, and who is stopped.

Two guards. What a process maps is limited a little below its memory limit, so a leap fails in the task that takes it.
Small steps are let through, so that what is not a task goes on; they are looked at, and one task is stopped when they
come too near.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Self

from supreme_dask.core.keys import Key

TELLING = 256 << 10
"""Bytes by which a process must have changed for anybody to ask whose they are; allocators breathe below that."""
_LAST = 0.98
"""Part of its limit that a process should never pass, in small steps either. A nanny ends one that passes 0.985."""
_END, _LOOKS, _FAR = 0.985, 4, 1.05
"""Part of its limit at which a nanny ends a worker with a wall, if it is above in so many looks, ten each second; and
part of its limit at which it does so at once."""
_MARGIN = 32 << 20
"""Bytes that a process may map between two looks, though it is beyond the wall: messages, inputs, spilling."""
_SETTLED = 0.2  # seconds; what is unmapped is so by then
_EMERGENCY = 2 << 20
"""Bytes that it may map at any time: one message takes one MiB, and a worker that cannot send it is lost."""
_SURELY = 16
"""What a task took counts as its own if at most one of so many bytes may have been another's."""
_KEPT_ALONE = 3
"""Times that a task without a reservation may fail alone on its worker before that is called its own fault."""
_GROWN, _UNTOLD = 1.1, 16 << 20
"""What a task must have grown to, above what was told of it, for that to be worth a message."""
_RATE = 4 << 30  # bytes per second; nothing fills memory faster from one thread
_SOONEST, _STILL, _BUSY, _IDLE = 0.005, 0.010, 0.025, 0.1  # seconds between looks
_PERIOD = 5.0  # seconds; what is mapped and stays untouched for two of them is not about to be filled


@dataclass(frozen=True, slots=True)
class Levels:
    """How far the memory of a worker may go, in bytes.

    Attributes
    ----------
    limit : int
        Its memory limit.
    stop : int
        The wall: no leap may pass it, and tasks are stopped when steps do.
    last : int
        What steps should not pass either.
    """

    limit: int
    stop: int
    last: int

    @classmethod
    def of(cls, limit: int, fraction: float) -> Self:
        """Return the levels of a worker whose wall is at a fraction of its limit."""
        return cls(limit, int(limit * fraction), int(limit * max(fraction, _LAST)))

    @property
    def near(self) -> int:
        """Bytes from which on allocators are asked for what they keep, before anybody is stopped for it."""
        return 2 * self.stop - self.last - _MARGIN

    def margin(self, used: int) -> int:
        """Return how many bytes a process that uses so many may map more, whatever else holds."""
        return min(max(self.last - used, _EMERGENCY), _MARGIN)


class Allowance:
    """How much a process may have mapped.

    What it has mapped already, and what it may use more; but the least of the last moments. While memory is unmapped,
    for a tenth of a second and more, it is no longer used and still mapped, as if an allocator had kept it: who
    believed that would give away the same bytes twice.
    """

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._since = -_SETTLED
        self._least = self._before = levels.limit

    def look(self, mapped: int, used: int, pending: int, now: float) -> int:
        """Return the bytes that it may have mapped from this time on, in seconds.

        Parameters
        ----------
        mapped
            Bytes that it has mapped.
        used
            Bytes that it has of the machine's memory.
        pending
            Bytes that it has mapped and is about to use.
        """
        allowed = mapped + self._levels.stop - used - pending
        if now - self._since > _SETTLED:
            self._since, self._before, self._least = now, self._least, allowed
        self._least = min(self._least, allowed)
        return max(min(self._before, self._least), mapped + self._levels.margin(used))


class Footprint:
    """What a process has taken: what it holds, and what it has mapped lately and is about to fill.

    Other memory is mapped and not held for good: stacks of threads, what allocators reserve, and what they keep of
    what was freed. Only time tells that from a large array that will be filled: what is mapped while tasks run counts
    as theirs until it is filled or unmapped, they have ended, or some seconds have passed.
    """

    def __init__(self, mapped: int, held: int) -> None:
        self._mapped, self._held = mapped, held
        self._since, self._recent = 0.0, 0
        self.pending = 0

    def look(self, mapped: int, held: int, now: float, *, idle: bool) -> int:
        """Take in what is mapped and held at this time, in seconds; return the bytes that were taken since the last.

        Parameters
        ----------
        idle
            Whether nothing runs, so that nothing is about to be filled.
        """
        more_mapped, more_held = mapped - self._mapped, held - self._held
        if max(abs(more_mapped), abs(more_held)) < TELLING and not idle:
            return 0
        self._mapped, self._held = mapped, held
        before = self.pending
        self._count(more_mapped, more_held)
        change = more_held + self.pending - before
        self._forget(now, idle=idle)
        return change

    def _count(self, more_mapped: int, more_held: int) -> None:
        more = more_mapped - more_held
        if more_held < 0:  # what an allocator keeps of it stays mapped
            more = min(more, max(more_mapped, 0))
        self.pending = max(self.pending + more, 0)
        self._recent += max(more, 0)

    def _forget(self, now: float, *, idle: bool) -> None:
        if idle:
            self.pending = self._recent = 0
        elif now - self._since > _PERIOD:
            self.pending = min(self.pending, self._recent)
            self._since, self._recent = now, 0


class Rise:
    """Says when a task is to be stopped: when memory passes the wall, and again whenever it has risen further.

    Memory that is high and stays there endangers nobody, so nobody is stopped for what is only stored.
    """

    def __init__(self, levels: Levels) -> None:
        self._stop = levels.stop
        self._step = max((levels.last - levels.stop) // 4, 4 << 20)
        self._next = levels.stop

    def look(self, used: int) -> bool:
        """Return whether to stop one more task, with so many bytes used or promised to others."""
        if used <= self._stop:
            self._next = self._stop
            return False
        if used > self._next:
            self._next = used + self._step
            return True
        self._next = min(self._next, used + self._step)
        return False


class Patience:
    """When a nanny ends a worker that guards itself: far above its limit at once, near it if it stays there.

    A task that was stopped needs a moment to free what it held, and others go on meanwhile.
    """

    end = _END

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._looks = 0

    @property
    def near(self) -> int:
        """Bytes up to which nothing is to be decided."""
        return int(_END * self._limit)

    def is_over(self, used: int) -> bool:
        """Return whether to end it, with so many bytes used at one more look."""
        self._looks = self._looks + 1 if used > _END * self._limit else 0
        return used > _FAR * self._limit or self._looks >= _LOOKS


@dataclass(slots=True)
class Account:
    """One running task, and what it took. Bytes, above what the process held when it began.

    Attributes
    ----------
    reserved : int or None
        What was set aside for it; None if nothing was.
    begun : float
        When, in seconds of any clock.
    last : bool
        Nothing larger is left to try it on.
    firm : bool
        Its reservation was declared, not learned: it is kept free for it.
    held, peak : int
        What it is thought to hold, and the most of that.
    least, most : int
        What it surely holds, and what it may.
    surely, bound : int
        The most of these.
    told : int
        What the scheduler knows of.
    stops : int
        How often it was told to stop; it may catch that and go on.
    alone : bool
        No other task ran at any time since it began.
    """

    key: Key
    begun: float
    reserved: int | None = None
    last: bool = False
    firm: bool = False
    held: int = 0
    peak: int = 0
    least: int = 0
    most: int = 0
    surely: int = 0
    bound: int = 0
    told: int = 0
    stops: int = 0
    alone: bool = True

    @property
    def over(self) -> int:
        """Bytes that it holds above its reservation; none without one."""
        return self.held - self.reserved if self.reserved is not None else 0

    @property
    def exact(self) -> bool:
        """Whether what it took is known, though others ran beside it."""
        return self.bound - self.surely <= self.peak // _SURELY + (4 << 20)

    def take(self, share: int, change: int, *, own: bool) -> None:
        """Add to what it holds a share of a change, which is its own or may be that of others."""
        self.held = max(self.held + share, 0)
        self.least = max(self.least + (change if own or change < 0 else 0), 0)
        self.most = max(self.most + (change if own or change > 0 else 0), 0)
        self.peak, self.surely = max(self.peak, self.held), max(self.surely, self.least)
        self.bound = max(self.bound, self.most)


class Accounts:
    """What the running tasks of one process took, by thread."""

    def __init__(self) -> None:
        self._running: dict[int, Account] = {}
        self._alone: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[int]:
        return iter(self._running)

    def __getitem__(self, thread: int) -> Account:
        return self._running[thread]

    def begin(self, thread: int, account: Account) -> None:
        """Begin to count for a thread."""
        account.told = account.reserved or 0
        self._running[thread] = account
        if len(self._running) > 1:
            for one in self._running.values():
                one.alone = False

    def end(self, thread: int) -> None:
        """Count for it no more."""
        self._running.pop(thread, None)

    def change(self, change: int, active: Collection[int]) -> None:
        """Note that the process has mapped so many bytes more, or fewer, while these threads did something.

        Of one thread it is known to be its own. Several share it, and each may have done all of it.
        """
        doers = [self._running[thread] for thread in active] or list(self._running.values())
        if change < 0:
            doers = [one for one in doers if one.most] or doers
        for one in doers:
            one.take(change // len(doers), change, own=len(doers) == 1)

    @property
    def promised(self) -> int:
        """Bytes that declared tasks have still to take, while another task holds more than its reservation.

        That one is then stopped before it takes what is theirs: else they would meet the wall, not it.
        """
        if not any(one.over > _UNTOLD and not one.stops for one in self._running.values()):
            return 0
        return sum(max(-one.over, 0) for one in self._running.values() if one.firm)

    def victim(self, uninterruptible: Collection[int]) -> int | None:
        """Return the thread whose task is stopped, if any may be.

        The one most above its reservation; else the youngest without a reservation; else the youngest. The oldest
        so always comes to its end. One that was told already comes last: it may be about to end.
        """
        able = [thread for thread in self._running if thread not in uninterruptible]
        return max(able, key=lambda thread: _blame(self._running[thread]), default=None)

    def grown(self) -> list[tuple[Key, int]]:
        """Return the tasks that hold more than was told of them, with the bytes; they are told with that."""
        found = [one for one in self._running.values() if one.peak > _GROWN * one.told + _UNTOLD]
        for one in found:
            one.told = one.peak
        return [(one.key, one.peak) for one in found]

    def is_kept(self, account: Account, asked: int, limit: int) -> bool:
        """Return whether the error of a task that did not get memory is its own, to be reported as it is.

        So it is if it asked for more than the whole worker, or if nothing larger is left. Without a reservation
        nobody may ever say so; then it is after a few runs that had the worker for themselves.
        """
        if account.last or asked > limit:
            return True
        if not account.alone or account.reserved is not None:
            return False
        times = self._alone.pop(account.key, 0) + 1
        if times < _KEPT_ALONE:
            self._alone[account.key] = times
            if len(self._alone) > 1000:
                del self._alone[next(iter(self._alone))]  # the oldest; it did not come back
        return times >= _KEPT_ALONE


def _blame(account: Account) -> tuple[int, int, float]:
    over = account.over
    if over > _UNTOLD:
        return -account.stops, 2, float(over)
    return -account.stops, 1 if account.reserved is None else 0, account.begun


def pause(room: int, *, running: int, still: bool) -> float:
    """Return the seconds until memory is looked at again.

    Parameters
    ----------
    room
        Bytes up to the wall.
    running
        Tasks that run.
    still
        Whether memory did not change since the last look.
    """
    if not running:
        return min(max(room / _RATE, _BUSY), _IDLE)
    soonest, latest = (_STILL, 2 * _BUSY) if still else (_SOONEST, _BUSY)
    return min(max(room / _RATE, soonest), latest)
