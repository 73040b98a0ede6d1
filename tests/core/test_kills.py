from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.kills import Suspect, after_stop, culprit, larger
from supreme_dask.core.verdicts import Court
from tests.core.clusters import cluster

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


@given(reserved=amounts, held=st.integers(0, 64 * GiB), asked=st.integers(0, 64 * GiB), likely=amounts)
def test_a_task_that_is_stopped_gets_more_than_it_had(reserved, held, asked, likely):
    assert after_stop(reserved, held, asked, likely) > max(reserved, held)


def stops(*, largest=4 * GiB, reserved=GiB, held=GiB, asked=0):
    """Return what becomes of a task that is stopped on the only worker, which has 4 GiB."""
    admission = cluster(4)
    court = Court(admission.ledger, admission.kinds)
    return court.stopped(Suspect("load-1", "load", reserved), largest, held, asked)


def test_a_stopped_task_gets_what_it_asked_for_and_a_little_more():
    verdict = stops(held=GiB, asked=GiB)
    assert verdict.blamed == "load-1"
    assert 2 * GiB < verdict.size < 2.3 * GiB
    assert not verdict.last


def test_a_task_that_asked_for_no_more_than_was_set_aside_for_it_is_not_at_fault():
    assert stops(reserved=2 * GiB, held=GiB, asked=GiB // 2).blamed is None


def test_a_task_that_only_the_largest_worker_may_hold_gets_that_alone_and_keeps_its_next_error():
    verdict = stops(held=2 * GiB, asked=2 * GiB)
    assert verdict.last
    assert verdict.size <= 4 * GiB


def test_a_memory_error_of_a_task_that_holds_little_each_time_may_be_its_own():
    admission = cluster(4)
    court = Court(admission.ledger, admission.kinds)
    attempts = [court.stopped(Suspect("load-1", "load", 1000), 4 * GiB, 1000, 0).last for _ in range(3)]
    assert attempts == [False, True, True]


def test_a_task_that_is_stopped_again_and_again_comes_to_its_last_attempt():
    admission = cluster(64)
    court = Court(admission.ledger, admission.kinds)
    reserved, attempts = 100 << 20, 0
    while not (verdict := court.stopped(Suspect("load-1", "load", reserved), 64 * GiB, reserved, 0)).last:
        assert verdict.size > reserved
        reserved, attempts = verdict.size, attempts + 1
    assert attempts < 12


def test_a_task_whose_share_others_take_again_and_again_gets_a_worker_to_itself_in_the_end():
    admission = cluster(8)
    court = Court(admission.ledger, admission.kinds)
    honest = Suspect("load-1", "load", 6 * GiB)
    verdicts = [court.stopped(honest, 8 * GiB, 0, 6 * GiB) for _ in range(10)]
    assert [verdict.blamed for verdict in verdicts[:-1]] == [None] * 9
    assert verdicts[-1].last
