"""Settings, in Dask's own config system, section ``supreme``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dask.config
import yaml
from dask.utils import parse_timedelta

from supreme_dask.core.instructions import Settings
from supreme_dask.core.resources import Resources, parse_amount
from supreme_dask.core.spelling import or_so
from supreme_dask.errors import ConfigError, DemandError

_DEFAULTS = yaml.safe_load(Path(__file__).with_name("supreme.yaml").read_text())
dask.config.update_defaults(_DEFAULTS)


def get(setting: str) -> Any:
    """Return a setting of the section ``supreme``."""
    name = f"supreme.{setting}"
    # Somebody may have replaced the whole config since we were imported; Dask's own tests do.
    return dask.config.get(name, default=dask.config.get(name, config=_DEFAULTS))


def unknown() -> list[str]:
    """Return a sentence for each key of the section that is not a setting.

    Below settings whose default is empty, such as ``labels`` and ``demands``, any key is the user's own.
    """
    return list(_unknown(dask.config.get("supreme", default={}), _DEFAULTS["supreme"], "supreme"))


def _unknown(written: object, known: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, value in written.items() if isinstance(written, Mapping) else ():
        key = str(name).replace("_", "-")
        if key not in known:
            yield f"{path}.{name} is no setting of supreme-dask and has no effect{or_so(key, known)}"
        elif isinstance(known[key], Mapping) and known[key]:
            yield from _unknown(value, known[key], f"{path}.{key}")


def seconds(setting: str) -> float | None:
    """Return a setting that is a time, in seconds; None if it is null.

    Raises
    ------
    ConfigError
        If it is not a time, or negative.
    """
    value = get(setting)
    if value is None:
        return None
    try:
        parsed = float(parse_timedelta(value))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigError(f"supreme.{setting}", value, 'expected a time such as "50ms"') from None
    if not parsed >= 0:
        raise ConfigError(f"supreme.{setting}", value, "a time is zero or more")
    return parsed


def fraction(setting: str) -> float:
    """Return a setting that is a part of something.

    Raises
    ------
    ConfigError
        If it is not a number above 0, at most 1.
    """
    value = get(setting)
    if isinstance(value, (int, float)) and 0 < value <= 1:
        return float(value)
    raise ConfigError(f"supreme.{setting}", value, "expected a number above 0, at most 1")


def pause() -> float | None:
    """Return the part of its memory limit below which a worker is not paused; None to leave that to Dask."""
    return None if get("memory.pause") is None else fraction("memory.pause")


def wall() -> float | None:
    """Return the part of its memory limit beyond which no task of a worker may take more; None for no such wall."""
    return None if get("memory.wall") is None else fraction("memory.wall")


def terminate() -> float:
    """Return the part of its memory limit at which Dask's nannies end a worker; 0 if they never do."""
    return float(dask.config.get("distributed.worker.memory.terminate", default=0.95) or 0)


def network() -> int:
    """Return the bytes per second that a worker is taken to move."""
    value = get("network")
    try:
        return parse_amount("network", value)[1]
    except DemandError as error:
        raise ConfigError("supreme.network", value, str(error)) from None


def rebalance() -> int | None:
    """Return the bytes of results that may be on their way at once so that workers store alike; None for never."""
    value = get("rebalance")
    if value is None:
        return None
    try:
        return parse_amount("memory", value)[1]
    except DemandError as error:
        raise ConfigError("supreme.rebalance", value, str(error)) from None


def launches_per_hour() -> int | None:
    """Return how many workers of one group may be launched within an hour; None if that is not stated."""
    value = get("scaling.launches-per-hour")
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ConfigError("supreme.scaling.launches-per-hour", value, "expected a whole number of 1 or more, or null")


def image() -> str:
    """Return the image that workers on Kubernetes run."""
    value = get("kubernetes.image")
    if isinstance(value, str) and value:
        return value
    raise ConfigError("supreme.kubernetes.image", value, "expected an image that holds Dask and supreme-dask")


def namespace() -> str | None:
    """Return the namespace of the pods of workers; None for that of the credentials."""
    value = get("kubernetes.namespace")
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigError("supreme.kubernetes.namespace", value, "expected a name, or null")


def pod() -> Mapping[str, Any]:
    """Return what the pods of all workers have beside what is derived."""
    value = get("kubernetes.pod")
    if isinstance(value, Mapping) and all(isinstance(value.get(part, {}), Mapping) for part in ("metadata", "spec")):
        return value
    raise ConfigError("supreme.kubernetes.pod", value, "expected metadata and spec of a pod, such as {spec: {…}}")


def demands() -> dict[str, Resources]:
    """Return the declared demands by task prefix."""
    rules = get("demands")
    try:
        return {prefix: Resources.parse(amounts) for prefix, amounts in rules.items()}
    except (DemandError, AttributeError) as error:
        raise ConfigError("supreme.demands", rules, str(error)) from None


def settings() -> Settings:
    """Return what the core takes of the config."""
    most_ahead = get("look-ahead.tasks")
    if not isinstance(most_ahead, int) or most_ahead < 1:
        raise ConfigError("supreme.look-ahead.tasks", most_ahead, "expected a whole number of 1 or more")
    short = seconds("look-ahead.below") or 0.0
    return Settings(
        short=short,
        long=2 * short,
        ahead=seconds("look-ahead.seconds") or 0.0,
        most_ahead=most_ahead,
        patience=seconds("patience") or 0.0,
        infeasible_timeout=seconds("infeasible-timeout"),
    )
