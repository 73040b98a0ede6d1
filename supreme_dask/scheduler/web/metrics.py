"""The figures of a `View` in the text format of Prometheus, without its client library.

Names and units follow Prometheus's conventions, and kube-state-metrics where one metric counts several resources: the
unit is a label. See "Exposition formats", text format 0.0.4, in Prometheus's documentation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from supreme_dask.core.resources import CPU, MEMORY, NETWORK

TYPE = "text/plain; version=0.0.4; charset=utf-8"
PARTS = ("workers", "waiting", "scaling")
"""The parts of a view that are exposed."""

_UNITS = {CPU: "core", MEMORY: "byte", NETWORK: "byte_per_second"}
_Sample = tuple[Mapping[str, str], float]


def text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures of the parts that are exposed."""
    return "".join(line for family in _families(values) for line in _lines(*family))


def _families(values: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str, Iterable[_Sample]]]:
    """Yield name, type, help and samples of each metric."""
    workers, waiting, scaling = (values[part] for part in PARTS)
    rows, totals = workers["workers"], [row for row in workers["totals"] if row["group"] != "*"]
    states = Counter((row["group"], row["state"]) for row in rows)
    groups = [row for row in scaling["groups"] if row["group"]]
    yield (
        "supreme_workers",
        "gauge",
        "Workers that have joined, by group and state.",
        [({"group": group, "state": state}, count) for (group, state), count in sorted(states.items())],
    )
    for name in ("capacity", "reserved", "free"):
        samples = [(_labels(row), row[name]) for row in totals]
        yield f"supreme_{name}", "gauge", f"{_SAID[name]}, by group, resource and unit.", samples
    stored = [({"group": row["group"]}, row["stored"]) for row in totals if row["resource"] == MEMORY]
    yield "supreme_stored_bytes", "gauge", "Memory that stored results and other data take, by group.", stored
    running = float(sum(row["running"] for row in rows))
    yield "supreme_tasks_running", "gauge", "Tasks that have a thread.", [({}, running)]
    yield "supreme_tasks_waiting", "gauge", "Tasks that wait for a worker.", [({}, float(waiting["tasks"]))]
    for name in ("wanted", "starting", "draining"):
        counts = [({"group": row["group"]}, row[name]) for row in groups if row[name] is not None]
        yield f"supreme_group_workers_{name}", "gauge", f"Workers of a group that are {name}.", counts
    blocked = [({"group": row["group"]}, float(bool(row["blocked"]))) for row in groups]
    yield "supreme_group_blocked", "gauge", "Whether no more workers of a group can be had now.", blocked
    yield (
        "supreme_cost_total",
        "counter",
        "What the workers have cost, in the unit of the groups.",
        [({}, scaling["spent"])],
    )


_SAID = {
    "capacity": "What workers have for tasks",
    "reserved": "What tasks have reserved",
    "free": "What is left",
}


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    resource = row["resource"]
    return {"group": row["group"], "resource": resource, "unit": _UNITS.get(resource, "integer")}


def _lines(name: str, kind: str, help_: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP {name} {help_}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        said = ",".join(f'{label}="{_escaped(text_)}"' for label, text_ in labels.items())
        yield f"{name}{{{said}}} {float(value)!r}\n" if said else f"{name} {float(value)!r}\n"


def _escaped(value: str) -> str:
    r"""Return the value of a label as the format has it.

    >>> print(_escaped('a "b"'))
    a \"b\"
    """
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
