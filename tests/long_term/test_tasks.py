"""The six tasks: the definition of each, and a solver written by hand that reads x and finds y."""

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.long_term import tasks
from theano_rnn.long_term.trial import Trial

LENGTHS = (10, 15, 50)
SYMBOLIC = [name for name, task in tasks.TASKS.items() if task.is_symbol]
NUMERIC = [name for name, task in tasks.TASKS.items() if not task.is_symbol]


def many(name, length, batch=2000, seed=0):
    return tasks.TASKS[name].generate(np.random.default_rng(seed), length, batch)


# ---- solvers: one sequence (T, inputs) -> its answers, step by step


def order(x):
    answer, seen = 0, 0
    for x_t in x:
        if x_t[0] == 1 or x_t[1] == 1:  # A or B
            answer += (x_t[1] == 1) * 2**seen
            seen += 1
    return [answer]


def marked(x):
    return [number for mark, number in x if mark == 1]


def recalled(x):
    symbols = []
    for x_t in x:
        if x_t[6] == 1:  # go
            return symbols
        if x_t[5] == 0:  # no blank
            symbols.append(list(x_t).index(1))
    raise AssertionError("no go")


SOLVERS = {
    "temporal_order": order,
    "temporal_order_3": order,
    "addition": lambda x: [sum(marked(x)) / 2],
    "multiplication": lambda x: [marked(x)[0] * marked(x)[1]],
    "permutation": lambda x: [list(x[0]).index(1)],
    "memorization": recalled,
}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_solver_written_by_hand_is_never_wrong(name, length):
    task = tasks.TASKS[name]
    x, y = many(name, length, batch=100)
    answers = np.array([SOLVERS[name](x[:, b]) for b in range(100)]).T  # (answers, B)
    assert y.shape == (task.answers, 100) and np.allclose(answers, y, atol=1e-7)
    output = np.eye(task.outputs)[y] if task.is_symbol else answers[:, :, np.newaxis]
    assert not task.is_wrong(output, y).any()


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbols_are_one_hot(name):
    x, y = many(name, 20, batch=50)
    assert x.dtype == "float32" and y.dtype == "int64" and x.shape[2] == tasks.TASKS[name].inputs
    assert ((x == 0) | (x == 1)).all() and (x.sum(axis=2) == 1).all()


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_seed_gives_the_same_sequences_again(name):
    for a, b in zip(many(name, 20, 5), many(name, 20, 5)):
        assert (a == b).all()
    assert (many(name, 20, 5, seed=1)[0].shape != many(name, 20, 5)[0].shape) or (
        many(name, 20, 5, seed=1)[0] != many(name, 20, 5)[0]
    ).any()


# ---- definitions


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "name, tenths", [("temporal_order", (1, 5)), ("temporal_order_3", (1, 3, 6))]
)
def test_marked_symbols_stand_everywhere_in_their_tenths_and_nowhere_else(name, tenths, length):
    x, _ = many(name, length)
    assert len(x) == length
    is_marked = x[:, :, 0] + x[:, :, 1]  # (T, B)
    assert (is_marked.sum(axis=0) == len(tenths)).all()
    may = [p for p in range(length) for i in tenths if i * length <= 10 * p < (i + 1) * length]
    assert np.flatnonzero(is_marked.any(axis=1)).tolist() == may


@pytest.mark.parametrize("name, n", [("temporal_order", 4), ("temporal_order_3", 8)])
def test_answers_and_distractors_are_equally_frequent(name, n):
    x, y = many(name, 20, batch=8000)
    # 5 standard deviations of a share of 1 / n.
    assert np.abs(np.bincount(y[0], minlength=n) / 8000 - 1 / n).max() < 5 / np.sqrt(8000 * n)
    counts = x[:, :, 2:].sum(axis=(0, 1))
    assert np.abs(counts / counts.sum() - 1 / 4).max() < 0.01


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_are_uniform_and_two_are_marked_in_their_places(name):
    lengths = set()
    for seed in range(100):
        x, y = many(name, 30, batch=40, seed=seed)
        l = len(x)
        lengths.add(l)
        assert ((x[:, :, 0] == 0) | (x[:, :, 0] == 1)).all()
        for b in range(40):
            p0, p1 = np.flatnonzero(x[:, b, 0])
            assert 10 * p0 < l and l <= 10 * p1 < 5 * l
    assert lengths == {30, 31, 32}  # from L to below 1.1 L
    x, y = many(name, 50)
    numbers = x[:, :, 1].ravel()
    assert numbers.min() >= 0 and numbers.max() < 1 and abs(numbers.mean() - 0.5) < 0.01
    assert abs(numbers.var() - 1 / 12) < 0.002 and y.dtype == "float32"


def test_marks_stand_everywhere_in_their_places():
    first, second = set(), set()
    for seed in range(30):
        x, _ = many("addition", 20, seed=seed)
        if len(x) == 20:
            first |= set(np.flatnonzero(x[:2, :, 0].any(axis=1)))
            second |= set(2 + np.flatnonzero(x[2:, :, 0].any(axis=1)))
    assert first == {0, 1} and second == set(range(2, 10))


def test_the_first_symbol_of_a_permutation_occurs_once():
    x, y = many("permutation", 20)
    symbols = x.argmax(axis=2)
    assert x.shape == (20, 2000, 100)
    assert (symbols[0] == y[0]).all() and set(symbols[0]) == {0, 1}
    assert set(symbols[1:].ravel()) == set(range(2, 100)) and abs(y.mean() - 0.5) < 0.06


def test_what_is_memorised_comes_before_the_blanks():
    x, y = many("memorization", 30)
    symbols = x.argmax(axis=2)
    assert x.shape == (30 + 20, 2000, 7) and y.shape == (10, 2000)
    assert (symbols[:10] == y).all() and set(y.ravel()) == set(range(5))
    assert (symbols[10:40] == 5).all() and (symbols[40] == 6).all() and (symbols[41:] == 5).all()


# ---- wrong answers


def test_a_sequence_is_wrong_if_any_of_its_symbols_is():
    task = tasks.TASKS["memorization"]
    _, y = many("memorization", 10, batch=3)
    output = np.eye(5)[y]
    output[7, 1] = np.roll(output[7, 1], 1)
    output[2, 2, 0] = np.nan
    assert task.is_wrong(output, y).tolist() == [False, True, True]


def test_a_number_is_wrong_if_its_squared_error_is_above_004():
    task = tasks.TASKS["addition"]
    output = np.array([[[0.5], [0.69], [0.71], [0.29], [np.nan]]])
    wrong = task.is_wrong(output, np.full((1, 5), 0.5))
    assert wrong.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_the_baseline_is_what_an_answer_without_x_comes_to(name):
    task = tasks.TASKS[name]
    _, y = many(name, 20, batch=20_000)
    if task.is_symbol:
        output = np.zeros((task.answers, 20_000, task.outputs))
        output[:, :, 1] = 1
    else:
        output = np.full((1, 20_000, 1), y.mean())
    assert abs(task.is_wrong(output, y).mean() - task.baseline) < 0.02


@pytest.mark.parametrize("length, batch", [(9, 1), (10.5, 1), (10, 0), (True, 1)])
def test_a_length_or_batch_out_of_range_is_refused(length, batch):
    with pytest.raises(RNNError, match="must be a whole number"):
        tasks.TASKS["addition"].generate(np.random.default_rng(0), length, batch)


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(RNNError, match="'tempral_order' is unknown; use temporal_order"):
        Trial("tempral_order", 10)
