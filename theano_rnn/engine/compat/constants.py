"""Python's numbers become the constants that they became before NumPy 2."""

from typing import Any

import numpy as np
from theano.configdefaults import config
from theano.scalar import basic

shipped_autocast = basic.NumpyAutocaster.__call__
shipped_cast = basic.Cast.impl


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


SHIMS = (type_constants, cast_by_wrapping)
