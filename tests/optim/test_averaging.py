"""The average of the parameters, against a loop in NumPy; and when it begins."""

import numpy as np
import pytest
from conftest import function_in_python
from theano.compile.sharedvalue import SharedVariable

from theano_rnn import RNN, Step
from theano_rnn.common.errors import RNNError
from theano_rnn.optim.averaging import Average, parse


@pytest.fixture(autouse=True)
def quickly_compiled(monkeypatch):
    for module in ("theano_rnn.optim.step", "theano_rnn.model.functions", "theano_rnn.engine"):
        monkeypatch.setattr(f"{module}.compile_function", function_in_python)


def mean(steps):
    return np.mean(steps, axis=0)


def exponential(decay):
    """The sum of the steps, those of s steps before weighed by decay^s, over that of weights."""

    def average(steps):
        weights = decay ** np.arange(len(steps))[::-1]
        return np.tensordot(weights, steps, 1) / weights.sum()

    return average


@pytest.mark.parametrize(
    ("text", "naive"),
    [("nt-asgd", mean), ("ema:0.9", exponential(0.9)), ("ema", exponential(0.999))],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_average_is_that_of_a_loop_also_where_a_step_leaves_rows_alone(text, naive, optimizer):
    model = RNN(9, 3, seed=1, dtype="float64", embedding_size=2)
    step, average = Step(model, optimizer), Average(parse(text), model.shared)
    assert step.is_sparse == (optimizer == "sgd")
    random, reached = np.random.default_rng(0), []
    for n in range(1, 13):
        x, y = random.integers(9, size=(2, 4))
        step(x, y, 0.1, 5.0)
        average.update(n)
        reached.append(model.parameters())
    last = model.parameters()
    with average.in_use():
        found = model.parameters()
    for name, value in found.items():
        expected = naive([each[name] for each in reached])
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(model.parameters()[name], last[name])
        assert not np.allclose(value, last[name], rtol=1e-3)


def test_an_error_while_the_average_is_in_use_leaves_the_parameters_as_they_were():
    model = RNN(5, 2)
    average, before = Average(parse("ema"), model.shared), model.parameters()
    model.set_parameters({name: 2 * value for name, value in before.items()})
    with pytest.raises(KeyboardInterrupt), average.in_use():
        np.testing.assert_array_equal(model.parameters()["W"], before["W"])
        raise KeyboardInterrupt
    np.testing.assert_array_equal(model.parameters()["W"], 2 * before["W"])
    np.testing.assert_array_equal(average.state()["W.average"], before["W"])


@pytest.mark.parametrize("call", range(1, 7))  # three parameters that are lent, and given back
def test_an_interrupt_among_the_parameters_leaves_them_as_they_were(monkeypatch, call):
    model, calls, shipped = RNN(5, 2), [], SharedVariable.set_value
    average, before = Average(parse("ema"), model.shared), model.parameters()
    model.set_parameters({name: 2 * value for name, value in before.items()})

    def set_value(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        shipped(*args, **kwargs)

    monkeypatch.setattr(SharedVariable, "set_value", set_value)
    with pytest.raises(KeyboardInterrupt), average.in_use():
        pass
    for name, value in model.parameters().items():
        np.testing.assert_array_equal(value, 2 * before[name])


def test_nt_asgd_begins_where_the_loss_is_above_the_lowest_of_the_n_before():
    rule = parse("nt-asgd:2")
    assert not rule.begins([]) and not rule.begins([3.0, 4.0, 5.0])  # not more than two before
    assert not rule.begins([1.0, 5.0, 4.0, 3.9])  # below both of the two before
    assert not rule.begins([9.0, 3.0, 4.0, 3.0])
    assert rule.begins([9.0, 3.0, 4.0, 3.5]) and rule.begins([5.0, 3.0, 4.0, 3.1])
    assert not parse("nt-asgd").begins([1.0] + [2.0] * 5) and parse("ema").begins([])
    assert not parse("nt-asgd").begins([1.0] + [2.0] * 6)  # none of the five before is lower
    assert parse("nt-asgd").begins([2.0, 1.0] + [2.0] * 5)


@pytest.mark.parametrize(
    "text", ["", "asgd", "ema:1", "ema:0", "ema:", "ema:x", "ema:nan", "nt-asgd:0", "nt-asgd:1.5",
             "nt-asgd:-1", "none:1", None, 3],
)  # fmt: skip
def test_another_average_is_refused_in_words(text):
    with pytest.raises(RNNError, match=r"^average .* is unknown; use none, nt-asgd, nt-asgd:N"):
        parse(text)


def test_averages_of_other_parameters_are_refused():
    average = Average(parse("ema"), RNN(5, 2).shared)
    others = Average(parse("ema"), RNN(5, 3).shared).state()
    with pytest.raises(RNNError, match=r"U\.average"):
        average.set_state(others)
    average.set_state({name: value + 1 for name, value in average.state().items()})
