"""Tasks that are stopped at any moment: none is lost, none is stopped for ever, and each ends or fails by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.core.admission import Admission
from supreme_dask.core.instructions import Placed
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.resources import MEMORY, Resources
from supreme_dask.core.shapes import Task
from supreme_dask.core.verdicts import Court, of
from supreme_dask.core.wall import Account, Accounts
from tests.core.clusters import MiB, join

TYPES = ("load", "sort", "join")

tasks = st.lists(
    st.tuples(st.sampled_from(TYPES), st.integers(1, 1500), st.none() | st.integers(1, 256)), min_size=1, max_size=25
)
"""Type, MiB that it really needs, and MiB that its user declares: no more than a worker has, and maybe too little."""
workers = st.lists(st.tuples(st.sampled_from([256, 512, 1024]), st.integers(1, 4)), min_size=1, max_size=3)


class Cluster:
    """Workers whose walls stop tasks, and a scheduler that hears of it."""

    def __init__(self, needs, sizes, chance):
        self.needs = {number: (type_, need * MiB, told) for number, (type_, need, told) in enumerate(needs)}
        self.chance = chance
        self.now = 0.0
        self.admission = Admission()
        self.court = Court(self.admission.ledger, self.admission.kinds)
        self.limits = {f"w{number}": size * MiB for number, (size, _) in enumerate(sizes)}
        for number, (size, threads) in enumerate(sizes):
            join(self.admission, f"w{number}", size / 1024, threads)
        self.enlarged, self.alone, self.last = {}, set(), set()
        self.running = {}  # what each running task holds, by key
        self.done, self.failed, self.stops = set(), {}, dict.fromkeys(self.needs, 0)

    def task(self, key):
        type_, _, told = self.needs[key]
        memory = self.enlarged.get(key, None if told is None else told * MiB)
        declared = None if memory is None else Resources.of({MEMORY: memory})
        return Task(key, type_, (0.0, 1, key), declared, alone=key in self.alone)

    def submit(self, key):
        if self.admission.arrive(self.task(key), self.now) is not None:
            self.running[key] = 0

    def run(self):
        for key in self.needs:
            self.submit(key)
        for _ in range(100 * len(self.needs)):
            if len(self.done) + len(self.failed) == len(self.needs):
                return
            self.step()
        raise AssertionError(f"no end: {self.admission.queues.keys()} wait, {self.running} run")

    def step(self):
        self.now += 0.5
        self.admission.tick(self.now)
        for placed in self.admission.fill(self.now):
            assert isinstance(placed, Placed)
            self.running[placed.key] = 0
        rows = self.admission.ledger.rows.values()
        started = {one.key for row in rows for one in row.tasks.values() if one not in row.waiting}
        able = [key for key in self.running if key in started]
        if able:
            key = able[self.chance.draw(st.integers(0, len(able) - 1))]
            if self.chance.draw(st.booleans()):
                self.grow(key)
            elif self.running[key] >= self.needs[key][1]:
                self.end(key)
            else:
                self.grow(key)

    def grow(self, key):
        """Let a task take the rest of its memory at once, or half of it; its worker may have less."""
        address = self.admission.ledger.reservations[key].row.address
        leap = self.chance.draw(st.booleans())
        wanted = self.needs[key][1] - self.running[key]
        asked = wanted if leap else max(wanted // 2, min(wanted, MiB))
        held = {one: amount for one, amount in self.running.items() if self.at(one) == address}
        if sum(held.values()) + asked <= self.limits[address]:
            self.running[key] += asked
            self.admission.grown(key, address, self.running[key])
        elif leap:
            self.stop(key, asked)
        else:
            self.stop(self.victim(held), 0)

    def victim(self, held):
        accounts = Accounts()
        for thread, key in enumerate(held):
            reservation = self.admission.ledger.reservations[key]
            reserved = None if reservation.guessed else reservation.memory
            accounts.begin(thread, Account(key, reservation.since, reserved, held=held[key]))
        return list(held)[accounts.victim(())]

    def stop(self, key, asked):
        self.stops[key] += 1
        reservation = self.admission.ledger.reservations[key]
        if key in self.last:
            self.fail(key, reservation.row.address)
            return
        (suspect,) = of(reservation)
        largest = max(self.limits.values())
        verdict = self.court.stopped(suspect, largest, self.running.pop(key), asked)
        if verdict.blamed is not None:
            self.enlarged[key] = verdict.size
        if verdict.last:
            self.alone.add(key)
            self.last.add(key)
        self.admission.finish(key, None, self.now)
        self.submit(key)

    def at(self, key):
        return self.admission.ledger.reservations[key].row.address

    def end(self, key):
        need = self.running.pop(key)
        self.admission.finish(key, Measurement(1.0, 1.0, need, exact=self.chance.draw(st.booleans())), self.now)
        self.done.add(key)

    def fail(self, key, address):
        self.failed[key] = address
        del self.running[key]
        self.admission.finish(key, None, self.now)


@settings(max_examples=150, deadline=None)
@given(needs=tasks, sizes=workers, chance=st.data())
def test_every_task_ends_or_fails_after_it_had_the_largest_worker_alone(needs, sizes, chance):
    cluster = Cluster(needs, sizes, chance)
    cluster.run()
    largest = max(cluster.limits.values())
    for key, address in cluster.failed.items():
        assert cluster.limits[address] == largest
        assert key in cluster.alone
        assert cluster.needs[key][1] > 0.8 * largest
    assert not cluster.admission.queues
    assert not cluster.admission.ledger.reservations
    assert max(cluster.stops.values()) <= 20


@settings(max_examples=50, deadline=None)
@given(chance=st.data())
def test_beside_one_that_takes_three_times_what_it_declared_honest_ones_are_not_stopped(chance):
    honest = [("load", 100, 110)] * 6
    cluster = Cluster([*honest, ("sort", 600, 200)], [(1024, 4)], chance)
    cluster.run()
    assert cluster.done == set(cluster.needs)
    assert all(cluster.stops[number] == 0 for number in range(6))
