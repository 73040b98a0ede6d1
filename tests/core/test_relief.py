from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.relief import Pressure, Result, copies

addresses = st.sampled_from("abcdef")
rooms = st.dictionaries(addresses, st.integers(-50, 200))


@given(rooms=rooms, held=st.lists(st.tuples(st.integers(0, 60), addresses), max_size=60))
def test_copies_go_elsewhere_and_only_where_they_fit(rooms, held):
    results = {number: Result(number, size, holder) for number, (size, holder) in enumerate(held)}
    found = copies(results.values(), rooms)
    copied = [key for keys in found.values() for key in keys]
    assert len(copied) == len(set(copied))
    for address, keys in found.items():
        assert all(results[key].holder != address for key in keys)
        assert sum(results[key].size for key in keys) <= rooms[address]
    for key in results.keys() - set(copied):
        left = {
            address: room - sum(results[key].size for key in found.get(address, ()))
            for address, room in rooms.items()
            if address != results[key].holder
        }
        assert all(room < results[key].size for room in left.values())


def test_equal_workers_get_equal_shares():
    results = [Result(number, 1, "a") for number in range(90)]
    found = copies(results, {"a": 1000, "b": 100, "c": 100, "d": 100})
    assert {address: len(keys) for address, keys in found.items()} == {"b": 30, "c": 30, "d": 30}


def test_a_worker_says_once_that_it_fills_again_as_it_grows_and_once_that_it_is_relieved():
    pressure = Pressure(1000)
    said = [pressure.look(process) for process in (100, 799, 800, 810, 819, 820, 700, 100, 900)]
    assert said == [None, None, True, None, None, True, False, None, True]


def test_a_worker_without_a_limit_says_nothing():
    assert Pressure(None).look(1 << 50) is None
