"""The commands of ``dask supreme``."""

from __future__ import annotations

import click

from supreme_dask.cli.nodes import nodes
from supreme_dask.cli.worker import worker


@click.group(name="supreme")
def main() -> None:
    """Place tasks where they fit."""


for command in (nodes, worker):
    main.add_command(command)
