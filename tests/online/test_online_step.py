"""Learning at each step: the compiled one against a loop in NumPy."""

import numpy as np
import pytest
from conftest import first
from kinds import PLAIN, assert_same, net

from theano_rnn import RNN
from theano_rnn.common import memory
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.online import METHODS, OnlineStep
from theano_rnn.online.compiled import random_signs
from theano_rnn.reference.online import Online

KIND = {**PLAIN, "cell": "gru_after", "bias": True}


def made(method, seed=0, T=6, cell="gru_after"):
    kind = {**KIND, "cell": cell}
    parameters, x, y = net(kind, T=T)
    model = RNN(5, 3, cell=cell, bias=True, dtype="float64")
    model.set_parameters(parameters)
    return OnlineStep(model, method, seed), Online(parameters, method, **kind), x, y


@pytest.mark.parametrize("method", first(1, sorted(METHODS, reverse=True)))
def test_the_steps_are_those_of_a_loop_in_numpy(method, uncompiled):
    step, twin, x, y = made(method)
    signs = random_signs(5, (6, 3), "float64")
    given = {"signs": signs} if method == "uoro" else {}
    loss = step(x[:4], y[:4], 0.3, **{name: s[:4] for name, s in given.items()})
    expected = 0.0
    for t in range(6):
        if t == 4:
            assert abs(loss - expected) < 1e-12
            # The state and the influence are carried on to the next call.
            step(x[4:], y[4:], 0.3, **{name: s[4:] for name, s in given.items()})
        E, gradients = twin.step(x[t], y[t], signs[t])
        expected += E
        for name, p in twin.parameters.items():
            p -= 0.3 * gradients[name]
    assert_same(step.model.parameters(), twin.parameters, 1e-12)
    np.testing.assert_allclose(step.state, twin.h.ravel(), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_a_reset_begins_a_new_text(uncompiled):
    step, twin, x, y = made("rtrl", cell="tanh")
    step(x[:3], y[:3], 1e-9)
    step.reset()
    assert not step.state.any()
    step.model.set_parameters(twin.parameters)
    step(x[3:4], y[3:4], 0.5)
    _, gradients = twin.step(x[3], y[3])
    expected = {name: p - 0.5 * gradients[name] for name, p in twin.parameters.items()}
    assert_same(step.model.parameters(), expected, 1e-12)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_step_that_is_not_finite_is_not_taken(uncompiled):
    step, twin, x, y = made("immediate", cell="relu")
    huge = {name: p * 1e200 for name, p in twin.parameters.items()}
    step.model.set_parameters(huge)
    with pytest.raises(NotFinite, match=r"at step [12] is not finite"):
        step(x, y, 0.1)
    assert all(np.isfinite(p).all() for p in step.model.parameters().values())
    assert not step.state.any()


def test_bad_input_changes_nothing(uncompiled, monkeypatch):
    step, twin, x, y = made("immediate", cell="tanh")
    for call, words in [
        (lambda: step(x, y, 0), "learning_rate must be a positive"),
        (lambda: step(x, y[:2], 0.1), "pass one target for each input"),
        (lambda: step(x, y, 0.1, signs=np.ones((6, 3))), "immediate draws no signs"),
        (lambda: OnlineStep(step.model, "rtlr"), "method 'rtlr' is unknown"),
        (lambda: OnlineStep(step.model, "uoro", seed=1.5), "seed must be a whole number"),
    ]:
        with pytest.raises(RNNError, match=words):
            call()
    assert_same(step.model.parameters(), twin.parameters)
    monkeypatch.setattr(memory, "total", lambda: 1000)
    with pytest.raises(RNNError, match="rtrl would carry the influence of 27 parameters"):
        OnlineStep(step.model, "rtrl")
