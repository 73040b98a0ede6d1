"""What all commands have in common: a mistake is answered with one line, and numbers are finite."""

from __future__ import annotations

import errno
import json
import math
from typing import Any, BinaryIO

import click
import yaml

from supreme_dask.errors import SupremeError


class Commands(click.Group):
    """Commands of which none ends with a traceback for what the person who gave it can mend."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; our errors, and those of the operating system, end it with their sentence."""
        try:
            return super().invoke(context)
        except SupremeError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has ended, which click handles
                raise
            raise click.ClickException(_sentence(error)) from error


class FiniteRange(click.FloatRange):
    """A number within limits; unlike `click.FloatRange` it takes neither ``nan`` nor ``inf``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r}: expected a finite number", param, ctx)
        return number


def read_document(file: BinaryIO) -> dict[Any, Any]:
    """Return the document that a file holds, YAML or JSON: names with values.

    Raises
    ------
    click.ClickException
        If it is not UTF-8, not YAML, or something else than names with values.
    """
    name, content = getattr(file, "name", "<stdin>"), file.read()
    try:
        found = yaml.load(content.decode("utf-8-sig"), _Loader)  # noqa: S506  a SafeLoader
        json.dumps(found, default=str)  # fails for what contains itself, which no schema can be applied to
    except UnicodeDecodeError as error:
        raise click.ClickException(
            f"{name} is not UTF-8: byte {error.start} is {content[error.start]:#04x}"
        ) from None
    except yaml.YAMLError as error:
        raise click.ClickException(f"{name} is not YAML: {_one_line(error)}") from None
    except (ValueError, RecursionError, TypeError, OverflowError) as error:  # such as a date of 30 February
        raise click.ClickException(f"{name} has a value that cannot be read: {_one_line(error)}") from None
    if not isinstance(found, dict):
        raise click.ClickException(f"{name} holds no document: names with values were expected")
    return found


class _Loader(yaml.SafeLoader):
    """YAML of which each name is a string, and is there once: of two equal ones only the last would count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the values by name."""
        names = [self.construct_object(name) for name, _ in node.value if name.tag != _MERGE]
        for (key, _), name in zip((one for one in node.value if one[0].tag != _MERGE), names, strict=True):
            if not isinstance(name, str):
                raise _refused(key, f"the name {key.value} is no string; write {str(key.value)!r}")
            if names.count(name) > 1:
                raise _refused(key, f"{name!r} is there twice")
        return super().construct_mapping(node, deep)


_MERGE = "tag:yaml.org,2002:merge"


def _refused(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=f"line {node.start_mark.line + 1}: {problem}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _sentence(error: OSError) -> str:
    reason = error.strerror or _one_line(error)
    return f"{error.filename}: {reason}" if error.filename else reason
