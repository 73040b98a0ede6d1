"""The ledger never promises more than there is, whatever happens in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supreme_dask.core import placement
from supreme_dask.core.admission import Admission
from supreme_dask.core.axes import CORE, CPU_AXIS, IDLE_AXIS, MEMORY_AXIS, THREADS_AXIS, within
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.resources import Resources
from supreme_dask.core.shapes import Inputs, Restrictions, Task

MiB = 2**20
addresses = st.sampled_from(["w0", "w1", "w2", "w3"])
memory = st.sampled_from([0, 10, 100, 300, 500, 900])
types = st.sampled_from(["short", "long", "unknown"])


class Events(RuleBasedStateMachine):
    """Random events, as a scheduler could send them."""

    def __init__(self):
        super().__init__()
        self.admission = Admission()
        self.ledger = self.admission.ledger
        self.now = 0.0
        self.count = 0
        self.actors = set()
        self.grown = {}

    # -------------------------------------------------------------------------------- workers
    @rule(
        address=addresses, threads=st.integers(1, 4), size=st.sampled_from([200, 500, 1000]), gpus=st.integers(0, 2)
    )
    def join(self, address, threads, size, gpus):
        if address not in self.ledger.rows:
            capacity = {"cpu": threads * CORE, "memory": size * MiB, "network": 10**9, "GPU": 1000 * gpus}
            self.admission.add_worker(address, "host", threads, capacity)
            self.fill()

    @rule(address=addresses)
    def leave(self, address):
        self.admission.remove_worker(address)
        self.fill()

    @rule(address=addresses)
    def pause(self, address):
        if address in self.ledger.rows:
            self.admission.close_worker(address)
            self.fill()

    @rule(address=addresses)
    def resume(self, address):
        if address in self.ledger.rows:
            self.admission.open_worker(address)
            self.fill()

    @rule(address=addresses, amount=memory)
    def store(self, address, amount):
        if address in self.ledger.rows:
            self.ledger.set_burden(self.ledger.rows[address], amount * MiB)
            self.fill()

    # ---------------------------------------------------------------------------------- tasks
    @rule(
        type_=types,
        size=st.none() | memory,
        gpus=st.sampled_from([0, 0, 500, 1000]),
        user_priority=st.sampled_from([-1.0, 0.0, 0.0, 1.0]),
        bound=st.none() | st.tuples(addresses, st.booleans()),
        inputs=st.none() | st.tuples(st.integers(0, 100), addresses),
        copies=st.integers(1, 12),
    )
    def submit(self, type_, size, gpus, user_priority, bound, inputs, copies):
        declared = {"GPU": gpus} if gpus else {}
        if size is not None and type_ != "unknown":
            declared["memory"] = size * MiB
        for _ in range(copies):
            self.count += 1
            task = Task(
                self.count,
                type_,
                (user_priority, self.count),
                Resources.of(declared) if declared else None,
                Restrictions(frozenset(bound[:1]), loose=bound[1]) if bound else None,
                Inputs(inputs[0] * MiB, {inputs[1]: inputs[0] * MiB}) if inputs else None,
            )
            self.admission.arrive(task, self.now)

    @rule(size=memory)
    def create_actor(self, size):
        self.count += 1
        demand = Resources.of({"memory": size * MiB})
        self.actors.add(self.count)
        self.admission.arrive(Task(self.count, "actor", (0.0,), demand, actor=True), self.now)

    def running(self, chance):
        keys = sorted(self.ledger.reservations)
        return keys[chance % len(keys)] if keys else None

    @rule(chance=st.integers(0, 1000), how=st.sampled_from(["done", "failed", "cancelled", "seceded"]), size=memory)
    def end(self, chance, how, size):
        key = self.running(chance)
        if key is None:
            return
        shape = self.ledger.reservations[key].shape
        wall = 0.002 if shape is not None and shape.type == "short" else 0.5
        if how == "done":
            self.admission.finish(key, Measurement(wall, wall, size * MiB), self.now)
        elif how == "failed":
            self.admission.finish(key, None, self.now)
        elif how == "cancelled":
            self.admission.abandon(key)
        elif key not in self.actors:
            self.admission.secede(key)
        self.fill()

    @rule(chance=st.integers(0, 1000), size=memory)
    def grows(self, chance, size):
        key = self.running(chance)
        if key is not None and key not in self.actors:
            reservation = self.ledger.reservations[key]
            before = reservation.memory
            self.admission.grown(key, reservation.row.address, size * MiB)
            self.grown[reservation] = self.grown.get(reservation, 0) + reservation.memory - before
            self.fill()

    @precondition(lambda self: self.ledger.rows)
    @rule(address=addresses, amount=memory)
    def holds_less_than_reserved(self, address, amount):
        if address in self.ledger.rows:
            self.ledger.set_unbacked(self.ledger.rows[address], amount * MiB)

    @rule(cautious=st.booleans())
    def walls_come_and_go(self, cautious):
        self.admission.kinds.be_cautious(cautious)
        self.fill()

    @precondition(lambda self: self.ledger.ghosts)
    @rule(chance=st.integers(0, 1000), wanted=st.booleans())
    def ghost_ends(self, chance, wanted):
        ghosts = sorted(self.ledger.ghosts)
        address, key = ghosts[chance % len(ghosts)]
        if wanted:
            self.ledger.resume(address, key)
        else:
            self.ledger.settle(address, key)
        self.fill()

    @precondition(lambda self: len(self.admission.queues))
    @rule(chance=st.integers(0, 1000))
    def cancel_waiting(self, chance):
        keys = sorted(self.admission.queues.keys())
        self.admission.drop(keys[chance % len(keys)])

    @rule(seconds=st.sampled_from([0.05, 0.2, 5.0]))
    def wait(self, seconds):
        self.now += seconds
        self.admission.tick(self.now)
        self.fill()

    def fill(self):
        self.admission.fill(self.now)

    # ------------------------------------------------------------------------------ invariants
    @invariant()
    def sums_are_exact(self):
        held = {row: [0] * len(self.ledger.names) for row in self.ledger.rows.values()}
        for reservation in [*self.ledger.reservations.values(), *self.ledger.ghosts.values()]:
            for axis, amount in reservation.need:
                held[reservation.row][axis] += amount
        for row, sums in held.items():
            sums[THREADS_AXIS] += row.lanes
            sums[CPU_AXIS] += row.lanes * CORE
            sums[MEMORY_AXIS] += row.burden
            for axis, amount in enumerate(sums):
                if axis != IDLE_AXIS:
                    assert row.free[axis] == row.capacity[axis] - amount

    @invariant()
    def nothing_is_over_committed(self):
        for row in self.ledger.rows.values():
            for axis, free in enumerate(row.free):
                # What a worker stores was not asked for, nor what tasks grew by: these may leave less than nothing.
                unasked = row.burden + sum(by for one, by in self.grown.items() if one.row is row)
                assert free + (unasked if axis == MEMORY_AXIS else 0) >= 0

    @invariant()
    def lanes_are_threads_of_short_tasks(self):
        for row in self.ledger.rows.values():
            reservations = [
                each for each in [*self.ledger.reservations.values(), *self.ledger.ghosts.values()] if each.row is row
            ]
            assert row.laned == sum(each.laned for each in reservations)
            assert row.active == sum(each.running for each in reservations)
            assert 0 <= row.lanes <= min(row.laned, row.threads)
            assert row.free[IDLE_AXIS] == (0 if row.active else 1)
            if row.behind:
                assert row.free[THREADS_AXIS] == 0 or row.free[CPU_AXIS] < CORE

    @invariant()
    def the_index_agrees_with_a_look_at_every_worker(self):
        for demand in ({}, {"cpu": 1000, "memory": 300 * MiB}, {"memory": 900 * MiB}, {"GPU": 1000}):
            need = self.ledger.need(demand)
            found = list(self.ledger.rows_fitting(need, start=2))
            rows = self.ledger.rows.values()
            expected = {row for row in rows if row.is_open and within(need, self.ledger.room(row))}
            assert set(found) == expected
            assert len(found) == len(expected)

    @invariant()
    def totals_are_those_of_open_workers(self):
        for axis, total in enumerate(self.ledger.total):
            assert total == sum(row.capacity[axis] for row in self.ledger.rows.values() if row.is_open)

    @invariant()
    def nobody_waits_beside_room(self):
        if self.ledger.gained:
            return  # somebody is about to look
        for shape in self.admission.queues.in_order():
            kind = self.admission.kinds[shape.type]
            if not shape.probing or len(kind.probes) < kind.quota:
                for row in self.ledger.rows.values():
                    head = shape.head(row.address)
                    fits = row.is_open and placement.fits(self.ledger, row, shape, head.inputs)
                    assert not fits or self.waits_for_another_worker(shape, row, head)

    def waits_for_another_worker(self, shape, row, head):
        """Tell whether a task prefers one, by its restrictions or for its inputs; the next tick looks again."""
        loose = shape.restrictions is not None and not shape.restrictions.permit(row.address, row.host)
        return loose or (
            head.inputs is not None and placement.waits_for_inputs(self.ledger, row, shape, head.inputs, self.now)
        )

    @invariant()
    def nobody_both_waits_and_runs(self):
        assert not self.admission.queues.keys() & self.ledger.reservations.keys()


class TestEvents(Events.TestCase):
    """Runs random events as a test."""

    settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
