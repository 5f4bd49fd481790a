"""The second defect of Theano's scanOp_pushout_output; test_truncation.py has the first."""

import numpy as np
import pytest
from kinds import assert_same

from theano_rnn import RNN
from theano_rnn.engine import theano
from theano_rnn.engine.loop import NativeLoop
from theano_rnn.engine.patches import scan_pushout
from theano_rnn.reference import NumpyRNN

KIND = {"cell": "relu", "layers": 2, "bias": True, "tied": True}


def two_layers_of_relu():
    """Of dW's operands, s_{t-1} and delta_t, its backward loops have one as output already."""
    model = RNN(6, 4, **KIND, truncation="chunk:2", dtype="float64", seed=1)
    x, y = np.random.default_rng(1).integers(6, size=(2, 5, 3))
    return model, x, y


def test_as_shipped_the_optimization_fails_on_two_layers_of_relu(monkeypatch):
    shipped = scan_pushout.shipped
    monkeypatch.setattr(scan_pushout.PushOutScanOutput, "push_out_inner_vars", shipped)
    model, x, y = two_layers_of_relu()
    with theano.config.change_flags(on_opt_error="raise"):
        with pytest.raises(Exception, match="Trying to reintroduce a removed node"):
            model.bptt(x, y)


@pytest.mark.slow
def test_mended_each_step_of_it_is_computed_once_and_it_equals_numpy():
    model, x, y = two_layers_of_relu()
    with theano.config.change_flags(on_opt_error="raise"):
        gradients = model.bptt(x, y)
    oracle = NumpyRNN(model.parameters(), "chunk:2", **KIND)
    assert_same(gradients, oracle.bptt(x, y), 1e-13)
    (function,) = model._compiled.values()
    loops = [
        node.op for node in function.maker.fgraph.toposort() if isinstance(node.op, NativeLoop)
    ]
    work = [loop.program.work for loop in loops]
    products = [counts.products + counts.block_products for counts in work]
    # Forwards W s_{t-1}, backwards that and W' delta; as shipped, each in two loops made one.
    assert products == [1, 1, 2, 2]
