"""A fused Op of more inputs than a ufunc of NumPy may have, in Python and in C."""

import numpy as np
import pytest
from conftest import COMPILED, first
from theano.tensor.elemwise import Elemwise

from theano_rnn.engine import tensor, theano


@pytest.mark.parametrize("mode", [theano.Mode("py", "fast_run"), COMPILED], ids=["py", "c"])
@pytest.mark.parametrize("length", first(1, [3, 0]))
def test_a_fused_op_of_forty_inputs(mode, length):
    scalars = tensor.dscalars(39)
    x = tensor.dvector("x")
    expression = x
    for i, scalar in enumerate(scalars):
        expression = expression * scalar + i
    f = theano.function([x, *scalars], expression, mode=mode)
    nodes = f.maker.fgraph.apply_nodes
    assert any(isinstance(n.op, Elemwise) and len(n.inputs) >= 40 for n in nodes)
    rng = np.random.default_rng(0)
    values, factors = rng.random(length), rng.random(39)
    expected = values
    for i, factor in enumerate(factors):
        expected = expected * factor + i
    np.testing.assert_allclose(f(values, *factors), expected, rtol=1e-14)
