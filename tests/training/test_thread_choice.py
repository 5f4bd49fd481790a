"""``threads=0``: the number of BLAS threads that is quickest now, chosen by timing steps."""

from collections import Counter

from theano_rnn.training import thread_choice
from theano_rnn.training.thread_choice import ThreadChoice


def share_of_time(seconds_a_token, steps, cores=2):
    """The share of its time that a run of these steps spends with each number of threads."""
    spent = Counter()
    choice = ThreadChoice(lambda number: None, cores)
    for n in range(steps):
        number = choice.threads
        tokens = 40 if n % 3 else 800
        seconds = tokens * seconds_a_token(number, sum(spent.values()))
        spent[number] += seconds
        choice.step(tokens, seconds)
    return {number: seconds / sum(spent.values()) for number, seconds in spent.items()}


def test_more_threads_are_used_where_they_are_quicker():
    assert share_of_time(lambda n, now: 1e-4 / n, 20000)[2] > 0.95
    assert share_of_time(lambda n, now: 1e-4 / n, 20000, cores=6)[6] > 0.85


def test_one_thread_is_used_where_others_do_not_pay():
    assert share_of_time(lambda n, now: 1e-4 * n, 20000)[1] > 0.95
    assert share_of_time(lambda n, now: 1e-4 / (1 + 0.01 * n), 20000)[1] > 0.95


def test_a_machine_with_one_core_uses_one_thread():
    assert share_of_time(lambda n, now: 1e-4, 5000, cores=1) == {1: 1}


def test_it_follows_the_load_of_the_machine():
    """30 quiet seconds, in which two threads take half the time; then one takes half of theirs."""

    def busy_later(number, now):
        return 1e-4 / number if now < 30 else 2e-4 * number

    spent = share_of_time(busy_later, 5000)
    assert 30 / 250 < spent[2] < 1.2 * 30 / 150


def test_steps_that_become_slow_are_compared_again_before_the_pause_is_over():
    used = []
    choice = ThreadChoice(used.append, 2)
    while len(used) < 1 + 2 * thread_choice.ROUNDS:
        choice.step(100, 0.06 / choice.threads)
    assert choice.threads == 2
    for _ in range(20):  # 3 seconds: the pause is a minute
        choice.step(100, 0.15)
    assert len(used) > 1 + 2 * thread_choice.ROUNDS


def test_one_slow_block_is_no_reason():
    used = []
    choice = ThreadChoice(used.append, 2)
    while len(used) < 1 + 2 * thread_choice.ROUNDS:
        choice.step(100, 0.06 / choice.threads)
    for n in range(100):
        choice.step(100, 0.15 if n % 10 == 0 else 0.03)
    assert len(used) == 1 + 2 * thread_choice.ROUNDS


def test_one_thread_that_becomes_slow_is_no_reason():
    used = []
    choice = ThreadChoice(used.append, 2)
    while len(used) < 1 + 2 * thread_choice.ROUNDS:
        choice.step(100, 0.06 * choice.threads)
    assert choice.threads == 1
    compared = len(used)
    for _ in range(100):  # 30 seconds, each step five times as slow
        choice.step(100, 0.3)
    assert len(used) == compared
