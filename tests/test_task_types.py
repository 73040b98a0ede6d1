"""What a task is a run of is told by its function, whatever its user called the key."""

import functools
import operator

import dask.array as da
import pytest
from dask import delayed
from dask._task_spec import Alias, DataNode, Task

from supreme_dask.task_types import name_of


def work(number):
    return number


class Callable:
    """Something that is called and has no name."""

    def __call__(self, number):
        return number

    def method(self, number):
        return number


class Hostile(Callable):
    """The same, and it does not let itself be looked at."""

    def __getattr__(self, name):
        raise ValueError(name)


def types(*functions):
    return [name_of(Task(f"key-{number}", function, 1), f"key_{number}") for number, function in enumerate(functions)]


def test_keys_of_the_users_own_are_of_one_type():
    assert {name_of(Task(f"run_{number}", work, number), f"run_{number}") for number in range(10)} == {
        f"{__name__}.work"
    }


def test_two_lambdas_are_two_types():
    first, second = types(
        lambda number: number,
        lambda number: -number,
    )
    assert first != second
    assert "<lambda>" in first


def test_what_a_partial_calls_is_its_type():
    assert types(functools.partial(functools.partial(work), 1)) == [f"{__name__}.work"]


def test_methods_and_objects_that_are_called_have_the_names_of_their_classes():
    assert types(Callable().method, Callable()) == [f"{__name__}.Callable.method", f"{__name__}.Callable"]


@pytest.mark.parametrize("function", [sum, operator.add])
def test_where_the_function_says_nothing_or_cannot_be_known_the_prefix_does(function):
    assert types(function) == ["key_0"]


def test_what_does_not_let_itself_be_looked_at_has_the_name_of_the_prefix():
    assert types(Hostile()) == ["key_0"]


@pytest.mark.parametrize("spec", [None, Alias("a", "b"), DataNode("a", 1), (sum, [1, 2]), b"pickled"])
def test_what_is_no_task_has_the_name_of_the_prefix(spec):
    assert name_of(spec, "prefix") == "prefix"


def test_the_layers_of_collections_keep_their_names():
    graph = dict(da.ones((4, 4), chunks=2).sum().dask)
    names = {name_of(task, "layer") for task in graph.values()}
    assert names == {"layer"}


def test_what_is_delayed_is_named_by_its_function():
    assert [name_of(task, "x") for task in dict(delayed(work)(1).dask).values()] == [f"{__name__}.work"]
