from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.kills import Suspect, culprit, larger

GiB = 2**30
amounts = st.integers(1, 64 * GiB)


@given(reserved=amounts, largest=amounts, factor=st.floats(1.01, 10))
def test_a_task_that_is_always_killed_gets_more_each_time_and_is_given_up_in_the_end(reserved, largest, factor):
    sizes = [reserved]
    while (size := larger(sizes[-1], int(sizes[-1] * factor) + 1, largest)) is not None:
        assert sizes[-1] < size <= largest
        sizes.append(size)
        assert len(sizes) < 5000
    assert sizes[-1] >= 0.85 * largest


@given(reserved=st.lists(amounts, min_size=2, max_size=8))
def test_of_several_nobody_is_blamed_however_much_it_had(reserved):
    """Beside one that had nearly all, a small one may have lied."""
    assert culprit([Suspect(str(number), "load", amount) for number, amount in enumerate(reserved)]) is None


def test_a_task_that_ran_alone_is_the_one():
    only = Suspect("load-1", "load", 1)
    assert culprit([only]) is only
    assert culprit([]) is None


def test_where_there_was_never_a_worker_there_is_no_larger_one():
    assert larger(GiB, 2 * GiB, 0) is None
