from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.trials import Trial


@given(st.lists(st.floats(0, 100), max_size=30))
def test_each_failure_in_a_row_is_waited_for_as_long_or_longer_and_never_for_ever(pauses):
    trial, now, waits = Trial(), 0.0, []
    for pause in pauses:
        trial = trial.failed("no image", now)
        waits.append(trial.again - now)
        assert trial.blocked(now) == "no image"
        assert not trial.blocked(trial.again)
        now = trial.again + pause
    assert all(0.9 < wait < 61 for wait in waits)
    assert all(later > earlier - 1e-6 for earlier, later in pairwise(waits))


def test_nothing_is_blocked_before_a_failure():
    assert not Trial().blocked(0.0)
