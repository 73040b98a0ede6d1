"""A picture of a simulation: workers, waiting tasks and allocation over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from supreme_dask.core.simulation.outcomes import Outcome
from supreme_dask.errors import MissingExtraError

_HOUR = 3600.0


def draw(outcome: Outcome, groups: Sequence[str], file: Path) -> None:
    """Write the picture to a file, in the format that its name ends with.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    ValueError
        If there is no format of that name.
    OSError
        If the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("demo", "A picture") from error
    figure = Figure(figsize=(9, 7), layout="constrained")
    known = figure.canvas.get_supported_filetypes()
    if file.suffix[1:].lower() not in known:
        raise ValueError(f"pictures are written as {', '.join(known)}; end its name with .svg")
    workers, tasks, shares = figure.subplots(3, sharex=True)
    hours = [moment.time / _HOUR for moment in outcome.moments]
    counts = [[moment.workers[place] for moment in outcome.moments] for place in range(len(groups))]
    workers.stackplot(hours, counts, labels=groups, step="post")
    workers.set_ylabel("workers")
    workers.legend(loc="upper right")
    tasks.step(hours, [moment.waiting for moment in outcome.moments], where="post", label="waiting")
    tasks.step(hours, [moment.running for moment in outcome.moments], where="post", label="running")
    tasks.set_ylabel("tasks")
    tasks.legend(loc="upper right")
    for name in sorted({name for moment in outcome.moments for name, share in moment.allocated.items() if share}):
        shares.step(
            hours, [100 * moment.allocated.get(name, 0) for moment in outcome.moments], where="post", label=name
        )
    shares.set(xlabel="hours", ylabel="allocated, %", ylim=(0, 105))
    shares.legend(loc="lower right")
    figure.savefig(file)
