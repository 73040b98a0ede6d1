from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.fuse import Fuse
from supreme_dask.core.groups import WorkerGroup

HOUR = 3600.0
maxima = st.none() | st.integers(0, 20)
asked = st.tuples(st.floats(0, HOUR / 2), st.integers(0, 50), st.integers(0, 30))


@given(maxima, st.none() | st.integers(1, 60), st.lists(asked, max_size=30))
def test_neither_the_maximum_nor_the_rate_is_passed_whatever_is_asked_for(maximum, per_hour, questions):
    fuse, group, now, launched = Fuse(per_hour), WorkerGroup("small", maximum=maximum), 0.0, []
    limit = per_hour or (1000 if maximum is None else max(100, 10 * maximum))
    for seconds, wanted, existing in questions:
        now += seconds
        count = fuse.allow(group, wanted, existing, now)
        assert 0 <= count <= wanted
        if maximum is not None:
            assert not count or existing + count <= maximum
        launched += [now] * count
        assert sum(when > now - HOUR for when in launched) <= limit
        assert not (fuse.blown(now) and fuse.allow(group, 1, 0, now))


def test_a_blown_fuse_holds_for_an_hour_or_until_it_is_reset():
    fuse, group, other = Fuse(per_hour=2), WorkerGroup("small"), WorkerGroup("large")
    assert fuse.allow(group, 3, 0, now=0.0) == 2
    assert "small" in fuse.blown(HOUR - 1)
    assert fuse.allow(group, 1, 0, now=HOUR - 1) == 0
    assert fuse.allow(other, 1, 0, now=1.0) == 1
    assert fuse.allow(group, 2, 0, now=HOUR + 1) == 2
    assert fuse.allow(group, 1, 0, now=HOUR + 2) == 0
    fuse.reset("small")
    assert fuse.allow(group, 1, 0, now=HOUR + 3) == 1
    assert not fuse.blown(HOUR + 3)


def test_waiting_for_some_to_end_does_not_blow_it():
    fuse, group = Fuse(), WorkerGroup("small", maximum=2)
    assert [fuse.allow(group, 1, 2, now=second) for second in range(5)] == [0] * 5
    assert not fuse.blown(5.0)
    assert fuse.allow(group, 1, 1, now=6.0) == 1
