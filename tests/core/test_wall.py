"""The wall: what may be mapped, who is stopped, whose growth it was, whose error it is. Bytes are MiB in examples."""

from hypothesis import given
from hypothesis import strategies as st

from supreme_dask.core.wall import TELLING, Account, Accounts, Allowance, Footprint, Levels, Patience, Rise, pause

MiB = 2**20
LEVELS = Levels.of(1000 * MiB, 0.95)
sizes = st.integers(0, 2000 * MiB)
changes = st.integers(-500 * MiB, 500 * MiB)


def account(key="x", begun=0.0, **given_):
    return Account(key, begun, **given_)


# ------------------------------------------------------------------------------------- what may be mapped


looks_at = st.lists(st.tuples(sizes, sizes, sizes), min_size=1)


@given(looks_at)
def test_something_may_always_be_mapped_so_that_a_worker_can_send_its_messages(looks):
    allowance = Allowance(LEVELS)
    for now, (mapped, used, pending) in enumerate(looks):
        margin = 32 * MiB if used < 900 * MiB else 2 * MiB
        assert allowance.look(mapped, used, pending, now / 10) >= mapped + margin


@given(looks_at)
def test_no_leap_takes_a_worker_beyond_its_limit(looks):
    allowance = Allowance(LEVELS)
    for now, (mapped, used, pending) in enumerate(looks):
        leap = allowance.look(mapped, used, pending, now / 10) - mapped
        assert used + leap <= LEVELS.limit or leap == 2 * MiB


def settled(mapped, used, pending):
    allowance = Allowance(LEVELS)
    return [allowance.look(mapped * MiB, used * MiB, pending * MiB, float(now)) for now in range(3)][-1] // MiB


def test_what_is_about_to_be_filled_is_as_good_as_used():
    assert settled(600, 100, 400) == settled(600, 500, 0) == 1050


def test_what_an_allocator_keeps_takes_no_room():
    assert settled(900, 100, 0) == 900 + 850


def test_what_is_being_unmapped_is_not_given_away_twice():
    allowance = Allowance(LEVELS)
    looks = [(600, 600, 0.0), (600, 600, 0.3), (600, 300, 0.4), (600, 100, 0.5), (100, 100, 0.51)]
    allowed = [allowance.look(mapped * MiB, used * MiB, 0, now) // MiB for mapped, used, now in looks]
    assert allowed == [950] * 5


def test_a_fraction_above_the_last_level_moves_that_too():
    levels = Levels.of(1000, 0.99)
    assert (levels.stop, levels.last) == (990, 990)


# ------------------------------------------------------------------------------------------- what is taken


@given(st.lists(st.tuples(sizes, sizes, st.booleans())))
def test_what_is_pending_was_mapped_lately_and_is_never_negative(looks):
    footprint, most, before = Footprint(0, 0), 0, 0
    for now, (mapped, held, idle) in enumerate(looks):
        footprint.look(mapped, held, float(now), idle=idle)
        most += max(mapped - before, 0) + max(before - mapped, 0) + held
        before = mapped
        assert footprint.pending >= 0
        if idle:
            assert footprint.pending == 0


@given(st.integers(1, 500), st.integers(1, 20))
def test_a_leap_is_taken_once_however_slowly_it_is_filled(size, looks):
    footprint, size = Footprint(0, 0), size * MiB
    taken = footprint.look(size, 0, 0.0, idle=False)
    for look in range(1, looks + 1):
        taken += footprint.look(size, size * look // looks, look / 10, idle=False)
    assert abs(taken - size) < TELLING
    assert footprint.pending < TELLING * 2


def test_memory_that_an_allocator_keeps_and_fills_again_is_taken_each_time():
    footprint = Footprint(0, 0)
    assert footprint.look(100 * MiB, 100 * MiB, 0.1, idle=False) == 100 * MiB
    assert footprint.look(100 * MiB, 0, 0.2, idle=False) == -100 * MiB
    assert footprint.look(100 * MiB, 100 * MiB, 0.3, idle=False) == 100 * MiB
    assert footprint.pending == 0


def test_what_stays_untouched_is_forgotten():
    footprint = Footprint(0, 0)
    footprint.look(1000 * MiB, 0, 0.0, idle=False)
    for second in range(1, 15):
        footprint.look(1000 * MiB, second * MiB, float(second), idle=False)
    assert footprint.pending == 0


# -------------------------------------------------------------------------------------- when one is stopped


@given(st.lists(sizes))
def test_nobody_is_stopped_below_the_wall_and_one_is_when_it_is_passed(looks):
    rise, above = Rise(LEVELS), False
    for used in looks:
        stop = rise.look(used)
        if used <= LEVELS.stop:
            assert not stop
        elif not above:
            assert stop
        above = used > LEVELS.stop


@given(st.integers(951, 2000), st.integers(1, 50))
def test_nobody_is_stopped_for_memory_that_is_high_and_stays(used, looks):
    rise = Rise(LEVELS)
    assert rise.look(used * MiB)
    assert not any(rise.look(used * MiB) for _ in range(looks))


def test_another_is_stopped_when_it_rises_further():
    rise = Rise(LEVELS)
    assert [rise.look(used * MiB) for used in (951, 955, 967, 970, 983)] == [True, False, True, False, True]


@given(st.lists(sizes))
def test_a_nanny_ends_who_is_far_above_its_limit_and_who_stays_near_it(looks):
    patience = Patience(1000 * MiB)
    for number, used in enumerate(looks):
        lately = looks[max(number - 3, 0) : number + 1]
        stays = len(lately) == 4 and min(lately) > 985 * MiB
        assert patience.is_over(used) == (used > 1050 * MiB or stays)


# ------------------------------------------------------------------------------------------- who is stopped


def running(*given_):
    accounts = Accounts()
    for thread, one in enumerate(given_):
        accounts.begin(thread, one)
    return accounts


def test_the_one_most_above_its_reservation_is_stopped():
    honest, liar, worse = (account(reserved=100 * MiB, held=held * MiB) for held in (100, 200, 300))
    unknown = account(begun=9.0, held=800 * MiB)
    assert running(honest, liar, worse, unknown).victim(()) == 2


def test_among_those_without_a_reservation_the_youngest():
    honest = account(begun=9.0, reserved=100 * MiB, held=100 * MiB)
    assert running(account(begun=1.0), account(begun=3.0), honest, account(begun=2.0)).victim(()) == 1


def test_one_that_was_stopped_already_comes_last():
    assert running(account(begun=1.0), account(begun=2.0, stops=1)).victim(()) == 0


def test_what_was_declared_is_kept_free_from_a_task_that_took_more_than_its_own():
    liar = account(reserved=100 * MiB, held=200 * MiB)
    half, full = (account(reserved=100 * MiB, held=held * MiB, firm=True) for held in (40, 100))
    learned, unknown = account(reserved=500 * MiB), account(held=300 * MiB)
    assert running(half, full, learned, unknown).promised == 0
    assert running(half, full, learned, unknown, liar).promised == 60 * MiB


def test_nothing_is_kept_free_once_that_task_was_told_to_stop():
    told = account(reserved=100 * MiB, held=200 * MiB, stops=1)
    assert running(told, account(reserved=100 * MiB, firm=True)).promised == 0


@given(st.lists(st.tuples(st.none() | sizes, sizes, st.integers(0, 9), st.booleans()), max_size=6))
def test_whoever_may_be_stopped_is_found_and_nobody_else(tasks):
    accounts = running(*(account(begun=begun, reserved=reserved, held=held) for reserved, held, begun, _ in tasks))
    unable = [thread for thread, (*_, is_able) in enumerate(tasks) if not is_able]
    victim = accounts.victim(unable)
    assert victim not in unable
    assert (victim is None) == (len(unable) == len(tasks))


# -------------------------------------------------------------------------------------------- whose it was


@given(st.lists(st.tuples(changes, st.sets(st.integers(0, 2), min_size=1))))
def test_what_it_surely_took_is_never_above_what_it_may_have_taken(looks):
    accounts = running(account(), account(), account())
    for change, active in looks:
        accounts.change(change, active)
        for thread in accounts:
            one = accounts[thread]
            assert 0 <= one.least <= one.most
            assert one.surely <= one.bound


@given(st.lists(st.tuples(st.integers(0, 500 * MiB), st.integers(0, 2))))
def test_what_only_one_can_have_taken_is_its_own_exactly(looks):
    accounts, took = running(account(), account(), account()), [0, 0, 0]
    for change, thread in looks:
        accounts.change(change, [thread])
        took[thread] += change
    assert [accounts[thread].peak for thread in accounts] == took
    assert all(accounts[thread].exact for thread in accounts)


def test_what_several_may_have_taken_is_a_bound():
    accounts = running(account(), account(), account())
    accounts.change(100 * MiB, [0, 1])
    assert [(accounts[one].surely, accounts[one].bound) for one in accounts] == [
        (0, 100 * MiB),
        (0, 100 * MiB),
        (0, 0),
    ]
    assert [accounts[one].exact for one in accounts] == [False, False, True]


def test_growth_is_told_once():
    accounts = running(account("told", reserved=100 * MiB), account("unknown"))
    accounts.change(125 * MiB, [0])
    accounts.change(15 * MiB, [1])
    assert accounts.grown() == []
    accounts.change(5 * MiB, [1])
    assert accounts.grown() == [("unknown", 20 * MiB)]
    accounts.change(5 * MiB, [0])
    assert accounts.grown() == [("told", 130 * MiB)]
    assert accounts.grown() == []


# -------------------------------------------------------------------------------------------- whose error


def test_who_asks_for_more_than_the_worker_has_is_told_so():
    assert Accounts().is_kept(account(), 1001 * MiB, 1000 * MiB)
    assert not Accounts().is_kept(account(), 1000 * MiB, 1000 * MiB)


def test_who_has_the_largest_worker_for_itself_keeps_its_error():
    assert Accounts().is_kept(account(reserved=1, last=True), 0, 1000 * MiB)


@given(st.lists(st.booleans(), max_size=9))
def test_who_has_no_reservation_is_handed_back_until_it_failed_alone_again_and_again(runs):
    accounts, alone = Accounts(), 0
    for is_alone in runs:
        alone += is_alone
        kept = accounts.is_kept(account("x", alone=is_alone), 0, 1000 * MiB)
        assert kept == (alone == 3)
        if kept:
            break


def test_who_has_a_reservation_is_handed_back_for_ever():
    accounts = Accounts()
    assert not any(accounts.is_kept(account(reserved=1), 0, 1000 * MiB) for _ in range(9))


# -------------------------------------------------------------------------------------------- how often


@given(room=st.integers(-MiB, 10**12), running=st.integers(0, 9), still=st.booleans())
def test_memory_is_looked_at_the_more_often_the_nearer_it_is(room, running, still):
    wait = pause(room, running=running, still=still)
    assert 0.005 <= wait <= 0.1
    assert wait >= pause(room // 2, running=running, still=still)
    assert wait <= pause(room, running=0, still=still)
