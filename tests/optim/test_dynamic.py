"""The step of dynamic evaluation against NumPy: what is observed, and what a step does."""

import numpy as np
import pytest
from conftest import first, function_in_python
from kinds import assert_same

from theano_rnn import RNN, RNNError
from theano_rnn.optim.dynamic import DECAY, DynamicStep
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.dynamic import adapted, root_mean_squares

#: Settings, those of the oracle, and decays: with the larger one some numbers go back whole.
KINDS = [
    ({"cell": "lstm", "tied": True, "embedding_size": 3, "bias": True}, {"projection": True}, 0.3),
    ({"truncation": "chunk:2"}, {}, DECAY),
]


@pytest.fixture(autouse=True)
def quickly_compiled(monkeypatch):
    monkeypatch.setattr("theano_rnn.optim.dynamic.compile_function", function_in_python)
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", function_in_python)


def oracle(model, values, projection):
    a = model.architecture
    kind = {name: getattr(a, name) for name in ("cell", "layers", "bias", "tied")}
    kind["embedding"] = a.embedding_size is not None
    return NumpyRNN(values, model.truncation, **kind, **projection)


@pytest.mark.parametrize("settings, projection, decay", first(1, KINDS))
def test_steps_are_the_naive_ones_after_batches_of_which_one_is_masked(
    settings, projection, decay, random
):
    model = RNN(5, 4, dtype="float64", **settings)
    start = model.parameters()
    x, y = random.integers(5, size=(2, 6, 3))
    mask = np.arange(6)[:, None] < np.array([6, 2, 4])
    naive = oracle(model, start, projection)
    observed = [(naive.bptt(x, y), 18), (naive.bptt(x, y, mask), 12)]
    rms = root_mean_squares([{name: g / n for name, g in of.items()} for of, n in observed])
    step = DynamicStep(model, decay)
    step.observe(x, y)
    step.observe(x, y, mask)
    assert_same(model.parameters(), start)
    step.begin()
    values = start
    for n in (4, 1):
        naive.set_parameters(values)
        gradients = naive.bptt(x[:n, 0], y[:n, 0])
        expected = naive.ce_error(x[:n, 0], y[:n, 0])
        values = adapted(values, start, rms, gradients, n, 1e-3, decay, 2e-5)
        loss, norm, _ = step(x[:n, 0], y[:n, 0], 1e-3)
        assert loss == pytest.approx(expected, rel=1e-12) and np.isnan(norm)
        assert_same(model.parameters(), values, 1e-11)


def test_calls_in_another_order_and_bad_input_are_refused_and_change_nothing(random):
    model = RNN(5, 3, dtype="float64")
    step, start = DynamicStep(model), model.parameters()
    x, y = random.integers(5, size=(2, 4))
    for refused, message in (
        (lambda: step(x, y, 0.1), "call begin before the first step"),
        (step.begin, "nothing was observed"),
        (lambda: step.observe([0, 9], [1, 1]), "9"),
    ):
        with pytest.raises(RNNError, match=message):
            refused()
    with pytest.raises(RNNError, match="nothing was observed"):  # a bad batch does not count
        step.begin()
    step.observe(x, y)
    step.begin()
    rms = [value.get_value() for value in step._rms]
    step.begin()
    for before, after in zip(rms, step._rms):
        np.testing.assert_array_equal(before, after.get_value())
    with pytest.raises(RNNError, match="before begin"):
        step.observe(x, y)
    with pytest.raises(RNNError, match="not clipped"):
        step(x, y, 0.1, 1.0)
    assert_same(model.parameters(), start)
    with pytest.raises(RNNError, match="artbp"):
        DynamicStep(RNN(5, 3, truncation="artbp:2"))


def test_numbers_of_large_gradients_go_back_at_once_where_the_decay_is_large(random):
    model = RNN(5, 4, dtype="float64")
    x, y = random.integers(5, size=(2, 6))
    step = DynamicStep(model, decay=1e9)
    step.observe(x, y)
    step.begin()
    start = model.parameters()
    model.set_parameters({name: p + 1 for name, p in start.items()})
    step(x, y, 1e-12)
    touched = np.isin(np.arange(5), x)
    np.testing.assert_allclose(model.parameters()["V"], start["V"], atol=1e-7)
    np.testing.assert_allclose(
        model.parameters()["U"][:, touched], start["U"][:, touched], atol=1e-7
    )
    assert (model.parameters()["U"][:, ~touched] == start["U"][:, ~touched] + 1).all()


def test_the_state_goes_on_through_batches_and_steps(random):
    model = RNN(5, 4, dtype="float64")
    x, y = random.integers(5, size=(2, 6, 2))
    whole = model.loss_and_state(x, y)[1]
    step = DynamicStep(model)
    state = step.observe(x[:3], y[:3])
    np.testing.assert_allclose(step.observe(x[3:], y[3:], state=state), whole, rtol=1e-12)
    step.begin()
    np.testing.assert_allclose(step(x[3:], y[3:], 1e-9, state=state)[2], whole, rtol=1e-12)
