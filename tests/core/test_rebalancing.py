from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.rebalancing import Place, full, moves
from supreme_dask.core.relief import Result

MiB = 1 << 20
WORKERS = "abcdef"
addresses = st.sampled_from(WORKERS)
held = st.lists(st.tuples(st.integers(0, 60), addresses), max_size=80)
rooms = st.fixed_dictionaries({address: st.integers(-20, 300) for address in WORKERS})
weights = st.fixed_dictionaries({address: st.integers(1, 4) for address in WORKERS})


def cluster(held, rooms=None, weights=None):
    results = [Result(number, size, holder) for number, (size, holder) in enumerate(held)]
    stored = Counter()
    for one in results:
        stored[one.holder] += one.size
    rooms = rooms or dict.fromkeys(WORKERS, 1 << 40)
    weights = weights or dict.fromkeys(WORKERS, 1)
    return results, {one: Place(stored[one], rooms[one], weights[one]) for one in WORKERS}


def after(places, found):
    stored = {address: place.stored for address, place in places.items()}
    for move in found:
        stored[move.source] -= move.size
        stored[move.target] += move.size
    return stored


def off(places, stored):
    """Return how far from its share each worker is."""
    weight = sum(place.weight for place in places.values())
    return {one: stored[one] - sum(stored.values()) * places[one].weight / weight for one in places}


@given(held=held, rooms=rooms, weights=weights, budget=st.integers(0, 500))
def test_each_result_goes_once_from_where_it_is_to_where_there_is_room(held, rooms, weights, budget):
    results, places = cluster(held, rooms, weights)
    found = moves(results, places, budget)
    assert len({move.key for move in found}) == len(found)
    for move in found:
        assert (results[move.key].size, results[move.key].holder) == (move.size, move.source)
        assert move.source != move.target
    for address in {move.target for move in found}:
        assert sum(move.size for move in found if move.target == address) <= rooms[address]
    assert sum(move.size for move in found[:-1]) < budget or len(found) <= 1


@given(held=held, rooms=rooms, weights=weights)
def test_every_move_makes_the_cluster_more_even(held, rooms, weights):
    results, places = cluster(held, rooms, weights)
    found = moves(results, places, 10**9)
    unevenness = [
        sum(amount**2 for amount in off(places, after(places, found[:number])).values())
        for number in range(len(found) + 1)
    ]
    assert unevenness == sorted(unevenness, reverse=True)


@given(held=st.lists(st.tuples(st.integers(90, 100), addresses), min_size=300, max_size=400), weights=weights)
def test_where_sizes_and_rooms_permit_all_end_near_their_shares(held, weights):
    results, places = cluster([(size * MiB, holder) for size, holder in held], weights=weights)
    stored = after(places, moves(results, places, 1 << 60))
    ended = {address: Place(stored[address], 0, weights[address]) for address in WORKERS}
    largest = 100 * MiB
    assert all(abs(amount) <= largest for amount in off(places, stored).values())
    share = sum(stored.values()) // sum(weights.values())
    assert not full(ended, largest / share)


@given(held=st.lists(st.tuples(st.just(1), addresses), max_size=100))
def test_no_more_bytes_travel_than_are_out_of_place(held):
    results, places = cluster(held)
    surplus = sum(amount for amount in off(places, after(places, [])).values() if amount > 0)
    assert len(moves(results, places, 10**9)) <= surplus + len(WORKERS)


def test_two_newcomers_get_their_shares_from_the_two_that_stayed():
    results, places = cluster([(5, "a")] * 40 + [(5, "b")] * 40)
    places = {address: places[address] for address in "abcd"}
    found = moves(results, places, 10**9)
    assert after(places, found) == {"a": 100, "b": 100, "c": 100, "d": 100}
    assert sum(move.size for move in found) == 200


def test_one_result_larger_than_all_others_together_stays():
    assert moves([Result("x", 100, "a")], {"a": Place(100, 0), "b": Place(0, 1000)}, 10**9) == []


def test_an_empty_cluster_is_even():
    assert full({}, 0.2) == []
    assert moves([], {}, 10) == []


def test_small_change_is_not_worth_a_message():
    assert full({"a": Place(MiB, 0), "b": Place(0, 0)}, 0.2) == []
