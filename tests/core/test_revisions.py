from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.revisions import (
    DocumentRevision,
    Signature,
    breaks,
    current_at,
    differences,
    numbers_to_drop,
    publish,
    to_republish,
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
contents = st.dictionaries(st.text(max_size=5), plain, max_size=4)
signatures = st.builds(Signature, author=st.text(max_size=5), why=st.text(max_size=5), time=st.floats(0, 1e9))


def rolled_back(head, to, signature):
    return publish(head, to.content, signature, rollback_of=to.number)


@st.composite
def histories(draw):
    """A chain of publications and rollbacks."""
    history = [publish(None, draw(contents), draw(signatures))]
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            history.append(publish(history[-1], draw(contents), draw(signatures)))
        else:
            history.append(rolled_back(history[-1], draw(st.sampled_from(history)), draw(signatures)))
    return history


@given(histories())
def test_what_is_published_is_a_chain(history):
    assert breaks(history) == ()
    assert [one.number for one in history] == list(range(1, len(history) + 1))


@given(histories(), st.data())
def test_a_chain_shows_every_change_of_its_past(history, data):
    position = data.draw(st.integers(0, len(history) - 1))
    wire = history[position].to_wire()
    forged = DocumentRevision.from_wire({**wire, "author": wire["author"] + "!"})
    altered = [*history[:position], forged, *history[position + 1 :]]
    assert bool(breaks(altered)) == (position < len(history) - 1)


@given(histories(), st.data())
def test_dropped_revisions_leave_a_chain(history, data):
    kept = data.draw(st.lists(st.sampled_from(history), unique_by=lambda one: one.number))
    assert breaks(sorted(kept, key=lambda one: one.number)) == ()


@given(histories())
def test_revisions_survive_the_wire(history):
    assert [DocumentRevision.from_wire(one.to_wire()) for one in history] == history


@given(contents, contents)
def test_no_differences_means_the_same_content(before, after):
    same = publish(None, before, Signature("", "", 0)).content_hash == (
        publish(None, after, Signature("", "", 0)).content_hash
    )
    assert (differences(before, after) == ()) == same


@given(histories(), st.floats(0, 1e9))
def test_one_revision_held_at_each_time(history, time):
    then = current_at(history, time)
    later = [one for one in history if one.time > time]
    assert (then.number if then else 0) + len(later) == len(history)


@given(st.dictionaries(st.sampled_from("abc"), histories()), st.floats(0, 1e9))
def test_republishing_restores_what_was(system, time):
    heads = {name: history[-1] for name, history in system.items()}
    wanted = {name: current_at(history, time) for name, history in system.items()}
    for name, then in to_republish(heads, wanted).items():
        signature = Signature("", "", 0)
        heads[name] = rolled_back(heads[name], then, signature) if then else publish(heads[name], None, signature)
    for name, then in wanted.items():
        assert differences(heads[name].content, then.content if then else None) == ()
    assert to_republish(heads, wanted) == {}


@given(st.sets(st.integers(1, 50)), st.integers(1, 10), st.sets(st.integers(1, 50)))
def test_the_newest_and_the_tagged_are_kept(numbers, keep, tagged):
    dropped = set(numbers_to_drop(numbers, keep=keep, tagged=tagged))
    assert not dropped & tagged
    assert not dropped & set(sorted(numbers)[-keep:])
    assert len(numbers - dropped - tagged) <= keep


def test_differences_name_the_path():
    before = {"high_cpu": {"threshold": 80, "action": "add_node"}, "groups": ["a", "b"]}
    after = {"high_cpu": {"threshold": 90, "action": "add_node"}, "groups": ["a"], "low_cpu": {}}
    assert [str(one) for one in differences(before, after)] == [
        '$.groups[1]: removed: "b"',
        "$.high_cpu.threshold: changed: 80 → 90",
        "$.low_cpu: added: {}",
    ]
