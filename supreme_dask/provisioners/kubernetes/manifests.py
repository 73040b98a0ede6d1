"""The pod that a worker of a group becomes. Pure: a group in, a manifest out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import CPU, MEMORY
from supreme_dask.errors import ConfigError
from supreme_dask.provisioners import starting

SYSTEM, GROUP = "supreme-dask/system", "supreme-dask/group"
"""Labels of a worker's pod."""
CONTAINER = "worker"
"""Name of the container that the worker runs in."""

_NANNY = 128 << 20  # bytes that its nanny takes beside what Dask lets the worker have
_SCRATCH = "/scratch"  # a volume, so that the root file system may be read-only
_ARRIVED = f"{_SCRATCH}/arrived"
_UNREACHABLE = 30  # s until a pod of a lost node is deleted; Kubernetes would wait for 300
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_POD = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")  # a subdomain of RFC 1123


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the manifests of one system's workers.

    Parameters
    ----------
    system
        Name of the system.
    store
        Address of the store that they find their scheduler in.
    image
        What their containers run; it holds this package.
    template
        What all pods have beside what is derived: a part of a Pod, of which ``metadata`` and ``spec`` are read.

    Raises
    ------
    ConfigError
        If the name of the system cannot be the value of a label.
    """

    system: str
    store: str
    image: str
    template: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.system):
            problem = "as a label of pods it has up to 63 letters, digits, '-', '_' and '.'"
            raise ConfigError("supreme.system", self.system, problem)

    @property
    def selector(self) -> str:
        """Tell the pods of this system from all others of their namespace."""
        return f"{SYSTEM}={self.system}"

    def manifest(self, group: WorkerGroup, name: str, scheduler: str = "") -> dict[str, Any]:
        """Return the pod of one worker.

        Parameters
        ----------
        group
            What kind of worker; its ``pod`` goes over the template of all.
        name
            Of the pod, and of the worker in Dask.
        scheduler
            Where the worker goes if it cannot ask the store.
        """
        made = merged(merged(self._derived(group, name, scheduler), self.template), group.pod)
        # Without these it would not be found again, or come back under its name after it has left.
        own = {"name": name, "labels": {**made["metadata"]["labels"], SYSTEM: self.system, GROUP: group.name}}
        spec = {**made["spec"], "restartPolicy": "Never"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {**made["metadata"], **own}, "spec": spec}

    def _derived(self, group: WorkerGroup, name: str, scheduler: str) -> dict[str, Any]:
        # The nanny shares the limit with its worker, which Dask holds to the memory of the group.
        memory = str(group.capacity[MEMORY] + _NANNY)
        labels = {"app.kubernetes.io/name": "supreme-dask", "app.kubernetes.io/component": "worker"}
        environment = starting.environment(group, _ARRIVED, store=self.store, system=self.system)
        container = {
            "name": CONTAINER,
            "image": self.image,
            "args": ["dask", *starting.by_system(group, scheduler), *starting.options(group, name, _SCRATCH)],
            "env": [{"name": key, "value": value} for key, value in environment.items()],
            "resources": {
                "requests": {"cpu": f"{group.capacity[CPU]}m", "memory": memory},
                "limits": {"memory": memory},
            },
            # Started means joined. It is asked for until then only, and ended if that takes too long.
            "startupProbe": {
                "exec": {"command": ["test", "-e", _ARRIVED]},
                "periodSeconds": 1,
                "failureThreshold": round(starting.patience(group)),
            },
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [{"name": "scratch", "mountPath": _SCRATCH}],
        }
        until = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _UNREACHABLE}
        lost = [{"key": f"node.kubernetes.io/{what}", **until} for what in ("not-ready", "unreachable")]
        volumes = [{"name": "scratch", "emptyDir": {}}]
        spec = {"containers": [container], "tolerations": lost, "volumes": volumes}
        return {"metadata": {"labels": labels}, "spec": spec}


def can_name(group: str) -> bool:
    """Tell whether pods can be named after a group.

    >>> can_name("small-gpu"), can_name("Small_GPU")
    (True, False)
    """
    return _POD.fullmatch(group) is not None


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with another one over it, as `kubectl patch` merges them.

    Of lists with names (containers, volumes), what has the same name is merged; variables of the environment are
    replaced. Of tolerations all are kept. Any other list is replaced.

    Parameters
    ----------
    base
        What is there where the other one says nothing.
    over
        What goes over it.

    Examples
    --------
    >>> merged({"a": [{"name": "x", "b": 1}]}, {"a": [{"name": "x", "c": 2}, {"name": "y"}]})
    {'a': [{'name': 'x', 'b': 1, 'c': 2}, {'name': 'y'}]}
    >>> merged({"a": {"b": 1}, "args": [1]}, {"a": {"c": 2}, "args": [2]})
    {'a': {'b': 1, 'c': 2}, 'args': [2]}
    """
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        elif key == "tolerations" and isinstance(before, Sequence) and isinstance(value, Sequence):
            result[key] = [*before, *value]
        elif _are_named(before) and _are_named(value):
            result[key] = _merged_by_name(before, value, replace=key == "env")
        else:
            result[key] = value
    return result


def _are_named(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and all(
        isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in value
    )


def _merged_by_name(base: list[Any], over: list[Any], *, replace: bool) -> list[Any]:
    found = {one["name"]: one for one in base}
    for one in over:
        before = found.get(one["name"])
        found[one["name"]] = one if before is None or replace else merged(before, one)
    return list(found.values())
