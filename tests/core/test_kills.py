from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.kills import Suspect, alone, culprit, larger

GiB = 2**30
amounts = st.integers(1, 64 * GiB)


@given(reserved=amounts, capacities=st.lists(amounts, min_size=1), factor=st.floats(1.01, 10))
def test_a_task_that_is_always_killed_gets_more_each_time_and_is_given_up_in_the_end(reserved, capacities, factor):
    sizes = [reserved]
    while (size := larger(sizes[-1], int(sizes[-1] * factor) + 1, capacities)) is not None:
        assert sizes[-1] < size <= max(capacities)
        sizes.append(size)
        assert len(sizes) < 5000
    assert sizes[-1] >= 0.85 * max(capacities) or reserved >= 0.85 * max(capacities)


@given(reserved=st.lists(amounts, min_size=2, max_size=8), capacity=amounts)
def test_of_several_nobody_is_blamed_who_did_not_have_nearly_all(reserved, capacity):
    suspects = [Suspect(str(number), "load", amount) for number, amount in enumerate(reserved)]
    found = culprit(suspects, capacity)
    assert found is None or found.reserved >= 0.85 * capacity


@given(capacity=amounts, others=st.lists(amounts, min_size=1))
def test_who_is_killed_when_it_was_to_run_alone_is_the_one(capacity, others):
    """Whatever ran beside it in the rest: so the search for the culprit ends."""
    suspects = [Suspect(str(number), "load", amount) for number, amount in enumerate(others)]
    searched = Suspect("searched", "load", alone(capacity))
    assert culprit([searched], capacity) == searched
    if capacity > 100 and all(one.reserved < 0.85 * capacity for one in suspects):
        assert culprit([*suspects, searched], capacity) == searched


def test_a_task_that_ran_alone_is_the_one():
    only = Suspect("load-1", "load", 1)
    assert culprit([only], GiB) is only
    assert culprit([], GiB) is None


def test_without_workers_there_is_no_larger_one():
    assert larger(GiB, 2 * GiB, []) is None
