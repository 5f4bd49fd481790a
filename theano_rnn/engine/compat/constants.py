"""Constants have the type, and casts the result, that they had before NumPy 2."""

import functools
import operator
from typing import Any, Callable

import numpy as np
from theano.configdefaults import config
from theano.scalar import basic

from theano_rnn.common.types import Variable
from theano_rnn.engine.compat.names import NUMPY_IS_2

shipped_autocast = basic.NumpyAutocaster.__call__
shipped_cast = basic.Cast.impl
shipped_inv = basic.Inv.impl


def type_constants() -> None:
    """Give a number the smallest type that holds it exactly.

    scalar/basic:177, ``NumpyAutocaster.__call__``, casts the number to one type after the other
    and compares it with the result. Since NumPy 2 (NEP 50) such a comparison has the type of the
    result: .1 equals .1 in float32, so with floatX=float64 all Python floats became float32; and
    300 cannot be cast to int8, so it became uint64.
    """
    basic.NumpyAutocaster.__call__ = autocast


def autocast(self: basic.NumpyAutocaster, x: Any) -> Any:
    """The shipped method, given Python's numbers as arrays of 64 bits."""
    if isinstance(x, np.generic) or not isinstance(x, (int, float)):
        return shipped_autocast(self, x)
    if config.cast_policy != "custom":
        return shipped_autocast(self, x)
    if isinstance(x, float) and config.floatX in self.dtypes and config.floatX != "float64":
        dtypes = [config.floatX]
    else:  # float16 only where floatX is
        dtypes = [d for d in self.dtypes if config.floatX == "float16" or d != "float16"]
    exact = np.asarray(x, "float64" if isinstance(x, float) else "int64")
    with np.errstate(over="ignore", under="ignore"):
        for dtype in dtypes:
            cast = exact.astype(dtype)
            if cast == exact:
                break
    return cast


def cast_by_wrapping() -> None:
    """Have the cast to an integer type wrap in Python as it does in C.

    scalar/basic:2425, ``Cast.impl``, calls ``numpy.int8(300)``, which is refused since NumPy 2.
    """
    basic.Cast.impl = cast_impl


def cast_impl(self: basic.Cast, x: Any) -> Any:
    """The shipped method, by an array where the number does not fit."""
    try:
        return shipped_cast(self, x)
    except OverflowError:
        return np.asarray(x, "int64").astype(self.o_type.dtype)[()]


def widen_constants() -> None:
    """Have fused Ops compute in Python in 64 bits, as they did before NumPy 2.

    scalar/basic:4037, ``Composite.init_py_impls``: the elements come as numbers of Python, and the
    constants are arrays. Since NumPy 2 (NEP 50) a number of Python takes the type of the array: .5
    in float32 made all of a float64 expression float32.
    """
    if NUMPY_IS_2:
        basic.Composite.init_py_impls = init_py_impls


def init_py_impls(self: basic.Composite) -> None:
    """Make of each output a function of the list of inputs."""
    inputs = self.fgraph.inputs

    @functools.cache
    def impl_of(variable: Variable) -> Callable[[Any], Any]:
        if variable in inputs:
            return operator.itemgetter(inputs.index(variable))
        if variable.owner is None:
            constant = widened(np.asarray(variable.data)[()])
            return lambda values: constant
        op, arguments = variable.owner.op, [impl_of(v) for v in variable.owner.inputs]
        return lambda values: widened(op.impl(*[argument(values) for argument in arguments]))

    self._impls = [impl_of(output) for output in self.fgraph.outputs]


def invert_in_64_bits() -> None:
    """Have ``Inv`` keep the precision of a number of Python, as before NumPy 2.

    scalar/basic:2851, ``Inv.impl``, returns ``numpy.float32(1.0) / x``, which since NumPy 2
    (NEP 50) is float32 where x is a number of Python, as in fused Ops.
    """
    basic.Inv.impl = inv_impl


def inv_impl(self: basic.Inv, x: Any) -> Any:
    """The shipped method, given a scalar of NumPy."""
    return shipped_inv(self, x if isinstance(x, np.generic) else widened(np.asarray(x)[()]))


#: By the kind of a dtype: the type of 64 bits that holds it.
WIDE = {"f": np.float64, "i": np.int64, "u": np.int64, "c": np.complex128}


def widened(number: Any) -> Any:
    """A scalar of NumPy in 64 bits; what is no such scalar stays."""
    if not isinstance(number, np.generic) or number.dtype == "uint64":
        return number
    return WIDE.get(number.dtype.kind, type(number))(number)


SHIMS = (type_constants, cast_by_wrapping, widen_constants, invert_in_64_bits)
