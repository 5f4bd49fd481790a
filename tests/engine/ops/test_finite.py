"""The Op that stops a compiled function before it uses a number that is not finite."""

import numpy as np
import pytest
from conftest import function_in_python

from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.ops.finite import if_finite


@pytest.mark.parametrize("compiled", [compile_function, function_in_python])
def test_a_number_that_is_not_finite_raises_before_anything_is_updated_in_place(compiled):
    state, number = theano.shared(np.ones((2, 3)), "state"), tensor.dscalar("number")
    f = compiled([number], [], [(state, 0.5 * if_finite(state, number))])
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(FloatingPointError, match="a number is not finite"):
            f(bad)
        assert (state.get_value() == 1).all()
    f(1e308)
    assert (state.get_value() == 0.5).all()
