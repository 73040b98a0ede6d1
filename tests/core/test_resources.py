import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.resources import Resources, format_amount, parse_amount
from supreme_dask.errors import DemandError

amounts = st.dictionaries(st.sampled_from(["cpu", "memory", "network", "GPU"]), st.integers(0, 2**50))
resources = amounts.map(Resources.of)


@pytest.mark.parametrize(
    ("name", "written", "amount"),
    [
        ("memory", "4 GiB", 4 * 2**30),
        ("memory", "4GB", 4 * 10**9),
        ("MEMORY", "1.5 kib", 1536),
        ("memory", 4e9, 4 * 10**9),
        ("memory", "1e3", 1000),
        ("memory", 0, 0),
        ("cpu", 1.5, 1500),
        ("Cpu", "500m", 500),
        ("cpu", 0.0001, 1),
        ("network", "250 MB/s", 250 * 10**6),
        ("network", "10 Gbit/s", 1_250_000_000),
        ("GPU", 1, 1000),
        ("GPU", "0.25", 250),
        ("GPU", np.float32(2), 2000),
        ("GPU", np.int64(2), 2000),
    ],
)
def test_amounts_are_read_as_users_write_them(name, written, amount):
    assert parse_amount(name, written)[1] == amount


@pytest.mark.parametrize("name", ["cpu", "memory", "network", "GPU"])
@pytest.mark.parametrize(
    "written",
    [
        -1,
        "-1",
        -1e-3,
        math.nan,
        "nan",
        math.inf,
        -math.inf,
        "inf",
        1e300,
        "1e300",
        10**400,
        10**5000,
        "",
        " ",
        "four",
        "4 Gibberish",
        "4 GiB of it",
        "1" * 100_000 + "!",
        "1" + " " * 100_000 + "!",
        None,
        True,
        [1],
        {},
        b"1",
        1 + 2j,
        np.complex128(1),
        np.arange(2),
        Decimal("sNaN"),
        object(),
    ],
    ids=lambda written: type(written).__name__,
)
def test_an_amount_that_makes_no_sense_is_an_error_that_says_so(name, written):
    with pytest.raises(DemandError, match=name) as caught:
        parse_amount(name, written)
    assert caught.value.resource == name
    assert caught.value.amount is written
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["", 5, None, ("a",)])
def test_a_name_that_is_no_name_is_an_error(name):
    with pytest.raises(DemandError):
        parse_amount(name, 1)


@pytest.mark.parametrize("written", [5, "cpu", None, [("cpu", 1)]])
def test_demands_that_are_not_by_name_are_an_error(written):
    with pytest.raises(DemandError, match="4 GiB"):
        Resources.parse(written)


@given(st.text(max_size=100))
def test_any_text_is_an_amount_or_an_error_of_ours(text):
    try:
        _, amount = parse_amount("memory", text)
    except DemandError:
        return
    assert amount >= 0


@given(st.floats(), st.sampled_from(["cpu", "memory", "GPU"]))
def test_any_number_is_an_amount_or_an_error_of_ours(number, name):
    try:
        _, amount = parse_amount(name, number)
    except DemandError:
        return
    assert 0 <= amount <= 2**61
    assert amount >= number * (1 if name == "memory" else 1000) * (1 - 1e-9) - 1e-5


@given(resources, resources)
def test_a_sum_less_one_part_is_the_other(one, other):
    both = one.plus(other)
    assert all(both.minus(other)[name] == one[name] for name in both)
    assert one.fits(both)
    assert other.fits(both)


@given(resources, resources)
def test_what_fits_takes_no_more_than_all_of_anything(demand, capacity):
    assert demand.fits(capacity) == (demand.dominant_share(capacity) <= 1)


@given(resources, resources)
def test_later_amounts_win_when_overlaid(old, new):
    overlaid = old.overlaid(new)
    assert all(overlaid[name] == (new if name in new else old)[name] for name in overlaid)


@given(amounts)
def test_equal_amounts_are_equal_whatever_their_order(some):
    backwards = dict(reversed(some.items()))
    assert Resources.of(some) == Resources.of(backwards)
    assert hash(Resources.of(some)) == hash(Resources.of(backwards))


@given(st.integers(0, 2**50))
def test_what_is_shown_of_bytes_can_be_read_back(amount):
    _, back = parse_amount("memory", format_amount("memory", amount))
    assert back == pytest.approx(amount, rel=0.005, abs=1)
