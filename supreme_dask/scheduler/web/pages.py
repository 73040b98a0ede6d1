"""Pages in Dask's own dashboard, where bokeh is installed: they show the values of a `View`.

A page is updated while it is open, of its tabs only the one that is shown, never for more than a part of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from html import escape
from typing import Any

from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    DataTable,
    Div,
    FactorRange,
    HoverTool,
    HTMLTemplateFormatter,
    LayoutDOM,
    NumberFormatter,
    StringFormatter,
    TableColumn,
    TabPanel,
    Tabs,
)
from bokeh.plotting import figure
from distributed.dashboard.components import add_periodic_callback
from distributed.dashboard.components.scheduler import BOKEH_THEME, env
from distributed.dashboard.utils import update

from supreme_dask.scheduler.web.pace import Pace
from supreme_dask.scheduler.web.view import Part, View

_EVERY = 1000  # ms
_FIELDS = ("memory", "cpu")
_BARS = 16  # at most, those of all workers first
# Told apart by the colour-blind: Okabe and Ito, "Color Universal Design" (2008), without its yellow.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
_RESERVED, _STORED, _FREE = _COLOURS[0], _COLOURS[1], "#D9D9D9"

# What makes a formatter: a model of bokeh belongs to one page.
_NUMBER, _BYTES = partial(NumberFormatter, format="0,0"), partial(NumberFormatter, format="0.00 b")
_TENTHS, _WHOLE = partial(NumberFormatter, format="0.0"), partial(NumberFormatter, format="0")
_TEXT = StringFormatter
_SENTENCE = partial(HTMLTemplateFormatter, template='<span title="<%- value %>"><%- value %></span>')

Columns = Sequence[tuple[str, str, Any, int]]
"""Of a table: field, heading with its unit, formatter, and width in pixels."""


class _Rows:
    """A table, of which each row is one of a value."""

    def __init__(self, name: str, columns: Columns, height: int | None = None) -> None:
        self._fields = [field for field, *_ in columns]
        self._source = ColumnDataSource({field: [] for field in self._fields})
        shown = [
            TableColumn(field=field, title=heading, formatter=formatter(), width=width)
            for field, heading, formatter, width in columns
        ]
        sizing: dict[str, Any] = {"sizing_mode": "stretch_both"}
        if height is not None:
            sizing = {"sizing_mode": "stretch_width", "height": height}
        options = {"index_position": None, "sortable": True, "min_height": 120, **sizing}
        self.table = DataTable(source=self._source, columns=shown, name=name, **options)

    def show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show these rows."""
        flat = [_flat(row) for row in rows]
        update(self._source, {field: [row.get(field) for row in flat] for field in self._fields})


class Page:
    """One part of a view, as models of bokeh.

    Parameters
    ----------
    value
        Returns the values of the part.
    """

    title = ""

    def __init__(self, value: Callable[[], Part]) -> None:
        self._value = value
        self._shown: Part = {}
        self.update = Pace(self._renew)
        self.root: LayoutDOM = column(*self.models(), sizing_mode="stretch_both", margin=(8, 8, 8, 8))

    def models(self) -> list[LayoutDOM]:
        """Return what is shown, from top to bottom."""
        raise NotImplementedError

    def show(self, value: Part) -> None:
        """Bring the models up to date."""
        raise NotImplementedError

    def _renew(self) -> None:
        value = self._value()
        if value and value is not self._shown:
            self.show(value)
            self._shown = value


_PARTS = ("reserved", "stored", "free")


class WorkersPage(Page):
    """What the workers of each group have, and each worker."""

    title = "Workers"
    columns: Columns = (
        ("name", "name", _TEXT, 110),
        ("group", "group", _TEXT, 80),
        ("state", "state", _TEXT, 65),
        ("threads", "threads", _NUMBER, 65),
        ("running", "running", _NUMBER, 65),
        ("behind", "queued", _NUMBER, 62),
        ("reserved_cpu", "cpu reserved", _TENTHS, 95),
        ("capacity_cpu", "of cores", _TENTHS, 68),
        ("reserved_memory", "memory reserved", _BYTES, 150),
        ("stored", "stored", _BYTES, 92),
        ("capacity_memory", "of memory", _BYTES, 92),
        ("cpu", "cpu %", _WHOLE, 60),
        ("memory", "memory %", _WHOLE, 80),
        ("idle", "idle s", _WHOLE, 55),
    )

    def models(self) -> list[LayoutDOM]:
        """Return a bar for each group and resource, and a table."""
        self._bars = ColumnDataSource({name: [] for name in ("row", *_PARTS, *(f"{name}_said" for name in _PARTS))})
        self._range = FactorRange()
        bars = figure(
            title="What is reserved by tasks, taken by stored results, and free",
            x_range=(0, 100),
            y_range=self._range,
            x_axis_label="percent of the capacity of the group's workers",
            height=80,
            sizing_mode="stretch_width",
            toolbar_location=None,
            tools="",
        )
        bars.hbar_stack(
            list(_PARTS), y="row", height=0.7, color=[_RESERVED, _STORED, _FREE], source=self._bars,
            legend_label=list(_PARTS),
        )  # fmt: skip
        bars.add_tools(HoverTool(tooltips=[("", "@row"), *((name, f"@{name}_said") for name in _PARTS)]))
        bars.add_layout(bars.legend[0], "right")
        self._figure = bars
        self._rows = _Rows(self.title, self.columns)
        return [bars, self._rows.table]

    def show(self, value: Part) -> None:
        """Bring bars and rows up to date."""
        totals = [row for row in value["totals"] if row["resource"] != "network" or row["reserved"]][:_BARS]
        names = [_named(row) for row in totals]
        if self._range.factors != names[::-1]:
            self._range.factors = names[::-1]
            self._figure.height = 90 + 22 * len(names)
        bars: dict[str, list[Any]] = {"row": names}
        for name in _PARTS:
            bars[name] = [100 * max(row[name], 0.0) / row["capacity"] for row in totals]
            bars[f"{name}_said"] = [f"{row[name]:,.0f}" for row in totals]
        update(self._bars, bars)
        self._rows.show(value["workers"])


class WaitingPage(Page):
    """What waits, and why."""

    title = "Waiting"
    columns: Columns = (
        ("tasks", "tasks", _NUMBER, 60),
        ("type", "of type", _SENTENCE, 170),
        ("demand_cpu", "cpu each", _TENTHS, 70),
        ("demand_memory", "memory each", _BYTES, 100),
        ("running", "running", _NUMBER, 62),
        ("seconds", "s each", _TENTHS, 55),
        ("passed_over", "passed over s", _WHOLE, 100),
        ("why", "why they wait", _SENTENCE, 900),
    )

    def models(self) -> list[LayoutDOM]:
        """Return a heading and a table."""
        self._head = Div(text="")
        self._rows = _Rows(self.title, self.columns)
        return [self._head, self._rows.table]

    def show(self, value: Part) -> None:
        """Bring heading and rows up to date."""
        shown, shapes = len(value["waiting"]), value["shapes"]
        more = f"; the first {shown} of {shapes:,} kinds are shown" if shown < shapes else ""
        _write(self._head, f"{value['tasks']:,} tasks wait for a worker{more}.")
        self._rows.show(value["waiting"])


class ScalingPage(Page):
    """How many workers there are, should be, and why."""

    title = "Scaling"
    columns: Columns = (
        ("group", "group", _TEXT, 120),
        ("wanted", "wanted", _NUMBER, 60),
        ("there", "there", _NUMBER, 60),
        ("starting", "starting", _NUMBER, 60),
        ("draining", "draining", _NUMBER, 60),
        ("minimum", "minimum", _NUMBER, 70),
        ("maximum", "maximum", _NUMBER, 70),
        ("reason", "why", _SENTENCE, 500),
        ("blocked", "cannot grow because", _SENTENCE, 400),
    )
    decisions: Columns = (("when", "when", _TEXT, 90), ("reason", "what was decided", _SENTENCE, 900))

    def models(self) -> list[LayoutDOM]:
        """Return the course of the counts, a table of groups, and the last decisions."""
        self._head = Div(text="")
        self._course = figure(
            title="Workers of each group: there (line), and wanted (dashed)",
            x_axis_type="datetime",
            y_axis_label="workers",
            x_axis_label="time (UTC)",
            height=260,
            sizing_mode="stretch_width",
            toolbar_location=None,
            tools="",
        )
        self._course.y_range.start = 0
        self._course.yaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        self._lines: dict[str, ColumnDataSource] = {}
        self._rows = _Rows(self.title, self.columns, height=160)
        self._decisions = _Rows("Decisions", self.decisions)
        return [self._head, self._course, self._rows.table, self._decisions.table]

    def show(self, value: Part) -> None:
        """Bring all of it up to date."""
        groups = [row for row in value["groups"] if row["group"]]
        said = [f"Cost so far: {value['spent']:,.2f}."] if groups else ["No worker groups are scaled here."]
        _write(self._head, *said, *value["unmet"])
        self._rows.show(value["groups"])
        self._decisions.show([{**row, "when": _clock(row["time"])} for row in reversed(value["decisions"])])
        for group, course in _courses(value["timeline"], value["time"]).items():
            update(self._line(group), course)

    def _line(self, group: str) -> ColumnDataSource:
        """Return what the lines of a group show; the first time, draw them."""
        if group not in self._lines:
            source = self._lines[group] = ColumnDataSource({"time": [], "there": [], "wanted": []})
            color = _COLOURS[(len(self._lines) - 1) % len(_COLOURS)]
            options = {"x": "time", "source": source, "color": color, "mode": "after", "legend_label": group or "-"}
            self._course.step(y="there", line_width=2, **options)
            self._course.step(y="wanted", line_dash="dashed", **options)
            if len(self._lines) == 1:
                self._course.add_layout(self._course.legend[0], "right")
        return self._lines[group]


class ProfilesPage(Page):
    """What was learned of each type of tasks."""

    title = "Profiles"
    columns: Columns = (
        ("type", "type", _TEXT, 300),
        ("runs", "runs", _NUMBER, 70),
        ("seconds", "seconds", _TENTHS, 70),
        ("memory_typical", "memory, median", _BYTES, 110),
        ("memory_high", "memory, most", _BYTES, 110),
        ("unused", "set aside in vain %", _WHOLE, 130),
        ("kills", "killed", _NUMBER, 60),
        ("cores", "cores", _TENTHS, 60),
    )

    def models(self) -> list[LayoutDOM]:
        """Return a table."""
        self._rows = _Rows(self.title, self.columns)
        return [self._rows.table]

    def show(self, value: Part) -> None:
        """Bring the rows up to date."""
        self._rows.show(value["types"])


_PAGES: Mapping[str, type[Page]] = {
    "workers": WorkersPage,
    "waiting": WaitingPage,
    "scaling": ScalingPage,
    "profiles": ProfilesPage,
}


class _Book:
    """All pages, as tabs; the one that is shown is kept up to date."""

    def __init__(self, view: View) -> None:
        self._pages = [page(view.parts[name]) for name, page in _PAGES.items()]
        panels = [TabPanel(child=page.root, title=page.title) for page in self._pages]
        self.root = Tabs(tabs=panels, sizing_mode="stretch_both", name="supreme")
        self.root.on_change("active", lambda attr, old, new: self.update())  # noqa: ARG005  (bokeh asks for these)

    def update(self) -> None:
        self._pages[self.root.active].update()


def documents(view: View) -> dict[str, Callable[[Any, Mapping[str, Any], Document], None]]:
    """Return what makes a document, by path: all pages behind one entry of the navigation, and each by itself."""
    alone = {f"/individual-supreme-{name}": partial(_alone, view, name) for name in _PAGES}
    return {"/supreme": partial(_together, view), **alone}


def _together(view: View, _: Any, extra: Mapping[str, Any], document: Document) -> None:
    _open(_Book(view), "Dask: Supreme", document)
    document.template = env.get_template("simple.html")
    document.template_variables.update(extra)


def _alone(view: View, name: str, _: Any, __: Mapping[str, Any], document: Document) -> None:
    page = _PAGES[name](view.parts[name])
    _open(page, f"Dask: Supreme {page.title}", document)


def _open(component: Page | _Book, title: str, document: Document) -> None:
    component.update()
    add_periodic_callback(document, component, _EVERY)  # type: ignore[no-untyped-call]
    document.add_root(component.root)
    document.title = title
    document.theme = BOKEH_THEME


# ------------------------------------------------------------------------------------- from values
def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its amounts of cpu and memory as fields of their own."""
    found = dict(row)
    for name in ("capacity", "reserved", "demand"):
        if isinstance(amounts := row.get(name), Mapping):
            found |= {f"{name}_{resource}": amounts.get(resource) for resource in _FIELDS}
    return found


def _named(row: Mapping[str, Any]) -> str:
    group = {"*": "all workers", "": "of no group"}.get(row["group"], row["group"])
    return f"{row['resource']}: {group}"


def _courses(changes: Sequence[Mapping[str, Any]], now: float) -> dict[str, dict[str, list[float]]]:
    """Return the counts of each group over time, in milliseconds as bokeh has it, up to now."""
    found: dict[str, dict[str, list[float]]] = {}
    for change in changes:
        course = found.setdefault(change["group"], {"time": [], "there": [], "wanted": []})
        for name in course:
            course[name].append(1000 * change["time"] if name == "time" else change[name])
    for course in found.values():
        for name, values in course.items():
            values.append(1000 * now if name == "time" else values[-1])
    return found


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def _write(div: Div, *lines: str) -> None:
    if div.text != (written := "<br>".join(map(escape, lines))):
        div.text = written
