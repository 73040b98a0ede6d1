from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.handover import _AT_ONCE, Handover, Sole

MiB = 1 << 20
sizes = st.integers(0, 1 << 29)
soles = st.lists(st.tuples(sizes, st.floats(0, 100) | st.just(float("inf"))), max_size=60).map(
    lambda found: [Sole(f"x-{number}", size, seconds) for number, (size, seconds) in enumerate(found)]
)
rooms = st.dictionaries(st.sampled_from("abcdef"), st.integers(-(1 << 30), 1 << 32), min_size=1)


def asked(copies):
    return [key for keys in copies.values() for key in keys]


@given(soles, rooms)
def test_everything_is_asked_for_once_when_copies_come(results, rooms):
    handover = Handover(results)
    seen = []
    for now in range(len(results) + 1):
        found = asked(handover.next(rooms, float(now)))
        seen += found
        handover.settle(found)
    assert sorted(seen) == sorted(one.key for one in results)
    assert len(handover) == 0


@given(soles, rooms)
def test_no_more_is_under_way_than_may_be(results, rooms):
    handover = Handover(results)
    sizes = {one.key: one.size for one in results}
    found = asked(handover.next(rooms, 0.0))
    assert sum(sizes[key] > 0 for key in found) <= 1 or sum(map(sizes.get, found)) <= _AT_ONCE
    assert set(handover.under_way) == set(found)


@given(soles)
def test_nothing_is_forgotten_while_nobody_is_there_to_take_it(results):
    handover = Handover(results)
    handover.next({"a": 1 << 40}, 0.0)
    handover.next({}, 1.0)
    assert len(handover) == len(results)
    assert handover.under_way == []


def test_what_nobody_can_compute_again_goes_first_then_what_is_dear_for_its_size():
    cheap = Sole("cheap", 100 * MiB, 1.0)
    dear = Sole("dear", 100 * MiB, 60.0)
    small = Sole("small", MiB, 1.0)
    scattered = Sole("scattered", 150 * MiB, float("inf"))
    handover = Handover([cheap, dear, small, scattered])
    assert asked(handover.next({"a": 1 << 40}, 0.0)) == ["scattered", "small", "dear"]


def test_the_one_with_most_room_takes_the_next():
    results = [Sole(number, 10 * MiB, 1.0) for number in range(6)]
    found = Handover(results).next({"a": 50 * MiB, "b": 40 * MiB}, 0.0)
    left = [50 - 10 * len(found["a"]), 40 - 10 * len(found["b"])]
    assert sorted(left) == [10, 20]


def test_a_copy_that_does_not_come_is_asked_of_another():
    handover = Handover([Sole("x", 10, 1.0)])
    assert handover.next({"a": 100, "b": 50}, 0.0) == {"a": ["x"]}
    assert handover.next({"a": 100, "b": 50}, 1.0) == {}
    assert handover.next({"a": 100, "b": 50}, 10.0) == {"b": ["x"]}


def test_a_copy_whose_taker_is_gone_is_asked_of_another_at_once():
    handover = Handover([Sole("x", 10, 1.0)])
    assert handover.next({"a": 100, "b": 50}, 0.0) == {"a": ["x"]}
    assert handover.next({"b": 50}, 0.1) == {"b": ["x"]}
