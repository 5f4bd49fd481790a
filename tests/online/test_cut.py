"""The biased methods by backpropagation with ways cut, against the forward methods in NumPy."""

import pytest
from conftest import first
from kinds import PLAIN, assert_same, net

from theano_rnn import RNN
from theano_rnn.model.cells import Cell
from theano_rnn.online.cut import cut
from theano_rnn.reference.online import online_gradients

ALL = [
    (method, cell)
    for cell in ("gru", "lstm", "tanh", "gru_after", "relu", "mingru")
    for method in ("local", "snap1", "immediate")
    if (method, cell) != ("snap1", "gru")
]


@pytest.mark.parametrize("method, cell", first(1, ALL))
def test_backpropagation_through_cut_steps_is_the_method(method, cell, uncompiled, monkeypatch):
    kind = {**PLAIN, "cell": cell, "bias": True}
    parameters, x, y = net(kind, seed=1, T=5)
    whole = Cell.step
    monkeypatch.setattr(Cell, "step", lambda self, *a: cut(lambda *b: whole(self, *b), method)(*a))
    model = RNN(5, 3, cell=cell, bias=True, dtype="float64")
    model.set_parameters(parameters)
    found = model.bptt(x, y)
    assert_same(found, online_gradients(parameters, x, y, method, **kind), 1e-12)
