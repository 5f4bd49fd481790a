"""What is gone from Python and NumPy is lent to Theano's modules, and to no others."""

import sys

import numpy as np
import pytest
from interpreters import run_python
from theano.misc.safe_asarray import _asarray

from theano_rnn.engine import theano
from theano_rnn.engine.compat import names

GONE = ("distutils", "numpy.distutils", "pkg_resources")


@pytest.mark.slow
def test_nothing_leaks_into_the_users_program():
    code = f"""
import sys, builtins, numpy
before = set(vars(numpy)), set(vars(numpy.linalg)), builtins.__import__
from theano_rnn.engine import theano, tensor
x = tensor.dvector()
sums, _ = theano.scan(lambda x_t, s: x_t + s, x, tensor.constant(0.0, dtype="float64"))
print(theano.function([x], sums)([1, 2]))
print([set(vars(numpy)) - before[0], set(vars(numpy.linalg)) - before[1]])
print(builtins.__import__ is before[2], [name for name in {GONE} if name in sys.modules])
"""
    value, added, imports = run_python(code).splitlines()[-3:]
    assert value == "[1. 3.]"
    assert "bool" not in added and "product" not in added and "cast" not in added
    assert imports == "True []"


def test_the_first_scan_needs_no_pkg_resources_and_import_no_gpuarray():
    code = """
import sys
sys.modules["pkg_resources"] = sys.modules["setuptools"] = None  # as if not installed
from theano_rnn.engine import theano, tensor
print("theano.gpuarray" in sys.modules)
theano.scan(lambda x_t: x_t + 1, tensor.dvector())
print("theano.gpuarray" in sys.modules)
"""
    assert run_python(code).split() == ["False", "True"]


@pytest.mark.parametrize("name", ["bool", "int", "complex", "product", "cast", "sctype2char"])
def test_theano_finds_a_name_of_old_numpy(name):
    assert hasattr(theano.scalar.basic.np, name)
    assert theano.scalar.basic.np.float32 is np.float32


def test_old_names_mean_what_they_meant():
    old = theano.scalar.basic.np
    assert old.bool is bool and old.product([2, 3]) == 6 and old.sctype2char("float32") == "f"
    assert old.cast["int8"](300).dtype == "int8" and old.cast[theano.scalar.float32](2) == 2
    with pytest.raises(old.AxisError):
        np.zeros(1).sum(axis=3)


def test_what_numpy_loads_when_it_is_asked_for_is_found():
    assert theano.scalar.basic.np.testing is np.testing
    with pytest.raises(AttributeError):
        _ = theano.scalar.basic.np.no_such_name


def test_a_module_that_is_not_lent_is_pythons():
    assert names.import_lent("os.path").path is sys.modules["os"].path
    assert names.import_lent("numpy.fft").__name__ == "numpy"
    assert names.import_lent("numpy.fft", fromlist=["fft"]) is np.fft


@pytest.mark.parametrize(
    ("value", "dtype", "wrapped"),
    [(300, "int8", 44), (-1, "uint8", 255), ([2**20], "int16", [0]), (-1, "uint64", 2**64 - 1)],
)
def test_an_integer_that_does_not_fit_wraps(value, dtype, wrapped):
    old = theano.scalar.basic.np
    for make in (old.asarray, old.array, _asarray):
        made = make(value, dtype=dtype)
        assert made.dtype == dtype and made.tolist() == wrapped
    with pytest.raises(OverflowError):
        _asarray(2**70, dtype=dtype)
