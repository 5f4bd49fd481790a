"""Loops in C++ under Theano's modes that look for errors: a model's gradient, a user's scan."""

import numpy as np
import pytest
from theano.compile.debugmode import DebugMode
from theano.compile.monitormode import MonitorMode
from theano.compile.nanguardmode import NanGuardMode

from theano_rnn import RNN
from theano_rnn.engine import tensor, theano
from theano_rnn.engine.loop.op import NativeLoop

X, Y = [0, 3, 1], [3, 1, 2]


def loops(function):
    return [n for n in function.maker.fgraph.apply_nodes if isinstance(n.op, NativeLoop)]


def gradients(mode):
    """A model, and its loss and gradients compiled in a mode."""
    model = RNN(7, 4, dtype="float64", bias=True)
    symbols, _, net = model.network()
    outputs = [net.loss, *theano.grad(net.loss, list(model.shared.values()))]
    return model, theano.function(symbols, outputs, mode=mode)


def a_scan(mode):
    """s_t = relu(s_{t-1} + x_t) squared, and the gradient of its sum."""
    x = tensor.dmatrix("x")
    start = tensor.zeros(3, "float64")
    s, _ = theano.scan(lambda x_t, s: tensor.sqr(tensor.nnet.relu(s + x_t)), x, start)
    return theano.function([x], [s[-1], theano.grad(s.sum(), x)], mode=mode)


def check(model, function):
    loss, *made = function(np.array(X)[:, None], np.array(Y), np.zeros((1, 4)))
    assert loss == pytest.approx(model.ce_error(X, Y), rel=1e-12)
    for (name, want), gradient in zip(model.bptt(X, Y).items(), made):
        np.testing.assert_allclose(gradient.T if name == "U" else gradient, want, rtol=1e-9)


@pytest.mark.slow
def test_monitor_mode_calls_before_and_after_each_loop():
    seen = []
    model, function = gradients(
        MonitorMode(
            pre_func=lambda fgraph, i, node, fn: seen.append(("before", node)),
            post_func=lambda fgraph, i, node, fn: seen.append(("after", node)),
        )
    )
    check(model, function)
    assert len(loops(function)) == 2
    assert all((when, node) in seen for node in loops(function) for when in ("before", "after"))


@pytest.mark.slow
def test_nan_guard_mode_finds_what_a_loop_makes():
    mode = NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=False)
    check(*gradients(mode))
    function = a_scan(mode)
    assert len(loops(function)) == 2
    function(np.ones((4, 3)))
    with pytest.raises(AssertionError, match="Inf detected"):
        function(np.full((12, 3), 10.0))


@pytest.mark.slow
def test_debug_mode_runs_loops():
    function = a_scan(DebugMode(stability_patience=1))
    assert len(loops(function)) == 2
    last, gradient = function(np.full((2, 3), 0.5))
    np.testing.assert_allclose(last, 0.5625)  # ((0 + .5)^2 + .5)^2
    np.testing.assert_allclose(gradient, [[2.5] * 3, [1.5] * 3])


def test_debug_mode_runs_the_scan_itself_without_the_rewrites():
    function = a_scan(DebugMode(optimizer="fast_compile", check_c_code=False))
    assert not loops(function)
    np.testing.assert_allclose(function(np.full((2, 3), 0.5))[0], 0.5625)
