"""What a task is a run of: the function that its user wrote, whatever its key is called.

A key's prefix says nothing where users name their own keys: every task would be a type of its own, and never be
known. For tasks that Dask's collections make, the prefix names the layer and says more than the function, which is
that of a library.
"""

from __future__ import annotations

import functools
from typing import Any

_NOT_THE_USERS = frozenset(
    (
        *("dask", "distributed", "toolz", "tlz", "cytoolz", "builtins", "functools", "operator", "_operator"),
        *("numpy", "pandas", "pyarrow", "scipy"),
    )
)
"""What the layers of Dask's collections are made of."""


def name_of(run_spec: Any, prefix: str) -> str:
    """Return the name of a task's type.

    Parameters
    ----------
    run_spec
        Dask's description of the task; only its ``func`` is looked at, and nothing is unpickled.
    prefix
        Prefix of its key: the name where the function cannot be known, or is not the user's.

    Examples
    --------
    >>> from dask._task_spec import Task
    >>> name_of(Task("run_1", name_of, None, ""), "run_1")
    'supreme_dask.task_types.name_of'
    >>> name_of(Task("sum-1", sum, [1]), "sum")
    'sum'
    """
    function = getattr(run_spec, "func", None)
    while isinstance(function, functools.partial):
        function = function.func
    if function is None:
        return prefix
    try:
        return _named(function) or prefix
    except Exception:  # noqa: BLE001  (it is the user's object, and may do anything when it is looked at)
        return prefix


def _named(function: Any) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    if not isinstance(module, str) or module.partition(".")[0] in _NOT_THE_USERS:
        return ""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    code = getattr(function, "__code__", None)
    if code is not None and "<" in name:  # a lambda, or a function within one: many have the same name
        return f"{module}.{name}:{code.co_firstlineno}"
    return f"{module}.{name}"
