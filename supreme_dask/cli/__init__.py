"""The commands of ``dask supreme``."""

from __future__ import annotations

import click

from supreme_dask.cli.commands import Commands
from supreme_dask.cli.controller import controller
from supreme_dask.cli.documents import group
from supreme_dask.cli.drain import drain, undrain
from supreme_dask.cli.explain import explain
from supreme_dask.cli.history import history
from supreme_dask.cli.nodes import nodes
from supreme_dask.cli.profiles import profiles
from supreme_dask.cli.rollback import rollback, tag
from supreme_dask.cli.simulate import simulate
from supreme_dask.cli.status import status
from supreme_dask.cli.store import store
from supreme_dask.cli.up import up
from supreme_dask.cli.worker import worker


@click.group(name="supreme", cls=Commands)
@click.version_option(package_name="supreme-dask", prog_name="dask supreme")
def main() -> None:
    """Place tasks where they fit."""


_AT_WORK = (controller, drain, explain, nodes, status, undrain, up, worker)
_IN_STORE = (history, profiles, rollback, store, tag)
for command in (*_AT_WORK, *_IN_STORE, simulate):
    main.add_command(command)
main.add_command(group("policy", "Policies: when to add and remove workers."))
main.add_command(group("groups", "Worker groups: which workers there can be."))
