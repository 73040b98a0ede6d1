"""Snapshots of small systems, for tests of scaling."""

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.resources import MEMORY, Resources
from supreme_dask.core.snapshot import GroupView, Launch, Snapshot, Usage, WaitingView, Windows, WorkerView

NOTHING = Resources()


def group(name="small", cpu=2, gibibytes=4, **fields):
    """Return a worker group; of what its workers have, all is for tasks."""
    return WorkerGroup(name, cpu=cpu, memory=f"{gibibytes} GiB", **fields)


def view(of, *, launching=0, **known):
    """Return a group as a snapshot has it."""
    launches = tuple(Launch(f"{of.name}-new-{number}", float("inf")) for number in range(launching))
    return GroupView(of, room=of.capacity, launching=launches, **known)


def worker(name, of, *, running=0, remaining=0.0, stored=0, **known):
    """Return a worker, on which each running task holds a core."""
    reserved = Resources.of({"cpu": 1000 * running})
    free = of.capacity.minus(reserved).minus(Resources.of({MEMORY: stored}))
    known.setdefault("unique", stored)
    known.setdefault("idle_since", None if running else 0.0)
    return WorkerView(
        f"tcp://{name}",
        known.pop("host", "host"),
        known.pop("open", True),
        of.threads,
        of.capacity,
        free,
        running,
        0,
        name=name,
        group=of.name,
        reserved=reserved,
        remaining=remaining,
        elapsed=float(running),
        **known,
    )


def waiting(count, *, type_="load", duration=10.0, measured=True, bound=False, **demand):
    """Return waiting tasks of one shape, of a core each unless they say more."""
    return WaitingView(type_, Resources.parse({"cpu": 1, **demand}), measured, count, duration, bound)


def system(groups, workers=(), shapes=(), *, now=0.0, usage=None, **known):
    """Return a snapshot."""
    windows = Windows(usage, usage, usage) if usage is not None else Windows()
    return Snapshot(tuple(workers), tuple(shapes), tuple(groups), now=now, usage=windows, **known)


def high(**percent):
    """Return a usage."""
    return Usage(**percent)


def targets(plan):
    """Return how many workers of each group a plan wants."""
    return {target.group: target.workers for target in plan.targets}


def victims(plan):
    """Return who should be leaving."""
    return [name for target in plan.targets for name in target.victims]
