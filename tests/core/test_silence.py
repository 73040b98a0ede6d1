from itertools import product

from supreme_dask.core.silence import Answers, Silence, judge


def asked(times, heard, patience=10):
    silence = Silence()
    return [now for now in times if silence.look(now, {"a": heard(now)}, patience)]


def test_who_is_heard_of_is_not_asked():
    assert asked(range(100), heard=lambda now: now) == []


def test_who_is_silent_is_asked_and_asked_again():
    assert asked(range(31), heard=lambda _: 0) == [10, 20, 30]


def test_one_word_ends_the_silence():
    assert asked(range(25), heard=lambda now: now // 9) == []


def test_a_scheduler_that_did_not_listen_suspects_nobody():
    assert asked([0, 1, 2, 600, 601, 602], heard=lambda _: 0) == []


def test_who_is_gone_and_comes_back_begins_anew():
    silence = Silence()
    silence.look(0, {"a": 0}, 2)
    silence.look(1, {}, 2)
    assert silence.look(2, {"a": 0}, 2) == []


def test_what_a_nanny_sees_running_is_left_unless_it_answers_and_nothing_arrives():
    for worker, busy in product(["accepts", "refuses"], [True, False]):
        assert judge(Answers(worker, "runs", busy)) is None
    assert judge(Answers("answers", "runs", busy=True)) == "cut"


def test_what_a_nanny_sees_stopped_or_gone_is_lost():
    for worker, word, busy in product(["answers", "accepts", "refuses"], ["stopped", "gone"], [True, False]):
        assert judge(Answers(worker, word, busy)) == word


def test_a_host_on_which_nobody_answers_is_lost():
    for worker, busy in product(["accepts", "refuses"], [True, False]):
        assert judge(Answers(worker, "nothing", busy)) == "unreachable"


def test_without_a_nanny_only_what_cannot_be_computing_is_lost():
    assert judge(Answers("accepts", "none", busy=True)) is None
    assert judge(Answers("accepts", "none", busy=False)) == "frozen"
    assert judge(Answers("refuses", "none", busy=True)) == "unreachable"
