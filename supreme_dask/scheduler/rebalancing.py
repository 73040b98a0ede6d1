"""Stored results are spread again after workers have joined or left.

Held tasks need none of this: they wait centrally, and go to whoever has room. A result is moved by a copy, and
dropped where it was once the copy is known to be there, on a worker that stays. Nothing is moved while no worker
comes or goes, nor twice on one such occasion.
"""

from __future__ import annotations

import logging
from collections import Counter

from dask.typing import Key
from distributed.scheduler import Scheduler

from supreme_dask.core import reasons, rebalancing
from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import MEMORY_AXIS
from supreme_dask.core.rebalancing import Move, Place
from supreme_dask.core.relief import Result
from supreme_dask.scheduler import observe, recording
from supreme_dask.scheduler.act import Hands

log = logging.getLogger(__name__)

_EVERY = 0.2  # seconds between two looks while results are on their way
_SELDOM = 1.0  # and while none are
_WATCH = 30.0  # seconds after a worker came or went in which results are spread; what was lost is computed first
_OVERDUE = 30.0  # seconds after which a move is given up; Dask drops the copy that is too many
_UNEVEN = 0.2  # part of its share that a worker must be off before anything is moved
_EVEN = 0.1  # and that it may be off afterwards
_AT_ONCE = 5  # of the fullest workers
_MOST = 1000  # results of one of them


class Rebalancing:
    """Spreads the stored results of one scheduler.

    Parameters
    ----------
    budget
        Bytes that may be on their way at once; None to leave all results where they are.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, hands: Hands, budget: int | None) -> None:
        self._scheduler = scheduler
        self._admission = admission
        self._hands = hands
        self._budget = budget
        self._under_way: dict[Key, tuple[Move, float]] = {}
        self._moved: set[Key] = set()
        self._until = 0.0
        self._next = 0.0
        self._is_moving = False

    def disturbed(self, now: float) -> None:
        """Take in that a worker came or went."""
        self._until = now + _WATCH
        self._moved.clear()

    def tick(self, now: float) -> None:
        """Move some more, if there is anything to be moved."""
        if self._budget is None or now < self._next or (now > self._until and not self._under_way):
            return
        self._finish(now)
        if now <= self._until:
            self._begin(now, self._budget)
        self._next = now + (_EVERY if self._under_way else _SELDOM)

    def _finish(self, now: float) -> None:
        copied, ended = [], []
        for key, (move, begun) in self._under_way.items():
            holders = observe.holders(self._scheduler, key)
            stays = observe.is_running(self._scheduler, move.target)
            if move.source not in holders or not stays or now - begun > _OVERDUE:
                ended.append(key)
            elif move.target in holders:
                copied.append((key, move.source))
        for key in ended:
            del self._under_way[key]
        self._hands.end_moves(ended)
        self._hands.moved(copied)

    def _begin(self, now: float, budget: int) -> None:
        places = self._places()
        full = rebalancing.full(places, _EVEN if self._is_moving else _UNEVEN)
        if self._is_moving and not full and not self._under_way:
            self._note(len(places), moving=False)
        results = [one for address in full[:_AT_ONCE] for one in self._movable(address)]
        found = rebalancing.moves(results, places, budget - sum(move.size for move, _ in self._under_way.values()))
        if found and not self._is_moving:
            self._note(len(places), moving=True)
        self._under_way.update((move.key, (move, now)) for move in found)
        self._moved.update(move.key for move in found)
        self._hands.move([(move.key, move.target) for move in found])

    def _movable(self, address: str) -> list[Result]:
        found = observe.movable(self._scheduler, address, _MOST)
        return [one for one in found if one.key not in self._moved and one.key not in self._under_way]

    def _places(self) -> dict[str, Place]:
        coming: Counter[str] = Counter()
        leaving: Counter[str] = Counter()
        for key, (move, _) in self._under_way.items():
            holders = observe.holders(self._scheduler, key)
            coming[move.target] += move.size * (move.target not in holders)
            leaving[move.source] += move.size * (move.source in holders)
        rows = [
            row
            for address, row in self._admission.ledger.rows.items()
            if row.is_open and observe.is_running(self._scheduler, address)
        ]
        alike = any(row.unlimited for row in rows)
        return {
            row.address: Place(
                self._scheduler.workers[row.address].nbytes + coming[row.address] - leaving[row.address],
                row.free[MEMORY_AXIS] - coming[row.address],
                1 if alike else row.capacity[MEMORY_AXIS],
            )
            for row in rows
        }

    def _note(self, workers: int, *, moving: bool) -> None:
        self._is_moving = moving
        sentence = reasons.rebalancing(workers) if moving else reasons.rebalanced(workers)
        log.info("%s", sentence)
        recording.record(self._scheduler, "rebalance", sentence, workers=workers)
