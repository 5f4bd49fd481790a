"""``threads=0``: the number of threads that is quickest now, chosen by timing steps."""

from collections import Counter

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


def run(choice, seconds, step):
    """Steps of 100 tokens for so many seconds; ``step`` gives a step's time from the threads."""
    spent = 0.0
    while spent < seconds:
        taken = step(choice.threads)
        choice.step(100, taken)
        spent += taken


def test_steps_that_become_slow_are_compared_again_before_the_pause_is_over():
    used = []
    choice = ThreadChoice(used.append, 2)
    run(choice, 10, lambda n: 0.06 / n)
    assert choice.threads == 2
    compared = len(used)
    run(choice, 3, lambda n: 0.15)
    assert len(used) > compared


def test_one_slow_block_is_no_reason():
    used = []
    choice = ThreadChoice(used.append, 2)
    run(choice, 10, lambda n: 0.06 / n)
    compared = len(used)
    for n in range(100):
        choice.step(100, 0.15 if n % 40 == 0 else 0.03)
    assert len(used) == compared


def test_one_thread_that_becomes_slow_is_no_reason():
    used = []
    choice = ThreadChoice(used.append, 2)
    run(choice, 10, lambda n: 0.06 * n)
    assert choice.threads == 1
    compared = len(used)
    run(choice, 30, lambda n: 0.3)
    assert len(used) == compared


def test_a_number_that_loses_clearly_leaves_the_comparison_at_once():
    """Beside two busy programs a step with two threads took .7 seconds where one took .1."""
    spent = share_of_time(lambda n, now: 1e-4 if n == 1 else 7e-4, 1000)
    assert spent[2] < 0.04


def test_a_slow_block_of_one_thread_does_not_lose_the_comparison():
    blocks = iter([0.05] * 12 + [0.09] * 6 + [0.05] * 1000)  # the second one of one thread is slow
    choice = ThreadChoice(lambda number: None, 2)
    run(choice, 3, lambda n: next(blocks) if n == 1 else 0.06)
    assert choice.threads == 1


def test_steps_that_take_many_times_as_long_are_compared_again_at_once():
    used = []
    choice = ThreadChoice(used.append, 2)
    run(choice, 10, lambda n: 0.06 / n)
    assert choice.threads == 2
    compared = len(used)
    run(choice, 1.2, lambda n: 0.6)
    assert len(used) > compared and choice.threads == 1


def test_a_long_first_step_with_more_threads_does_not_lose_the_comparison():
    steps = iter([0.26, *[0.08] * 10**4])  # with two threads; they are made in the first one
    choice = ThreadChoice(lambda number: None, 2)
    run(choice, 3, lambda n: 0.12 if n == 1 else next(steps))
    assert choice.threads == 2


def comparisons(seconds, step):
    """When each comparison began in a training of so many seconds."""
    now, begun = [0.0], []
    choice = ThreadChoice(lambda number: number > 1 and begun.append(now[0]), 2)
    while now[0] < seconds:
        taken = step(choice.threads, now[0])
        choice.step(100, taken)
        now[0] += taken
    return [time for i, time in enumerate(begun) if i == 0 or time - begun[i - 1] > 30]


def test_after_a_comparison_that_two_threads_have_left_early_the_next_one_comes_later():
    lost = comparisons(1500, lambda n, now: 0.06 if n == 1 else 0.9)
    gaps = [b - a for a, b in zip(lost, lost[1:])]
    assert [round(gap / 60) for gap in gaps] == [2, 4, 4, 4, 4, 4]
    # Where two are a little slower they are compared every minute, and so they are when they pay.
    near = comparisons(400, lambda n, now: 0.06 if n == 1 else 0.065)
    assert len(near) == 7
