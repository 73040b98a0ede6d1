"""Whatever a document says, it is taken or refused with lines that name the place; what is taken can be used."""

import io
import json
import os

import click
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.cli.commands import read_document
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.scaling import Scaling
from supreme_dask.errors import SupremeError
from supreme_dask.stores import schemas
from tests.core.systems import system, view, waiting, worker

EXAMPLES = int(os.environ.get("SUPREME_FUZZED_DOCUMENTS", "300"))
POLICY = {
    "backlog": {"kind": "demand", "within-seconds": 60},
    "rest": {"kind": "idle", "after-seconds": 5},
    "high": {
        "threshold": 80,
        "action": "add_node",
        "metric": "cpu",
        "for-seconds": 30,
        "step": 2,
        "window": "minute",
    },
    "day": {"kind": "schedule", "from": "08:30", "to": "18:00", "days": ["mon"], "minimum": {"small": 2}},
    "night": {"kind": "schedule", "outside": "day", "maximum": {"small": 4}, "time-zone": "Europe/Berlin"},
    "money": {"kind": "budget", "per-hour": 3.5, "total": 100},
    "pace": {"kind": "rate", "add": 3, "per-seconds": 60},
}
GROUPS = {
    "small": {"cpu": 2, "memory": "4 GiB", "count": 1, "minimum": 0, "maximum": 10, "cost": 0.5, "startup": 30},
    "gpu": {"memory": 2**33, "resources": {"GPU": 1}, "labels": {"zone": "a"}, "interruptions": 0.1, "maximum": None},
}
WORDS = sorted({word for rule in (*POLICY.values(), *GROUPS.values()) for word in (*rule, *map(str, rule.values()))})
SMALL = WorkerGroup("small", cpu=2, memory="4 GiB", maximum=10)
NUMBERS = st.integers(-3, 3) | st.integers() | st.floats() | st.sampled_from([1e308, -0.0, 2**63, 100_001, 0.5])
leaves = st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(WORDS)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def paths(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[key], (*path, key))


@st.composite
def mutated(draw, document):
    """Draw a document of which some values are others, are gone, or have another name."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        places = [path for path in paths(document) if path]
        if not places:
            break
        *path, last = draw(st.sampled_from(places))
        holder = document
        for key in path:
            holder = holder[key]
        if isinstance(holder, list) or draw(st.booleans()):
            holder[last] = draw(values)
        else:
            removed = holder.pop(last)
            renamed = draw(st.none() | st.sampled_from(WORDS) | st.text(max_size=5))
            holder |= {} if renamed is None else {renamed: removed}
    return document


def told(call, content):
    """Return what comes of a document, and what is said of it if it is refused."""
    try:
        return call(content), None
    except SupremeError as error:
        return None, str(error)
    except click.ClickException as error:
        return None, error.message


@settings(max_examples=EXAMPLES, deadline=None)
@given(mutated(POLICY) | st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_a_policy_is_refused_in_lines_or_plans(content):
    policy, said = told(schemas.policy, content)
    assert said is None or "$" in said
    if policy is not None:
        there = [worker("small-0", SMALL), worker("small-1", SMALL, running=1)]
        plan = Scaling(policy).plan(system([view(SMALL)], there, [waiting(5)], now=100.0, wall=1e9))
        assert all(target.workers >= 0 for target in plan.targets)


@settings(max_examples=EXAMPLES, deadline=None)
@given(mutated(GROUPS) | st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_groups_are_refused_in_lines_or_are_groups(content):
    groups, said = told(schemas.groups, content)
    assert said is None or "$" in said
    for group in groups or ():
        assert group.threads >= 1
        assert group.capacity["memory"] > 0


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_a_file_is_refused_in_one_line_or_holds_names_with_values(data):
    text = yaml.safe_dump(data.draw(mutated(POLICY)), allow_unicode=True).encode()
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.binary(max_size=3)) + text[place + data.draw(st.integers(0, 3)) :]
    content, said = told(read_document, io.BytesIO(text))
    assert isinstance(content, dict) or len(said.splitlines()) == 1
