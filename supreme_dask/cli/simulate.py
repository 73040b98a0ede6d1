"""``dask supreme simulate``: what a policy would have made of a trace, in virtual time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click
from dask.utils import format_time

from supreme_dask import config
from supreme_dask.cli.commands import FiniteRange, read_document
from supreme_dask.cli.output import table, window
from supreme_dask.cli.picture import draw
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.policies import DEFAULT_POLICY
from supreme_dask.core.scaling import Scaling
from supreme_dask.core.simulation.conditions import Conditions
from supreme_dask.core.simulation.outcomes import Outcome, Totals
from supreme_dask.core.simulation.replay import simulate as replay
from supreme_dask.core.simulation.traces import Job, read, squeezed, undeclared
from supreme_dask.errors import DocumentError, MissingExtraError, PolicyError, TraceError
from supreme_dask.errors.base import listed
from supreme_dask.stores import schemas

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, writable=True, path_type=Path)
_SHOWN = 12  # scale events; --json has all
_NAMED = 3  # tasks that failed, with the reason
_AMOUNT, _RATE = FiniteRange(min=0, min_open=True), FiniteRange(min=0)


def _with_directory(_context: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Refuse a file whose directory is not there, before the time for what it is to hold has been taken."""
    if file is not None and not file.parent.is_dir():
        raise click.BadParameter(f"there is no directory {str(file.parent)!r}", param=option)
    return file


@click.command()
@click.option("--trace", required=True, type=_FILE, help="Jobs, as CSV: our own, nf-core's or openb's columns.")
@click.option("--groups", required=True, type=_FILE, help="Worker groups, as `dask supreme groups apply` takes them.")
@click.option("--policy", type=_FILE, help="As `dask supreme policy apply` takes it; without it, the default one.")
@click.option("--fixed", is_flag=True, help="No scaling: as many workers as the groups have at the start.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Of failures and interruptions.",
)
@click.option(
    "--failures",
    type=_RATE,
    metavar="RATE",
    default=0.0,
    show_default=True,
    help="How often per hour one worker dies.",
)
@click.option(
    "--notice",
    type=_RATE,
    metavar="SECONDS",
    default=0.0,
    show_default=True,
    help="Of notice before a worker is taken away.",
)
@click.option("--learn-memory", is_flag=True, help="Let declared memory be unknown, so that it has to be learned.")
@click.option("--span", type=_AMOUNT, metavar="SECONDS", help="Let all jobs arrive within so long, evenly.")
@click.option("--longest", type=_AMOUNT, metavar="SECONDS", help="Let no job take longer.")
@click.option("--json", "json_file", type=_OUT, callback=_with_directory, help="Where to write all figures.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="Where to draw workers, waiting tasks and allocation over time (.svg).",
)
def simulate(
    trace: Path,
    groups: Path,
    policy: Path | None,
    json_file: Path | None,
    picture: Path | None,
    **options: Any,
) -> None:
    """Show what a trace of jobs would cost and how long it takes.

    It is replayed on imagined workers, in virtual time. It fails if some of them never end, and says why.
    """
    jobs = _shaped(_jobs(trace), options)
    workers = _groups(groups)
    scaling = None if options["fixed"] else _scaling(policy, workers)
    if scaling is not None:
        workers = [group.within_limits() for group in workers]
    conditions = _conditions(options)
    outcome = replay(jobs, workers, scaling, conditions)
    _show(outcome, conditions)
    if json_file is not None:
        json_file.write_text(json.dumps(outcome.to_wire(), indent=1) + "\n")
    failures = [] if picture is None else _drawn(outcome, [group.name for group in workers], picture)
    if outcome.finished < outcome.tasks:
        failures.append(f"{outcome.tasks - outcome.finished} of {outcome.tasks} tasks never end")
    if failures:
        raise click.ClickException("; ".join(failures))


def _drawn(outcome: Outcome, groups: Sequence[str], picture: Path) -> list[str]:
    """Draw the picture, or return why that failed: by then the figures are printed, and that stays so."""
    try:
        draw(outcome, groups, picture)
    except MissingExtraError as error:
        return [str(error)]
    except OSError as error:
        return [f"{picture}: no picture was written: {error.strerror or error}"]
    except Exception as error:  # noqa: BLE001  formats need programs, whose errors are their own
        return [f"{picture}: no picture was written: {next(iter(str(error).splitlines()), type(error).__name__)}"]
    return []


# ----------------------------------------------------------------------------------------------- files
def _jobs(file: Path) -> tuple[Job, ...]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as rows:
            return read(csv.DictReader(rows))
    except (TraceError, UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(f"{file}: {error}") from None


def _shaped(jobs: tuple[Job, ...], options: Mapping[str, Any]) -> tuple[Job, ...]:
    shaped = squeezed(jobs, span=options["span"], longest=options["longest"])
    return undeclared(shaped) if options["learn_memory"] else shaped


def _groups(file: Path) -> list[WorkerGroup]:
    with _told_of(file):
        return schemas.groups(_content(file))


def _scaling(file: Path | None, groups: Sequence[WorkerGroup]) -> Scaling:
    if file is None:
        return Scaling(schemas.policy(DEFAULT_POLICY))
    with _told_of(file):
        return Scaling(schemas.policy(_content(file), [group.name for group in groups]))


def _content(file: Path) -> Mapping[str, Any]:
    with file.open("rb") as opened:
        return read_document(opened)


@contextmanager
def _told_of(file: Path) -> Iterator[None]:
    """End the command with what is wrong with a file."""
    try:
        yield
    except (DocumentError, PolicyError) as error:
        raise click.ClickException(f"{file} cannot be simulated{listed(error.problems)}") from None


def _conditions(options: Mapping[str, Any]) -> Conditions:
    return Conditions(
        seed=options["seed"],
        usable=config.fraction("memory.safe-fraction"),
        settings=config.settings(),
        failures=options["failures"],
        notice=options["notice"],
    )


# ---------------------------------------------------------------------------------------------- result
def _show(outcome: Outcome, conditions: Conditions) -> None:
    figures = [{"figure": name, "value": value} for name, value in _figures(outcome, conditions)]
    lines = table(figures, window(), sentence="value")[1:]
    if outcome.scale_events:
        lines += ["", *table(_events(outcome), window(), sentence="why")]
    for line in lines:
        click.echo(line)
    if outcome.finished < outcome.tasks:
        for sentence in (*outcome.unhosted, *islice(outcome.failed.values(), _NAMED)):
            click.echo(f"Unmet: {sentence}")


def _figures(outcome: Outcome, conditions: Conditions) -> list[tuple[str, str]]:
    usage, waiting = outcome.usage, outcome.waiting
    hours = ", ".join(f"{name} {paid:.1f}" for name, paid in usage.worker_hours.items())
    quantiles = (waiting.mean, waiting.p50, waiting.p95, waiting.p99)
    return [
        ("tasks", f"{outcome.finished} of {outcome.tasks} ended, {len(outcome.failed)} failed"),
        ("makespan", format_time(outcome.makespan)),
        ("cost", f"{usage.cost:.2f}"),
        ("worker-hours", hours),
        ("waiting: mean, p50, p95, p99", ", ".join(map(format_time, quantiles))),
        (f"allocated {usage.scarce}".rstrip(), _allocated(usage, conditions.backlog)),
        ("cores computing", f"{usage.utilised:.1%}"),
        ("scale events", f"{len(outcome.scale_events)} of {outcome.evaluations} decisions"),
        ("workers launched, removed", f"{outcome.launched}, {outcome.removed}"),
        ("killed for memory, died, taken away", f"{outcome.kills}, {outcome.failures}, {outcome.interruptions}"),
        ("tasks run again", str(outcome.reruns)),
    ]


def _allocated(usage: Totals, backlog: int) -> str:
    if not usage.backlog:
        return f"{usage.allocated:.1%} of the whole run: no backlog"
    return f"{usage.allocated:.1%} while {backlog} tasks waited or more: {format_time(usage.backlog)}"


def _events(outcome: Outcome) -> list[dict[str, str]]:
    events = outcome.scale_events
    rows = [
        {
            "scaled after": format_time(event.time),
            "group": event.group,
            "workers": f"{event.before} → {event.after}",
            "why": event.reason,
        }
        for event in events[:_SHOWN]
    ]
    more = len(events) - _SHOWN
    return [*rows, {"scaled after": "…", "why": f"and {more} more; --json has all"}] if more > 0 else rows
