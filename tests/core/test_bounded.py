"""Whatever is lost, restarted or done by hand: never more workers than the maximum, and in the end the right ones."""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.core.worlds import SMALL, World

EXAMPLES = int(os.environ.get("SUPREME_BOUNDED_EXAMPLES", "100"))
NAMES = ["a", "b"]
names = st.sampled_from(NAMES)


class Meddling(RuleBasedStateMachine):
    """Everything that may happen, in any order."""

    def __init__(self):
        super().__init__()
        self.world = World()
        self.world.wanted.workers = SMALL.maximum
        for _ in range(3):
            self.settle()

    def any(self, data, *statuses):
        found = self.world.names(*statuses)
        return data.draw(st.sampled_from(found)) if found else None

    # --------------------------------------------------------------------------- as it should be
    @rule(count=st.sampled_from([0, 1, 2, 3, 4, 9]))
    def want(self, count):
        self.world.wanted.workers = count

    @rule(seconds=st.sampled_from([0.5, 5.0, 70.0]))
    def go_on(self, seconds):
        """Let time pass in which all goes well, and only starting and ending takes longer."""
        self.world.now += seconds
        if not self.world.controllers:
            self.world.begin_controller("a", "directory")
        self.world.scheduler.decide()
        for name in list(self.world.controllers):
            self.world.look(name)
        self.drain()

    @rule()
    def decide(self):
        self.world.scheduler.decide()

    @rule(name=names)
    def look(self, name):
        if name in self.world.controllers:
            self.world.look(name)

    @rule(data=st.data())
    def join(self, data):
        if name := self.any(data, "starting"):
            self.world.join(name)

    @rule()
    def join_all(self):
        for name in self.world.names("starting"):
            self.world.join(name)

    @rule()
    def drain(self):
        for name, state in list(self.world.scheduler.draining.items()):
            if state != "drained" and name in self.world.names("joined"):
                self.world.scheduler.drained(name)

    @rule(data=st.data())
    def end(self, data):
        if name := self.any(data, "ending"):
            self.world.vanish(name)

    # --------------------------------------------------------------------------------- meddling
    @precondition(lambda self: sum(not one.directory for one in self.world.processes.values()) < 3)
    @rule()
    def start_by_hand(self):
        self.world.launch("")

    @rule(data=st.data())
    def crash(self, data):
        if name := self.any(data, "starting", "joined"):
            self.world.vanish(name)

    @rule(refused=st.booleans())
    def refuse(self, refused):
        self.world.refused = refused

    @rule(up=st.booleans())
    def store(self, up):
        self.world.store.up = up

    @rule()
    def expire(self):
        self.world.expire()

    @rule(name=names, is_lost=st.booleans())
    def controller(self, name, is_lost):
        """Start a controller, or another in the place of one that has died, with its directory or without."""
        before = self.world.controllers.get(name)
        if before is not None:
            self.world.end_controller(name)
        directory = f"directory-{self.world.number()}" if is_lost or before is None else before.directory
        self.world.begin_controller(name, directory)
        self.forget()

    @rule(name=names)
    def kill_controller(self, name):
        if name in self.world.controllers:
            self.world.end_controller(name)
            self.forget()

    @rule()
    def replace_scheduler(self):
        self.world.replace_scheduler()
        self.forget()

    def forget(self):
        """Let those join of which nothing tells any more: no process can count what was never written down."""
        for name in self.world.unknown():
            self.world.join(name)

    # ------------------------------------------------------------------------------------ claims
    @invariant()
    def never_more_than_the_maximum(self):
        made = [name for name, one in self.world.processes.items() if one.directory and not self.world.is_lost(one)]
        assert len(made) <= SMALL.maximum, made

    def teardown(self):
        world = self.world
        world.refused, world.store.up = False, True
        world.expire()
        for _ in range(200):
            self.settle()
        expected = min(max(world.wanted.workers, SMALL.minimum), SMALL.maximum)
        assert len(world.names("joined")) == len(world.processes) == expected

    def settle(self):
        """Let a minute go by in which all goes well."""
        self.go_on(60.0)
        for name in self.world.names("starting"):
            self.world.join(name)
        for name in self.world.names("ending"):
            self.world.vanish(name)


Meddling.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=60, deadline=None)
TestMeddling = Meddling.TestCase
