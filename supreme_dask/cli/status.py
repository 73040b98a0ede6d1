"""``dask supreme status``: what a system does now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from supreme_dask.cli.asking import address_of, ask, at_scheduler
from supreme_dask.cli.output import say, table, window
from supreme_dask.core.resources import MEMORY, format_amount, from_units

_PARTS = ["workers", "waiting", "scaling"]
_EVERY = 2.0  # s
_SHOWN = 10  # kinds of waiting tasks


@click.command()
@at_scheduler
@click.option("--watch", is_flag=True, help="Go on, and show it again every two seconds.")
def status(scheduler: str | None, *, watch: bool, as_json: bool, **system: str) -> None:
    """Show what a system has, what waits, and how it is scaled.

    The same is on the page Supreme of Dask's dashboard.
    """
    address = scheduler or address_of(**system)
    try:
        _show(address, as_json=as_json)
        while watch:
            time.sleep(_EVERY)
            click.clear()  # does nothing where the output is no terminal
            _show(address, as_json=as_json)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None


def _show(address: str, *, as_json: bool) -> None:
    found = ask(address, "supreme_look", parts=_PARTS)
    say([found], _lines(found), as_json=as_json)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    workers, waiting, scaling = (found[part] for part in _PARTS)
    running = sum(row["running"] for row in workers["workers"])
    yield ", ".join(
        (
            _counted(len(workers["workers"]), "worker", "workers"),
            _counted(running, "task runs", "tasks run"),
            _counted(waiting["tasks"], "waits", "wait"),
        )
    )
    if totals := [_total(row) for row in workers["totals"] if row["group"] == "*"]:
        yield from ("", *table(totals, window()))
    if groups := [_group(row) for row in scaling["groups"] if row["group"]]:
        yield from ("", *table(groups, window(), sentence="why"))
    if tasks := [_waiting(row) for row in waiting["waiting"][:_SHOWN]]:
        yield from ("", *table(tasks, window(), sentence="why they wait"))
        if (more := waiting["shapes"] - len(tasks)) > 0:
            yield f"and {more:,} kinds of tasks more"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _total(row: Mapping[str, Any]) -> dict[str, str]:
    name = row["resource"]
    stored = _amount(name, row["stored"]) if name == MEMORY else ""
    return {
        "resource": name,
        "reserved": _amount(name, row["reserved"]),
        "stored": stored,
        "of": _amount(name, row["capacity"]),
    }


def _group(row: Mapping[str, Any]) -> dict[str, str]:
    counts = {name: "" if row[name] is None else str(row[name]) for name in ("wanted", "there")}
    changing = {name: str(row[name] or "") for name in ("starting", "draining")}
    why = f"cannot grow: {row['blocked']}" if row["blocked"] else row["reason"]
    return {"group": row["group"], **counts, **changing, "why": why}


def _waiting(row: Mapping[str, Any]) -> dict[str, str]:
    demand = ", ".join(f"{name} {_amount(name, amount)}" for name, amount in row["demand"].items() if amount)
    return {"tasks": f"{row['tasks']:,}", "type": row["type"], "need": demand, "why they wait": row["why"]}


def _amount(name: str, amount: float | None) -> str:
    return "no limit" if amount is None else format_amount(name, from_units(name, amount))
