"""A number becomes the constant that it became with NumPy 1.23, in both floatX."""

import numpy as np
import pytest

from theano_rnn.engine import compile_function, tensor, theano

#: A number, its dtype with floatX=float32, and with float64.
CONSTANTS = [
    (0.1, "float32", "float64"),
    (1 / 3, "float32", "float64"),
    (0.5, "float32", "float32"),
    (1e-300, "float32", "float64"),
    (1e300, "float32", "float64"),
    (float("inf"), "float32", "float32"),
    (float("nan"), "float32", "float64"),
    (0, "int8", "int8"),
    (-1, "int8", "int8"),
    (127, "int8", "int8"),
    (128, "int16", "int16"),
    (300, "int16", "int16"),
    (-200, "int16", "int16"),
    (40000, "int32", "int32"),
    (2**40, "int64", "int64"),
    (-(2**63), "int64", "int64"),
    (2**63, "uint64", "uint64"),
    (np.float16(0.1), "float16", "float16"),
    (np.float32(0.1), "float32", "float32"),
    (np.float64(0.1), "float64", "float64"),
    (np.int8(3), "int8", "int8"),
    (np.int64(300), "int64", "int64"),
    (np.uint8(200), "uint8", "uint8"),
    (np.bool_(True), "bool", "bool"),
    (np.array(0.1), "float64", "float64"),
    ([1, 300], "int64", "int64"),
    ([0.1, 1], "float64", "float64"),
]


@pytest.mark.parametrize(("number", "in_32", "in_64"), CONSTANTS)
def test_a_number_becomes_the_smallest_type_that_holds_it(number, in_32, in_64):
    for floatX, dtype in (("float32", in_32), ("float64", in_64)):
        with theano.config.change_flags(floatX=floatX):
            constant = tensor.as_tensor_variable(number)
        assert constant.dtype == constant.data.dtype == dtype
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(constant.data, np.asarray(number).astype(dtype))


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_a_number_that_no_integer_type_holds_is_refused(number):
    with pytest.raises(OverflowError):
        tensor.as_tensor_variable(number)


#: A dtype, a number, and the dtype of their sum with floatX=float32, and with float64.
SUMS = [
    ("int8", 1, "int8", "int8"),
    ("int8", 300, "int16", "int16"),
    ("int64", 300, "int64", "int64"),
    ("uint8", 1, "int16", "int16"),
    ("float32", 300, "float32", "float32"),
    ("float32", 40000, "float64", "float64"),
    ("float32", 0.1, "float32", "float64"),
    ("float32", 0.5, "float32", "float32"),
    ("float64", 0.1, "float64", "float64"),
    ("int64", 0.1, "float64", "float64"),
    ("int8", 0.1, "float32", "float64"),
    ("bool", 0.5, "float32", "float32"),
]


@pytest.mark.parametrize(("dtype", "number", "in_32", "in_64"), SUMS)
def test_the_sum_with_a_number_has_the_type_of_old(dtype, number, in_32, in_64):
    for floatX, expected in (("float32", in_32), ("float64", in_64)):
        with theano.config.change_flags(floatX=floatX):
            assert (tensor.vector(dtype=dtype) + number).dtype == expected


def test_the_other_policies_of_casting_stay():
    with theano.config.change_flags(cast_policy="numpy+floatX", floatX="float32"):
        assert tensor.constant(0.1).dtype == "float32" and tensor.constant(1).dtype == "int64"


def test_an_argument_that_does_not_fit_is_refused_and_wraps_where_that_is_allowed():
    x = tensor.bscalar("x")
    function = compile_function([x], x + x)
    assert function(50) == 100
    with pytest.raises(TypeError, match="int8"):
        function(300)
    wraps = theano.function([theano.In(x, allow_downcast=True)], x)
    assert wraps(300) == 44


def test_unsigned_numbers_are_negated_by_wrapping():
    x = tensor.TensorType("uint8", [False])("x")
    np.testing.assert_array_equal(theano.function([x], -x)(np.array([1, 255], "uint8")), [255, 1])


def test_a_fused_op_computes_in_64_bits_in_python():
    x, i = tensor.dvector("x"), tensor.lvector("i")
    value = 0.5 * x + tensor.cast(i, "float32") * x * 0.25 - x / 3 + 1 / (1 + x)
    function = theano.function([x, i], value, mode=theano.Mode("py", "fast_run"))
    assert isinstance(function.maker.fgraph.outputs[0].owner.op.scalar_op, theano.scalar.Composite)
    a, b = np.array([0.1, 1 / 3]), np.array([7, 3])
    np.testing.assert_allclose(
        function(a, b),
        0.5 * a + b * a * 0.25 - a / 3 + 1 / (1 + a),
        rtol=1e-15,
    )


def test_a_fused_op_divides_by_zero_as_numpy_does():
    x = tensor.dvector("x")
    function = theano.function([x], (x + 1) / (x * 0.0), mode=theano.Mode("py", "fast_run"))
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(function([1.0]), [np.inf])
