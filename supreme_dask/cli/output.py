"""What commands print: tables that fit the window and a pipe, or JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")

_GAP = 2  # columns of the window between two of the table
_LEAST = 20  # columns of the window for sentences, or they get all of it


def say(values: Iterable[Mapping[str, Any]], lines: Iterable[str], *, as_json: bool) -> None:
    """Print values for programs, one object a line and times as seconds since 1970; or else the lines."""
    for line in (json.dumps(value, ensure_ascii=False) for value in values) if as_json else lines:
        click.echo(line)


def window() -> int | None:
    """Return how many columns the window has; None if a pipe or a file takes the output, which have no limit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(rows: Sequence[Mapping[str, str]], width: int | None, *, always: int = 2, sentence: str = "") -> list[str]:
    """Return a line for each row, below their headings.

    Parameters
    ----------
    rows
        Cells by column. A column that is empty everywhere is left out.
    width
        Columns of the window. Of what does not fit, the last is left out first, which a last line says.
    always
        Number of columns that are shown in the narrowest window.
    sentence
        Column that is the last, and whose cells may take several lines.
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != sentence]
    names = [name for name in names if any(row.get(name) for row in rows)]
    sizes = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in names}
    left: list[str] = []
    while width is not None and len(names) > always and sum(sizes[name] + _GAP for name in names) - _GAP > width:
        left.insert(0, names.pop())
    told = []
    for row in [{name: name for name in (*names, sentence)}, *rows]:
        cells = "".join(row.get(name, "").ljust(sizes[name] + _GAP) for name in names)
        told += _with(cells, row.get(sentence, "") if sentence else "", width)
    return [*told, f"No room for {', '.join(left)}: --json has all."] if left else told


def _with(cells: str, sentence: str, width: int | None) -> list[str]:
    """Return the line of a row, and those that its sentence goes on in."""
    if width is None or len(cells) + len(sentence) <= width:
        return [(cells + sentence).rstrip()]
    if width - len(cells) < _LEAST:
        return [cells.rstrip(), *(f"  {line}" for line in _wrapped(sentence, width - 2))]
    first, *more = _wrapped(sentence, width - len(cells)) or [""]
    return [cells + first, *(" " * len(cells) + line for line in more)]


def _wrapped(sentence: str, width: int) -> list[str]:
    """Return lines that are broken between words only: names, keys and options hold hyphens."""
    return textwrap.wrap(sentence, width, break_on_hyphens=False)
