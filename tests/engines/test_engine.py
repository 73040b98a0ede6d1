import pickle

import pytest
from dask.tokenize import tokenize
from hypothesis import given
from hypothesis import strategies as st

from supreme_dask import BaseSupremeEngine, ResourceProfile, engine
from supreme_dask.core.resources import Resources
from supreme_dask.errors import DemandError, EngineError


class Sort(BaseSupremeEngine):
    def run(self, values, **_):
        return sorted(values)

    def estimate_cpu_usage(self, _values, *, parallel=False):
        return 2 if parallel else None

    def estimate_memory_usage(self, values, **_):
        return 24 * len(values)


@engine(cpu=lambda values: len(values), memory="1 GiB", GPU=1)
def total(values):
    return sum(values)


def test_estimates_depend_on_the_arguments():
    assert Sort().get_resource_profile([1, 2]) == ResourceProfile(memory_required=48)
    assert Sort().get_resource_profile([1], parallel=True) == ResourceProfile(cpu_required=2, memory_required=24)


def test_what_is_not_estimated_is_left_to_be_learned():
    assert Sort().get_demand([1]) == Resources.of({"memory": 24})


def test_an_engine_is_called_after_its_class_unless_it_says_otherwise():
    class Thumbnails(Sort):
        name = "thumbnail"

    assert Sort().name == "Sort"
    assert Thumbnails().name == "thumbnail"
    assert type("Derived", (Thumbnails,), {})().name == "Derived"


def test_a_decorated_function_is_still_that_function():
    assert total([1, 2]) == 3
    assert (total.name, total.__module__) == ("total", __name__)


def test_amounts_of_a_function_may_be_functions_of_its_arguments():
    demand = total.get_demand([1, 2])
    assert demand == Resources.parse({"cpu": 2, "memory": "1 GiB", "GPU": 1})


@given(st.lists(st.integers()))
def test_an_engine_made_in_one_line_says_what_its_estimates_say(values):
    made = engine(sorted, memory=lambda values: 24 * len(values))
    assert made.get_demand(values)["memory"] == 24 * len(values)
    assert made(values) == sorted(values)


def test_an_estimate_that_raises_names_engine_method_arguments_and_cause():
    broken = engine(sorted, memory=lambda values: values["size"])
    with pytest.raises(EngineError) as caught:
        broken.get_demand(list(range(1000)))
    message = str(caught.value)
    assert "'sorted'" in message
    assert "estimate_memory_usage([0, 1, 2, 3, 4, 5, ...])" in message
    assert "TypeError" in message
    assert isinstance(caught.value.__cause__, TypeError)


def test_an_estimate_that_cannot_be_read_names_the_engine():
    with pytest.raises(DemandError, match="memory") as caught:
        engine(sorted, memory=lambda _: "much").get_demand([1])
    assert "'sorted'" in caught.value.__notes__[0]


@pytest.mark.parametrize("amount", [-1, float("nan"), "much", 1e30, [1]])
def test_an_amount_that_cannot_be_read_is_refused_when_the_engine_is_made(amount):
    with pytest.raises(DemandError):
        engine(cpu=amount)


def test_an_importable_engine_travels_as_its_name():
    assert pickle.loads(pickle.dumps(total)) is total
    assert tokenize(total) == tokenize(total)


def test_another_engine_travels_as_its_function():
    made = engine(sorted, memory="1 MiB")
    there = pickle.loads(pickle.dumps(made))
    assert there([2, 1]) == [1, 2]
    assert there.get_demand([]) == made.get_demand([])
