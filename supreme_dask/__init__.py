"""Resource-aware placement for ``dask.distributed``: tasks go where they fit."""

__version__ = "0.1.0"
