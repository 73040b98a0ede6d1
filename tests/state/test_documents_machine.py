"""Random publications, rollbacks, tags and compactions: what is kept is a chain with exact contents."""

import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from supreme_dask.core.revisions import breaks
from supreme_dask.stores import open_store
from supreme_dask.stores.documents import Documents

KEEP = 5
NAMES = st.sampled_from(["policy/a", "policy/b", "groups/c"])


def content(name, number):
    if name.startswith("policy"):
        return {"high_backlog": {"threshold": number, "action": "add_node"}}
    return {"small": {"count": number}}


class Machine(RuleBasedStateMachine):
    """What the store says must equal what a dict of lists says."""

    new_address = None
    steps = 0

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = self.run(self.opened())
        self.clock = 0
        self.documents = Documents(self.store, "blue", keep=KEEP, now=lambda: float(self.clock))
        self.model = {}  # contents by document, oldest first
        self.times = {}
        self.tags = {}

    async def opened(self):
        store = open_store(type(self).new_address())
        await store.open()
        return store

    def run(self, story):
        return self.runner.run(story)

    def teardown(self):
        self.run(self.store.close())
        self.runner.close()

    def add(self, name, published):
        self.model.setdefault(name, []).append(published)
        self.times.setdefault(name, []).append(self.clock)

    def kept(self, name):
        newest = len(self.model[name])
        tagged = {tag[name] for tag in self.tags.values() if name in tag}
        return sorted({*range(max(newest - KEEP, 0) + 1, newest + 1), *tagged})

    @rule(name=NAMES, number=st.integers(1, 99))
    def publish(self, name, number):
        self.clock += 1
        self.run(self.documents.publish(name, content(name, number), author="ann"))
        self.add(name, content(name, number))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def roll_back(self, data):
        self.clock += 1
        name = data.draw(st.sampled_from(sorted(self.model)))
        to = data.draw(st.sampled_from(self.kept(name)))
        self.run(self.documents.roll_back(name, to, author="bob"))
        self.add(name, self.model[name][to - 1])

    @precondition(lambda self: self.model)
    @rule()
    def tag(self):
        self.clock += 1
        name = f"t{len(self.tags)}"
        self.run(self.documents.tag(name, author="ann"))
        self.tags[name] = {document: len(history) for document, history in self.model.items()}

    @precondition(lambda self: self.tags)
    @rule(data=st.data())
    def roll_back_to_tag(self, data):
        self.clock += 1
        tag = data.draw(st.sampled_from(sorted(self.tags)))
        wanted = {name: self.model[name][number - 1] for name, number in self.tags[tag].items()}
        done = self.run(self.documents.roll_back_all(tag, author="ann"))
        for name in sorted(self.model):
            if self.model[name][-1] != wanted.get(name):
                self.add(name, wanted.pop(name, None))
                assert done.pop(name).content == self.model[name][-1]
        assert done == {}

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def roll_back_to_time(self, data):
        certain = max(self.times[name][max(len(self.model[name]) - KEEP, 0)] for name in self.model)
        moment = data.draw(st.integers(certain, max(self.clock, certain)))
        self.clock += 1
        self.run(self.documents.roll_back_all(float(moment), author="ann"))
        for name in sorted(self.model):
            held = sum(time <= moment for time in self.times[name])
            then = self.model[name][held - 1] if held else None
            if self.model[name][-1] != then:
                self.add(name, then)

    @rule()
    def compact(self):
        self.run(self.compacted())

    async def compacted(self):
        await self.store.compact(await self.store.put("other", b""))

    @invariant()
    def history_is_a_chain_with_exact_contents(self):
        type(self).steps += 1
        for name in self.model:
            history = self.run(self.documents.history(name))
            assert breaks(history) == ()
            assert [one.number for one in history] == self.kept(name)
            assert [one.content for one in history] == [self.model[name][n - 1] for n in self.kept(name)]


def check(new_address, examples, length):
    """Run the machine and return how many steps it took in all."""
    machine = type("Named", (Machine,), {"new_address": staticmethod(new_address)})
    how = settings(
        max_examples=examples,
        stateful_step_count=length,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=how)
    return machine.steps


@pytest.fixture
def new_address(request, tmp_path):
    if request.param == "memory":
        return lambda: "memory://"
    if request.param == "sqlite":
        return lambda: f"sqlite://{tmp_path}/{uuid.uuid4()}.db?synchronous=normal"
    member = request.getfixturevalue("one_member")
    return lambda: member.url(str(uuid.uuid4()))


EVERY_STORE = pytest.mark.parametrize("new_address", ["memory", "sqlite", "etcd"], indirect=True)


@EVERY_STORE
def test_history_is_a_chain_after_random_steps(new_address):
    assert check(new_address, examples=12, length=30) > 100


@pytest.mark.slow
@pytest.mark.timeout(1200)
@EVERY_STORE
def test_history_is_a_chain_after_thousands_of_random_steps(new_address):
    assert check(new_address, examples=25, length=300) > 1000
