"""What users import is in the reference, with a docstring that names its parameters."""

import ast
import enum
import inspect
import logging
import re
from importlib import import_module
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from supreme_dask.stores import SCHEMES

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference" / "api.md").read_text()
PROGRAMS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    *sorted((ROOT / "examples").glob("*.py")),
    *sorted((ROOT / "plugins").glob("*/*.py")),
]
IMPORT = re.compile(r"^\s*(?:>>> )?from (supreme_dask[\w.]*) import ", re.MULTILINE)
DIRECTIVE = re.compile(r"^\.\. auto(\w+):: ([\w.]+)$", re.MULTILINE)

SHOWN_MODULES = {name for kind, name in DIRECTIVE.findall(REFERENCE) if kind == "module"}
SHOWN_NAMES = {name for kind, name in DIRECTIVE.findall(REFERENCE) if kind != "module"}
# What programs of the documentation import from, and what has no program there but is made to be imported.
IMPORTED = {name for file in PROGRAMS for name in IMPORT.findall(file.read_text())}
MODULES = sorted(IMPORTED | SHOWN_MODULES | {"supreme_dask", "supreme_dask.errors", "supreme_dask.testing"})


def data(module):
    """Return the names that a module assigns, and whether a docstring follows."""
    body = ast.parse(inspect.getsource(module)).body
    found = {}
    for statement, after in zip(body, [*body[1:], None], strict=True):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        text = (
            isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        )
        found |= {target.id: text for target in targets if isinstance(target, ast.Name)}
    return found


def defined(value):
    """Tell whether a class or function is ours; an alias such as of `int` is data."""
    is_one = inspect.isclass(value) or inspect.isfunction(value)
    return is_one and value.__module__.startswith("supreme_dask")


def public(module_name):
    """Return the public names of a module: of `__all__`, or else those that it defines without an underscore."""
    module = import_module(module_name)
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]
    mine = [name for name, value in vars(module).items() if defined(value) and value.__module__ == module_name]
    return [name for name in [*mine, *data(module)] if not name.startswith("_") and not internal(vars(module)[name])]


def internal(value):
    return isinstance(value, (logging.Logger, TypeVar, ParamSpec))


STORES = [tuple(place.split(":")) for place in SCHEMES.values()] + [("supreme_dask.stores.sharded", "ShardedStore")]
NAMES = sorted({(module, name) for module in MODULES for name in public(module)} | set(STORES))


def test_the_modules_that_programs_import_are_looked_at():
    assert {"supreme_dask", "supreme_dask.stores", "supreme_dask.core.policies"} <= set(MODULES)
    assert len(NAMES) > 100


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_it_is_in_the_reference(module, name):
    value = getattr(import_module(module), name)
    if any(value is shown(place) for place in SHOWN_NAMES if place.endswith(f".{name}")):
        return
    if defined(value):
        assert {module, value.__module__} & SHOWN_MODULES
    else:
        # Sphinx shows data by the docstring below it, in the module that assigns it.
        assert module in SHOWN_MODULES
        assert data(import_module(module)).get(name), "no docstring below it, and no autodata directive"


def shown(place):
    module, _, name = place.rpartition(".")
    return getattr(import_module(module), name)


def members(value):
    """Yield the public functions and properties of a class with their names; of a function, itself."""
    if not inspect.isclass(value):
        yield "", value
        return
    for name, member in vars(value).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        # Of a contract, which is a test, the name says the promise; what Dask calls is described by Dask.
        described = name.startswith(("_", "test_")) or any(
            name in vars(base) for base in value.__mro__ if base.__module__.startswith("distributed.")
        )
        if inspect.isfunction(function) and not described:
            yield name, function


def text_of(value, name):
    """Return the docstrings of a class or a function, and of what a method overrides or refers to."""
    if not name:
        return [value.__doc__]
    texts = [vars(base)[name].__doc__ for base in value.__mro__ if name in vars(base)]
    return texts + [text for one in filter(None, texts) for text in referred(one)]


def referred(text):
    """Return the docstring of the method that ``See `Class.method`.`` refers to, of a class that is public itself."""
    found = re.fullmatch(r"See `(\w+)\.(\w+)`\.", text.strip())
    if found is None:
        return []
    (place,) = {getattr(import_module(module), name) for module, name in NAMES if name == found[1]}
    return [getattr(place, found[2]).__doc__]


def parameters(function):
    taken = inspect.signature(function).parameters.values()
    passed_on = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [parameter.name for parameter in taken if parameter.kind not in passed_on]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def unnamed(function, texts):
    """Return the parameters that no docstring names."""
    words = set(re.findall(r"\w+", " ".join(filter(None, texts))))
    return [name for name in parameters(function) if name not in words]


def constructor(value):
    """Return what makes one of a class that users make; errors are made by us, protocols and enumerations by none."""
    made_by_users = not issubclass(value, (BaseException, enum.Enum)) and not getattr(value, "_is_protocol", False)
    return value.__init__ if made_by_users and inspect.isfunction(value.__init__) else None


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_it_has_a_docstring_that_names_its_parameters(module, name):
    value = getattr(import_module(module), name)
    if not defined(value):
        return
    assert value.__doc__
    wrong = {
        part or name: unnamed(function, text_of(value, part)) or None
        for part, function in members(value)
        if not any(text_of(value, part)) or unnamed(function, text_of(value, part))
    }
    made = constructor(value) if inspect.isclass(value) else None
    if made is not None and unnamed(made, [value.__doc__]):
        wrong["a new one"] = unnamed(made, [value.__doc__])
    assert not wrong
