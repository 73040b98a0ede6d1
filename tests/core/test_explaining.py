"""Of each task that waits it is said what binds it, with the figures of the ledger."""

import random
from collections import Counter

import pytest

from supreme_dask.core import explaining
from supreme_dask.core.axes import UNLIMITED
from supreme_dask.core.explaining import Cause
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.policies.situation import Supply, room_of
from supreme_dask.core.profiles import Measurement
from supreme_dask.core.shapes import Restrictions, Task
from supreme_dask.core.snapshot import GroupView, Launch
from tests.core.clusters import GiB, bound, cluster, join, stored, task

NAMES = {"w0": "small-0", "w1": "small-1"}


def why(admission, key, now=0.0):
    return explaining.why(admission.ledger, admission.queues, admission.kinds, key, now)


def said(admission, key, supplies=(), now=0.0):
    return explaining.sentence(why(admission, key, now), NAMES, supplies)


def held(admission, one, now=0.0):
    assert admission.arrive(one, now) is None
    admission.fill(now)
    return one.key


def supply(name, memory, launching=0, maximum=None, blocked=""):
    group = WorkerGroup(name, cpu=4, memory=f"{memory} GiB", maximum=maximum, startup=20.0)
    view = GroupView(group, launching=tuple(Launch(f"{name}-{i}", 60.0) for i in range(launching)), blocked=blocked)
    return Supply(view, (), (), room_of(group, ()))


# ------------------------------------------------------------------------------- one cause each
def test_what_lacks_is_said_of_the_worker_that_has_the_most_of_it():
    admission = cluster(4, 8)
    admission.arrive(task("a", 3), 0.0)
    admission.arrive(task("b", 6), 0.0)
    key = held(admission, task("c", 3))
    assert why(admission, key).cause is Cause.LACKS
    assert said(admission, key) == "it needs memory 3.00 GiB; the most that is free is 2.00 GiB, on worker small-1"


def test_a_task_that_no_worker_could_hold_is_told_from_one_that_waits():
    admission = cluster(4, 8)
    key = held(admission, task("large", 9))
    assert why(admission, key).cause is Cause.TOO_LARGE
    assert "no worker has as much, the largest (worker small-1) has 8.00 GiB" in said(admission, key)


def test_what_no_worker_declares_is_named():
    admission = cluster(4)
    key = held(admission, task("g", 1, GPU=1))
    assert said(admission, key) == "it needs 'GPU', which no worker declares"


def test_without_workers_it_is_said_whether_any_is_there():
    admission = cluster()
    assert said(admission, held(admission, task("a", 1))) == "no worker is there"
    join(admission, "w0", 4)
    admission.close_worker("w0")
    assert said(admission, "a") == "none of the 1 worker takes tasks now: each is paused or leaves"


def test_restrictions_are_named_where_they_bind():
    admission = cluster(4, 4)
    key = held(admission, bound("there", 1, "w7"))
    assert why(admission, key).cause is Cause.NO_WORKER
    assert said(admission, key) == "it may run on w7 only, and no worker there takes tasks now"


def test_a_loose_restriction_binds_only_while_no_worker_has_room():
    admission = cluster(4, 4)
    for key in ("a", "b"):
        admission.arrive(task(key, 4), 0.0)
    key = held(admission, bound("there", 2, "w0", loose=True))
    assert why(admission, key).cause is Cause.LACKS
    assert not why(admission, key).allowed


def test_a_type_on_trial_says_so():
    admission = cluster(4, 4, cautious=True)
    assert admission.arrive(task("first"), 0.0)
    key = held(admission, task("second"))
    assert why(admission, key).cause is Cause.TRIAL
    assert said(admission, key).startswith("few tasks 'load' run at once until one has been measured")


def test_room_that_is_kept_for_another_task_says_for_which():
    admission = cluster(4, threads=4, patience=1.0)
    admission.arrive(task("small", 2, type_="small"), 0.0)
    held(admission, task("large", 4, type_="large"))
    admission.tick(5.0)
    key = held(admission, task("late", 2, type_="late"), 5.0)
    found = why(admission, key, 5.0)
    assert (found.cause, found.kept_for) == (Cause.PROMISED, "large")
    assert "kept for a task 'large', which has waited longer" in said(admission, key, now=5.0)


def test_a_task_that_stays_for_its_inputs_says_where_they_are():
    admission = cluster(4, 4, threads=1)
    admission.arrive(bound("runs", 1, "w0"), 0.0)
    admission.finish("runs", Measurement(10.0, memory=GiB), 0.0)
    admission.arrive(bound("again", 1, "w0"), 0.0)
    key = held(admission, task("stays", 1, inputs=stored(3, "w0")))
    assert why(admission, key).cause is Cause.INPUTS
    assert said(admission, key) == (
        "its inputs are on worker small-0, where it starts sooner than they could be fetched"
    )


def test_a_task_that_does_not_wait_has_no_reason():
    admission = cluster(4)
    admission.arrive(task("runs", 1), 0.0)
    assert why(admission, "runs") is None
    assert why(admission, "never seen") is None


# ------------------------------------------------------------------------------------ the queue
def test_those_before_it_are_counted_without_what_no_worker_could_run():
    admission = cluster(4, threads=1)
    admission.arrive(task("runs", 1), 0.0)
    held(admission, task("impossible", 100, user_priority=-1))
    admission.tick(1.0)
    for number in range(5):
        held(admission, task(f"t{number}", 1))
    assert [why(admission, f"t{number}").ahead for number in range(5)] == [0, 1, 2, 3, 4]
    assert said(admission, "t1").endswith("in use; 1 task goes before it")


def test_a_place_among_very_many_is_estimated():
    admission = cluster(4, threads=1)
    admission.arrive(task("runs", 1), 0.0)
    for number in range(30_000):
        admission.arrive(task(number, 1), 0.0)
    found = why(admission, 20_000)
    assert not found.exact
    assert said(admission, 20_000).count("about")


# --------------------------------------------------------------------------------- what would help
@pytest.mark.parametrize(
    ("supplies", "help_"),
    [
        ([supply("big", 16, launching=2)], "2 workers of group big are starting, which takes about 20 s"),
        ([supply("big", 16, maximum=0)], "group big has its maximum of 0 workers"),
        (
            [supply("big", 16, blocked="quota exceeded")],
            "no more workers of group big can be had now: quota exceeded",
        ),
        ([supply("big", 16)], "group big may have more workers, as its policy decides"),
        (
            [supply("big", 4)],
            "no worker group is large enough: a worker of big, the largest, has memory 3.40 GiB for tasks",
        ),
        (
            [supply("small", 2), supply("big", 16, launching=1)],
            "1 worker of group big is starting, which takes about",
        ),
    ],
)
def test_what_scaling_does_about_it_is_said(supplies, help_):
    admission = cluster(4)
    key = held(admission, task("large", 9))
    assert f"; {help_}" in said(admission, key, supplies)


def test_scaling_does_not_help_a_task_that_is_bound_to_a_worker():
    admission = cluster(4)
    key = held(admission, bound("there", 1, "w7"))
    assert "group" not in said(admission, key, [supply("big", 16)])


# ----------------------------------------------------------------------------- against the ledger
def random_task(rng, number, addresses):
    demand = {"memory": rng.choice([0.5, 1, 2, 3, 5, 9])}
    if rng.random() < 0.3:
        demand["cpu"] = rng.choice([1, 2, 4, 6])
    if rng.random() < 0.15:
        demand["GPU"] = rng.choice([1, 3])
    made = task(number, demand.pop("memory"), type_=rng.choice("abc"), **demand)
    if rng.random() < 0.25:
        allowed = frozenset(rng.sample([*addresses, "absent"], rng.choice([1, 2])))
        restrictions = Restrictions(allowed, loose=rng.random() < 0.3)
        made = Task(made.key, made.type, (0.0, 0), made.declared, restrictions)
    return made


def check(admission, key, now):
    """Hold an explanation against the rows of the ledger, counted anew and by name."""
    ledger, shape, found = admission.ledger, admission.queues.shape_of(key), why(admission, key, now)
    only = shape.restrictions
    rows = [row for row in ledger.rows.values() if row.is_open]
    if only is not None and not only.loose:
        rows = [row for row in rows if row.address in only.addresses or row.host in only.hosts]
    need = {ledger.names[axis]: amount for axis, amount in shape.need}
    capacities = [dict(zip(ledger.names, row.capacity, strict=True)) for row in rows]
    rooms = {row.address: dict(zip(ledger.names, ledger.room(row), strict=True)) for row in rows}

    def holds(amounts):
        return all(amounts.get(name, 0) >= amount for name, amount in need.items())

    if not rows:
        assert found.cause is Cause.NO_WORKER
    elif not any(holds(capacity) for capacity in capacities):
        assert found.cause is Cause.TOO_LARGE
        lacking = found.lacking
        assert need[lacking.resource] == lacking.needed > lacking.found
        assert lacking.found == ledger.rows[lacking.address].capacity[ledger.names.index(lacking.resource)]
    elif not any(holds(room) for room in rooms.values()):
        assert found.cause is Cause.LACKS
        lacking = found.lacking
        assert need[lacking.resource] == lacking.needed > lacking.found == rooms[lacking.address][lacking.resource]
    else:
        roomy = [row for row in rows if holds(rooms[row.address])]
        assert found.cause is Cause.PROMISED, "at rest, what fits has been placed"
        assert all(row.promise is not None for row in roomy)
        assert found.kept_for in {row.promise.shape.type for row in roomy}
    return found.cause


ADDRESSES = [f"w{number}" for number in range(6)]


def random_cluster(rng):
    admission = cluster(threads=4, patience=0.5)
    for address in ADDRESSES:
        join(admission, address, rng.choice([2, 4, 8]), rng.choice([1, 2, 4]), **rng.choice([{}, {"GPU": 2000}]))
    return admission


def change_workers(rng, admission):
    """Pause or resume a worker now and then, and let one store more or less."""
    row = admission.ledger.rows[rng.choice(ADDRESSES)]
    if rng.random() < 0.05:
        (admission.close_worker if row.is_open else admission.open_worker)(row.address)
    if rng.random() < 0.1:
        admission.ledger.set_burden(row, rng.choice([0, GiB]))


def play(rng, admission, step):
    """Let a task come, perhaps one end, and all that can be placed be placed."""
    now = step / 10
    admission.arrive(random_task(rng, step, ADDRESSES), now)
    if admission.ledger.reservations and rng.random() < 0.3:
        admission.finish(rng.choice(sorted(admission.ledger.reservations)), Measurement(1.0), now)
    change_workers(rng, admission)
    admission.tick(now)
    admission.fill(now)


def test_every_waiting_task_of_random_work_is_explained_by_what_the_ledger_has():
    causes = Counter()
    for seed in range(40):
        rng = random.Random(seed)
        admission = random_cluster(rng)
        for step in range(160):
            play(rng, admission, step)
            if step % 5 == 4:
                waiting = tuple(admission.queues.keys())
                causes.update(check(admission, key, step / 10) for key in waiting)
    assert sum(causes.values()) > 5000
    assert {Cause.LACKS, Cause.TOO_LARGE, Cause.NO_WORKER, Cause.PROMISED} <= causes.keys()


def test_an_unlimited_worker_lacks_no_memory():
    admission = cluster()
    join(admission, "w0", UNLIMITED / GiB, threads=1)
    admission.arrive(task("runs", 1), 0.0)
    assert said(admission, held(admission, task("waits", 1))).startswith("it needs a thread")
