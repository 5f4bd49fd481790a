"""Constants are folded without a compiler, to the values that the Ops have."""

import numpy as np
import pytest
from theano.graph.op import COp, _NoPythonCOp

from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.patches import constant_folding


@pytest.mark.filterwarnings("ignore:Supervisor")
def test_no_module_is_compiled_to_fold_constants(monkeypatch):
    made = []
    monkeypatch.setattr(COp, "make_c_thunk", lambda self, node, *_: made.append(node))
    two, x = tensor.constant(np.array([[2.0, 3.0]])), tensor.dvector("x")
    folded = tensor.tanh(two.T * 2)[0] + two.reshape((2,))[1]
    graph = theano.graph.fg.FunctionGraph([x], [x + folded])
    theano.compile.mode.get_default_mode().optimizer.optimize(graph)
    assert made == []
    (node,) = graph.apply_nodes
    values = [i.data for i in node.inputs if isinstance(i, theano.graph.basic.Constant)]
    np.testing.assert_allclose(values, [[np.tanh(4) + 3]], rtol=1e-15)


def test_large_constants_and_ops_without_python_are_left_to_c():
    small, large = (tensor.tanh(tensor.constant(np.ones(n))).owner for n in (3, 10**6 + 1))
    in_python = constant_folding.in_python
    assert in_python(small.op, small) and not in_python(large.op, large)

    class OnlyC(_NoPythonCOp):
        make_node = None

    assert not in_python(OnlyC(), small)


@pytest.mark.in_c
def test_a_large_constant_is_folded_to_the_same():
    x = tensor.constant(np.linspace(0, 1, 10**6 + 1))
    np.testing.assert_allclose(compile_function([], tensor.sqr(x).sum())(), (x.data**2).sum())
