"""How `dask supreme nodes` shows who is there."""

from supreme_dask.cli.nodes import rows
from supreme_dask.cli.output import table
from supreme_dask.stores.registry import Node

HOST = {"pid": 4321, "host": "box", "distributed": "2026.8.0"}
NODES = (
    Node("controller", "c", "", facts={"name": "local", **HOST}),
    Node("scheduler", "s", "tcp://127.0.0.1:8786", epoch=3, facts=HOST),
    Node(
        "worker",
        "w",
        "tcp://127.0.0.1:40123",
        labels={"zone": "eu-1"},
        facts={"name": "small-0", "threads": 2, "memory": 3 << 29, **HOST},
    ),
    Node("worker", "x", "tcp://127.0.0.1:40124", facts={"name": "tcp://127.0.0.1:40124", "threads": 1, "memory": 0}),
)


def lines(nodes, width):
    return table(rows(nodes), width, always=3)


def test_a_process_has_a_line_with_sizes_as_people_write_them():
    assert lines(NODES, None) == [
        "kind        name     address                threads  memory    labels     epoch  distributed  host  pid",
        "controller  local                                                                2026.8.0     box   4321",
        "scheduler            tcp://127.0.0.1:8786                                 3      2026.8.0     box   4321",
        "worker      small-0  tcp://127.0.0.1:40123  2        1.50 GiB  zone=eu-1         2026.8.0     box   4321",
        "worker               tcp://127.0.0.1:40124  1        no limit",
    ]


def test_in_a_narrow_window_the_last_columns_are_left_out_and_nothing_is_wrapped():
    narrow = lines(NODES, 80)
    assert max(map(len, narrow)) <= 80
    assert narrow[0].split() == ["kind", "name", "address", "threads", "memory", "labels", "epoch"]
    assert narrow[-1] == "No room for distributed, host, pid: --json has all."
    assert lines(NODES, 10)[0].split() == ["kind", "name", "address"]
