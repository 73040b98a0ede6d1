"""The commands of ``dask supreme``."""

from __future__ import annotations

import click

from supreme_dask.cli.up import up


@click.group(name="supreme")
def main() -> None:
    """Place tasks where they fit."""


main.add_command(up)
