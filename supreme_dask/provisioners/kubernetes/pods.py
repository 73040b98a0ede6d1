"""What a pod of ours says of its worker. Pure: the API server's answer in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from supreme_dask.provisioners.kubernetes.manifests import CONTAINER, GROUP

_ENDED = ("Succeeded", "Failed")
_BY_TAINT = "DeletionByTaintManager"  # of the condition DisruptionTarget: its node was unreachable for too long
_USUAL = ("ContainerCreating", "PodInitializing")  # reasons to wait that need no words
_GRACE = 30  # s that Kubernetes gives a pod which says nothing else
_LONGEST = 300  # characters of what is told


@dataclass(frozen=True, slots=True)
class Pod:
    """One worker, as the API server shows its pod.

    Attributes
    ----------
    name, group : str
        Of the worker.
    uid : str
        Tells it from another pod that had the name.
    ended : bool
        Whether all of its containers have ended.
    joined : bool
        Whether its worker has joined a scheduler and its container still runs.
    lost : bool
        Whether it is to end because its node is not heard of, which therefore cannot say that it has. If its worker
        lives, the scheduler sees it and counts it.
    grace : float or None
        Seconds that it has to end from when it was told to; None if it was not told.
    words : str
        Why it has ended, or does not start, for humans; empty if nothing is wrong.
    """

    name: str
    group: str
    uid: str
    ended: bool
    joined: bool
    lost: bool
    grace: float | None
    words: str

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Self:
        """Read what the API server answers."""
        metadata, status = pod["metadata"], pod.get("status", {})
        leaves = metadata.get("deletionTimestamp") is not None
        containers = status.get("containerStatuses") or ()
        return cls(
            metadata["name"],
            metadata["labels"].get(GROUP, ""),
            metadata["uid"],
            ended=status.get("phase") in _ENDED,
            joined=any(one["name"] == CONTAINER and one.get("started") for one in containers),
            lost=leaves and any(one.get("reason") == _BY_TAINT for one in status.get("conditions") or ()),
            grace=metadata.get("deletionGracePeriodSeconds", _GRACE) if leaves else None,
            words="; ".join(dict.fromkeys(_words(status)))[:_LONGEST],
        )


def _words(status: Mapping[str, Any]) -> Iterator[str]:
    """Give what is wrong: of the pod, of where it was to run, of its containers."""
    if status.get("phase") == "Failed" and (status.get("reason") or status.get("message")):
        yield _told(status)
    for condition in status.get("conditions") or ():
        refused = condition["type"] == "PodScheduled" and condition["status"] == "False"
        if refused or (condition["type"] == "DisruptionTarget" and condition["status"] == "True"):
            yield _told(condition)
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        if "terminated" in state:
            yield from _end(state["terminated"])
        elif "waiting" in state and state["waiting"].get("reason") not in _USUAL:
            yield _told(state["waiting"])


def _told(what: Mapping[str, Any]) -> str:
    return ": ".join(part for part in (what.get("reason"), " ".join((what.get("message") or "").split())) if part)


def _end(terminated: Mapping[str, Any]) -> Iterator[str]:
    code, reason = terminated.get("exitCode"), terminated.get("reason") or "ended"
    lines = (terminated.get("message") or "").strip().splitlines()
    if code or reason != "Completed":
        yield f"{reason} (exit code {code})" + (f": {lines[-1].strip()}" if lines else "")
