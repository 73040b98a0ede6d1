"""What a worker has, said before it registers.

Declared as Dask's own worker resources, cpu, memory and network are also understood by a scheduler without this
package: annotated tasks then run under stock Dask, if not as well.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from distributed.system import MEMORY_LIMIT
from distributed.worker import Worker

from supreme_dask import config
from supreme_dask.core.resources import CPU, MEMORY, NETWORK, Resources, format_amount, own_units

log = logging.getLogger(__name__)


def declare(worker: Worker) -> None:
    """Declare cpu, memory and network of a worker, unless its user did; correct what cannot be.

    Raises
    ------
    DemandError
        If its user declared something that cannot be understood.
    """
    stated = worker.state.total_resources
    own = own_units(stated)
    resources = _with_defaults(worker, Resources.parse(stated, own))
    declared = {_written(stated, own, name): amount for name, amount in resources.in_units().items()}
    worker.state.total_resources = declared
    worker.state.available_resources = dict(declared)


def _with_defaults(worker: Worker, resources: Resources) -> Resources:
    limit = int(worker.memory_manager.memory_limit or MEMORY_LIMIT)
    found = {CPU: 1000 * worker.state.nthreads, MEMORY: limit, NETWORK: config.network()}
    if resources[MEMORY] > MEMORY_LIMIT:
        log.warning(
            "This worker declares memory %s, but its machine or control group has %s; it is taken to have that",
            format_amount(MEMORY, resources[MEMORY]),
            format_amount(MEMORY, MEMORY_LIMIT),
        )
        resources = resources.overlaid(Resources.of({MEMORY: MEMORY_LIMIT}))
    return Resources.of(found).overlaid(resources)


def _written(stated: Collection[str], own: Collection[str], name: str) -> str:
    """Return a name as the user wrote it, so that stock Dask finds it too."""
    return next((written for written in stated if written.lower() == name and written not in own), name)
