"""What a profile promises: safe when young, thrifty when grown, and the same whenever it is replayed."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supreme_dask.core.profiles import Measurement, Profile

MB, GB = 10**6, 10**9
PRICES = (1.0, 2.0, 4.0, 8.0, 16.0)

amounts = st.integers(0, 20) | st.integers(0, 2**40) | st.sampled_from([MB, 2 * MB, GB])
measurements = st.builds(
    Measurement,
    wall=st.floats(0, 1e6),
    cpu=st.none() | st.floats(0, 1e6),
    memory=st.none() | amounts,
    exact=st.booleans(),
    inputs=amounts,
    fetched=amounts,
    killed=st.sampled_from([False, False, False, True]),
)
exact_runs = st.builds(Measurement, wall=st.floats(0, 1e6), memory=amounts, inputs=amounts)
unhurried = settings(deadline=None, max_examples=60)
logs = st.lists(measurements, max_size=60) | st.lists(exact_runs, min_size=10, max_size=120)


def learned(log) -> Profile:
    profile = Profile()
    for measurement in log:
        profile.learn(measurement)
    return profile


def runs(count, need, *, inputs=lambda _: 0, seed=1):
    """Return exact runs of 10 s whose need is a function of their inputs and of chance."""
    chance = random.Random(seed)
    sizes = [inputs(chance) for _ in range(count)]
    return [Measurement(10.0, memory=int(need(chance, size)), inputs=size) for size in sizes]


def about(need, spread=0.05):
    return lambda chance, _: need * chance.uniform(1 - spread, 1 + spread)


# ------------------------------------------------------------------------------------------- properties
@unhurried
@given(logs, amounts, st.floats(0, 1e6))
def test_an_estimate_is_a_positive_number_of_bytes_or_none(log, inputs, price):
    estimate = learned(log).memory(inputs, failure_price=price)
    assert estimate is None or (isinstance(estimate, int) and estimate > 0)


@unhurried
@given(logs, amounts, st.floats(0, 100), st.floats(0, 100))
def test_a_higher_price_of_failure_never_gives_less(log, inputs, price, other):
    profile = learned(log)
    if profile.memory(inputs) is not None:
        cheap = profile.memory(inputs, failure_price=min(price, other))
        assert cheap <= profile.memory(inputs, failure_price=max(price, other))


@unhurried
@given(logs, st.randoms(use_true_random=False), amounts)
def test_the_order_of_measurements_of_one_batch_changes_no_estimate(log, chance, inputs):
    """The runs between two batches are the profile's "equal time": it has no other clock."""
    profile, reordered, batch = Profile(), Profile(), []
    for measurement in log:
        profile.learn(measurement)
        batch.append(measurement)
        if not profile.to_wire()["waiting"]:
            chance.shuffle(batch)
            for each in batch:
                reordered.learn(each)
            batch = []
            for price in PRICES:
                assert reordered.memory(inputs, failure_price=price) == profile.memory(inputs, failure_price=price)


@unhurried
@given(logs, amounts)
def test_an_estimate_changes_only_with_the_version(log, inputs):
    """The scheduler asks anew only then."""
    profile = Profile()
    for measurement in log:
        before = profile.version, profile.memory(inputs), profile.cores
        profile.learn(measurement)
        if profile.version == before[0]:
            assert (profile.memory(inputs), profile.cores) == before[1:]


@unhurried
@given(logs, amounts)
def test_replaying_the_log_gives_the_same_profile_whatever_was_asked_meanwhile(log, inputs):
    asked = Profile()
    for measurement in log:
        asked.learn(measurement)
        asked.memory(inputs)
        asked.retry(inputs)
    assert learned(log).to_wire() == asked.to_wire()


@unhurried
@given(logs, logs, amounts)
def test_a_profile_survives_the_wire_and_learns_on_as_before(log, later, inputs):
    profile = learned(log)
    restored = Profile.from_wire(json.loads(json.dumps(profile.to_wire())))
    for measurement in later:
        profile.learn(measurement)
        restored.learn(measurement)
    assert restored.to_wire() == profile.to_wire()
    assert restored.memory(inputs) == profile.memory(inputs)
    assert (restored.count, restored.duration) == (profile.count, profile.duration)
    assert (restored.cores, restored.network) == (profile.cores, profile.network)


@unhurried
@given(logs, amounts)
def test_a_retry_gets_more_than_the_attempt_that_failed(log, failed):
    assert learned(log).retry(failed) > failed


# ---------------------------------------------------------------------------------------------- young
def test_nothing_is_expected_before_anything_is_known():
    assert Profile().memory() is None
    assert Profile().duration is None
    assert learned([Measurement(1.0)]).memory() is None


def test_the_first_estimate_after_a_single_run_has_room():
    assert 110 * MB < learned([Measurement(1.0, memory=100 * MB)]).memory() < 150 * MB


def test_larger_inputs_than_any_seen_get_more_while_their_effect_is_unknown():
    profile = learned([Measurement(1.0, memory=100 * MB, inputs=50 * MB)] * 5)
    assert profile.memory(inputs=500 * MB) >= 1000 * MB
    assert profile.memory(inputs=5 * MB) < 150 * MB


def test_bounds_count_only_until_something_exact_is_known():
    overlapped = [Measurement(1.0, memory=memory, exact=False) for memory in (900 * MB, 400 * MB, 700 * MB)]
    assert 400 * MB <= learned(overlapped).memory() < 600 * MB
    alone = Measurement(1.0, memory=100 * MB)
    assert learned([*overlapped, alone]).memory() == learned([alone]).memory()


def test_a_bound_holds_for_smaller_inputs_only():
    overlapped = [
        Measurement(1.0, memory=200 * MB, exact=False, inputs=10 * MB),
        Measurement(1.0, memory=900 * MB, exact=False, inputs=100 * MB),
    ]
    profile = learned(overlapped)
    assert profile.memory(inputs=10 * MB) < 300 * MB
    assert profile.memory(inputs=50 * MB) >= 900 * MB


# ---------------------------------------------------------------------------------------------- kills
@pytest.mark.parametrize("before", [0, 1, 5, 50])
def test_a_killed_run_raises_the_estimate_above_what_it_had_reached(before):
    profile = learned([*runs(before, about(GB)), Measurement(10.0, memory=2 * GB, killed=True)])
    assert profile.memory() > 2 * GB


def test_the_alarm_ends_when_the_retry_is_measured():
    killed = [*runs(50, about(GB)), Measurement(10.0, memory=2 * GB, killed=True)]
    retried = [*killed, Measurement(10.0, memory=3 * GB)]
    assert learned(killed).memory() > 2 * GB
    assert learned(retried).memory() < 1.3 * GB


def test_the_alarm_ends_when_many_others_needed_less():
    killed = [*runs(50, about(GB)), Measurement(10.0, memory=40 * GB, killed=True)]
    assert learned([*killed, *runs(60, about(GB), seed=2)]).memory() < 1.3 * GB


def test_room_for_rare_large_runs_is_a_matter_of_price():
    profile = learned(runs(300, lambda chance, _: GB * (3 if chance.random() < 0.05 else 1)))
    assert profile.memory(failure_price=2) < 1.2 * GB
    assert profile.memory(failure_price=64) > 3 * GB


def test_a_retry_gets_the_largest_need_known_or_twice_as_much():
    profile = learned(runs(30, about(GB, spread=0.5)))
    largest = max(run.memory for run in runs(30, about(GB, spread=0.5)))
    assert largest <= profile.retry(GB) < 1.01 * largest
    assert profile.retry(8 * GB) >= 16 * GB


# ------------------------------------------------------------------------------------- size of inputs
def test_linear_growth_with_the_inputs_is_continued_beyond_them():
    log = runs(40, lambda _, size: 3 * size + 100 * MB, inputs=lambda chance: chance.randint(MB, GB))
    assert 12.1 * GB <= learned(log).memory(inputs=4 * GB) < 13 * GB


def test_a_step_in_the_need_is_followed():
    """A library that takes another way for large inputs: no line describes that, the neighbours do."""
    log = runs(
        200,
        lambda chance, size: (GB if size < 500 * MB else 6 * GB) * chance.uniform(0.95, 1.05),
        inputs=lambda chance: chance.randint(MB, GB),
    )
    assert learned(log).memory(inputs=100 * MB) < 1.5 * GB
    assert 6 * GB < learned(log).memory(inputs=900 * MB) < 7 * GB


def test_inputs_that_do_not_matter_are_ignored():
    log = runs(100, about(GB), inputs=lambda chance: chance.randint(MB, GB))
    assert 0.95 * GB < learned(log).memory(inputs=2 * GB) < 1.2 * GB


# ---------------------------------------------------------------------------------------------- drift
@pytest.mark.parametrize("factor", [0.2, 3])
def test_a_type_that_changed_is_learned_anew(factor):
    log = [*runs(400, about(GB)), *runs(100, about(factor * GB), seed=2)]
    assert factor * GB < learned(log).memory() < 1.3 * factor * GB


@pytest.mark.parametrize("before", [20, 50, 100, 400])
def test_a_type_that_grew_kills_few_before_that_is_noticed(before):
    profile = learned(runs(before, about(GB)))
    kills = 0
    for run in runs(200, about(3 * GB), seed=2):
        size = profile.memory()
        kills += size < run.memory
        while size < run.memory:
            profile.learn(Measurement(10.0, memory=size, killed=True))
            size = profile.retry(size)
        profile.learn(run)
    assert kills <= 10


def test_chance_is_not_taken_for_a_change():
    profile = learned(runs(400, lambda chance, _: GB * chance.lognormvariate(0, 1)))
    assert len(profile.to_wire()["runs"]) > 350


def test_many_small_bounds_in_a_row_outweigh_old_exact_runs():
    """A type that never runs alone again after it became smaller."""
    log = [*runs(50, about(4 * GB)), *[Measurement(10.0, memory=GB, exact=False)] * 80]
    assert learned(log).memory() < 1.3 * GB
    assert learned(log[:60]).memory() > 3.9 * GB


# ----------------------------------------------------------------------------------------------- cost
def test_predictors_are_chosen_anew_seldom():
    profile = Profile()
    for measurement in runs(2000, about(GB)):
        profile.learn(measurement)
        profile.memory()
    assert profile.refits < 2000 / 20


def test_runs_without_a_measurement_of_memory_choose_nothing():
    profile = learned([*runs(50, about(GB)), *[Measurement(1.0)] * 1000])
    assert profile.refits == learned(runs(50, about(GB))).refits


def test_what_is_remembered_is_bounded():
    mixed = [
        each
        for run in runs(3000, about(GB))
        for each in (
            run,
            Measurement(1.0, memory=GB, exact=False),
            Measurement(1.0, memory=GB, killed=True, inputs=run.memory),
        )
    ]
    remembered = {name: len(of) for name, of in learned(mixed).to_wire().items() if isinstance(of, list)}
    assert all(count <= 400 for count in remembered.values()), remembered


# ------------------------------------------------------------------------------------ the other demands
def test_the_duration_is_that_of_recent_runs():
    assert learned([Measurement(3.0)]).duration == 3.0
    assert learned([*[Measurement(1.0)] * 100, *[Measurement(5.0)] * 32]).duration == 5.0


def test_a_duration_shown_by_running_tasks_is_believed_until_runs_end():
    profile = learned([Measurement(1.0, fetched=MB)] * 100)
    profile.duration = 60.0
    assert profile.duration == 60.0
    assert profile.network == pytest.approx(MB)
    for _ in range(32):
        profile.learn(Measurement(1.0))
    assert profile.duration == 1.0


def test_cores_are_the_most_that_a_recent_run_kept_busy_and_at_least_one():
    busy, idle = Measurement(10.0, cpu=35.0), Measurement(10.0, cpu=1.0)
    assert learned([busy, idle]).cores == 3.5
    assert learned([busy, *[idle] * 40]).cores == 1.0
    assert learned([Measurement(10.0, cpu=35.0, exact=False)]).cores == 1.0
    assert learned([Measurement(0.001, cpu=0.005)]).cores == 1.0


def test_network_is_what_was_fetched_per_second_of_run():
    assert learned([Measurement(2.0, fetched=30 * MB), Measurement(1.0)]).network == 10 * MB
    assert Profile().network == 0.0
