"""The scheduler's process: read its state (`observe`), decide (`supreme_dask.core`), act (`act`)."""
