"""Complex numbers in C, hashes of arrays, and the modes that check a function."""

import numpy as np
import pytest
from conftest import first

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.compat.generated_c import for_numpy_2


@pytest.mark.parametrize("dtype", first(1, ["complex64", "complex128"]))
def test_complex_numbers_compute_in_c(dtype):
    x, y = tensor.vector("x", dtype), tensor.vector("y", dtype)
    results = [x + y, x - y, x * y, x / y, -x, abs(x), tensor.eq(x, y), x * 2, x.real, x.sum()]
    a, b = np.array([1 + 2j, 3 - 1j], dtype), np.array([2 - 1j, 3 - 1j], dtype)
    expected = [a + b, a - b, a * b, a / b, -a, abs(a), a == b, a * 2, a.real, a.sum()]
    for value, wanted in zip(theano.function([x, y], results)(a, b), expected):
        np.testing.assert_allclose(value, wanted, rtol=1e-6)


def test_the_hash_of_an_array_tells_its_bytes_strides_and_shape():
    hex_digest = theano.printing.hex_digest
    x = np.arange(6.0).reshape(2, 3)
    assert hex_digest(x) == hex_digest(x.copy()) != hex_digest(x + 1)
    assert hex_digest(x).endswith("|strides=[24,8]|shape=[2,3]")


def test_debug_mode_restores_a_scalar_that_a_function_wrote_over():
    x = tensor.dscalar("x")
    mode = theano.compile.debugmode.DebugMode(check_py_code=False, stability_patience=1)
    function = theano.function([theano.In(x, mutable=True)], x + 1, mode=mode)
    assert function(np.array(2.0)) == 3


def test_c_of_theano_is_made_to_fit_numpy_2():
    source = "PyInt_Check(x); PyArray_DESCR(a)->elsize; axis = NPY_MAXDIMS; z.real = 1;"
    assert for_numpy_2(source) == (
        "PyLong_Check(x); PyArray_ITEMSIZE(a); axis = NPY_RAVEL_AXIS; z.real = 1;"
    )
    assert for_numpy_2("npy_complex64 z; z.real = y->imag; f.real();") == (
        "npy_complex64 z; z._Val[0] = y->_Val[1]; f.real();"
    )


def test_a_shared_variable_borrows_an_array():
    value = np.zeros(3)
    assert np.shares_memory(theano.shared(value, borrow=True).get_value(borrow=True), value)
    assert not np.shares_memory(theano.shared(value).get_value(borrow=True), value)
