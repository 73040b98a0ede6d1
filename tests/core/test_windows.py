"""Running means of what is used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.snapshot import Usage
from supreme_dask.core.windows import Means

percents = st.floats(0, 100)
samples = st.lists(st.tuples(percents, st.floats(0.1, 100)), min_size=1, max_size=50)


def told(samples):
    means, now = Means(), 0.0
    for cpu, seconds in samples:
        now += seconds
        windows = means.add(Usage(cpu=cpu), now)
    return windows


@given(samples)
def test_a_mean_lies_between_the_samples(samples):
    low, high = min(cpu for cpu, _ in samples), max(cpu for cpu, _ in samples)
    windows = told(samples)
    for mean in (windows.minute.cpu, windows.five_minutes.cpu):
        assert low - 1e-6 <= mean <= high + 1e-6


@given(percents, st.lists(st.floats(0.1, 100), min_size=1, max_size=50))
def test_what_does_not_change_is_its_own_mean(cpu, steps):
    windows = told([(cpu, seconds) for seconds in steps])
    assert windows.now.cpu == cpu
    assert windows.minute.cpu == pytest.approx(cpu)
    assert windows.five_minutes.cpu == pytest.approx(cpu)


@given(percents, percents, st.integers(2, 20))
def test_how_often_one_samples_makes_no_difference(before, after, parts):
    once = told([(before, 1), (before, 30), (after, 30)])
    often = told([(before, 1), (before, 30), *[(after, 30 / parts)] * parts])
    assert often.minute.cpu == pytest.approx(once.minute.cpu, abs=1e-6)


def test_after_five_minutes_of_rest_the_last_minute_is_forgotten_and_the_five_not():
    windows = told([(100, 1), (100, 600), *[(0, 5)] * 60])
    assert windows.minute.cpu < 1
    assert 30 < windows.five_minutes.cpu < 40


def test_the_first_heartbeat_of_a_new_worker_does_not_count_for_long():
    windows = told([(0, 1), *[(100, 1)] * 10])
    assert windows.five_minutes.cpu == pytest.approx(100)
