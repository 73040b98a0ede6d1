"""What names a task: the same as ``dask.typing.Key``, which the core does not import."""

from __future__ import annotations

from typing import Union

Key = Union[str, int, float, tuple["Key", ...]]  # noqa: UP007  (a recursive alias cannot be written with `|`)
