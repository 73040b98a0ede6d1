"""Whatever another process sends is read, or refused with what is wrong; nothing else happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core import wire
from supreme_dask.core.axes import UNLIMITED
from supreme_dask.errors import MessageError

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda some: st.lists(some) | st.tuples(some, some) | st.dictionaries(st.text(), some),
    max_leaves=6,
)
WHOLE = {
    "supreme-hello": {"worker": "tcp://a:1", "wall": True, "version": 1},
    "supreme-strain": {"worker": "tcp://a:1", "process": 1},
    "supreme-relax": {"worker": "tcp://a:1"},
    "supreme-done": {"worker": "tcp://a:1", "key": ("x", 1)},
    "supreme-overgrown": {"worker": "tcp://a:1", "key": "x", "process": 1},
    "supreme-stopped": {"worker": "tcp://a:1", "key": "x", "held": 1, "asked": 2, "free": 3},
    "supreme-grown": {"worker": "tcp://a:1", "key": "x", "held": 1},
    "long-running": {"worker": "tcp://a:1", "key": "x", "run_id": 1},
    "steal-response": {"worker": "tcp://a:1", "key": "x", "state": "executing"},
    wire.KILLED: {"worker": "tcp://a:1", "rss": 1},
    "supreme_drain": {"names": ["a"], "reason": "why", "deadline": 1.0},
    "supreme_undrain": {"names": ["a"], "reason": "why"},
    "supreme_kept": {"names": ["a"]},
    "supreme_leave": {"worker": "tcp://a:1", "seconds": 1.0},
}
MAY_BE_LEFT_OUT = {"wall", "version", "state", "deadline"}


@pytest.mark.parametrize("message", WHOLE)
def test_a_whole_message_is_read_and_what_is_not_known_is_left_out(message):
    assert wire.read(message, WHOLE[message]) == WHOLE[message]
    assert wire.read(message, {**WHOLE[message], "later": [1]}) == WHOLE[message]


@pytest.mark.parametrize("message", WHOLE)
@given(ANYTHING)
def test_anything_is_read_or_refused(message, told):
    try:
        assert set(wire.read(message, told)) == set(WHOLE[message])
    except MessageError as error:
        assert error.message == message  # noqa: PT017  anything else must not be raised


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_each_field_is_of_its_kind_or_the_message_is_refused_for_it(message, data):
    field = data.draw(st.sampled_from(sorted(WHOLE[message])))
    value = data.draw(ANYTHING)
    try:
        read = wire.read(message, {**WHOLE[message], field: value})[field]
    except MessageError as error:
        assert error.field == field  # noqa: PT017
    else:
        assert read is None or type(read) is type(WHOLE[message][field]) or field == "key"
        hash(tuple(read) if isinstance(read, list) else read)


@pytest.mark.parametrize(("message", "field"), [(one, field) for one in WHOLE for field in WHOLE[one]])
def test_a_field_that_is_missing_is_named(message, field):
    told = {name: value for name, value in WHOLE[message].items() if name != field}
    if field in MAY_BE_LEFT_OUT:
        assert wire.read(message, told)[field] in (None, 0)
    else:
        with pytest.raises(MessageError, match=f"{field}=None: is missing"):
            wire.read(message, told)


@given(ANYTHING | st.builds(lambda told: {wire.MEASURED_KEY: told}, ANYTHING))
def test_a_measurement_is_plausible_or_refused(metadata):
    try:
        found = wire.measured(metadata)
    except MessageError:
        return
    if found is not None:
        assert 0 <= found.cpu < float("inf")
        assert all(0 <= amount < UNLIMITED for amount in (found.memory, found.after) if amount is not None)


def test_a_later_release_may_measure_more():
    assert wire.measured({wire.MEASURED_KEY: (1.5, 10, True, None, "more")}) == (1.5, 10, True, None)
    assert wire.measured({}) is None
