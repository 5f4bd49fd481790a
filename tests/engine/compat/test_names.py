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


def test_gpuarray_is_loaded_when_more_of_it_is_used_than_a_scan_does():
    code = """
import sys
sys.modules["pkg_resources"] = sys.modules["setuptools"] = None  # as if not installed
from theano_rnn.engine import theano, tensor
loaded = lambda: [name in sys.modules for name in ("theano.gpuarray", "theano.gpuarray.opt")]
print(loaded())
theano.scan(lambda x_t: x_t + 1, tensor.dvector())
print(loaded(), theano.gpuarray.pygpu_activated)
print(theano.gpuarray.init_dev.__module__, theano.gpuarray.GpuArrayType.__module__)
theano.scan(lambda x_t: x_t + 1, tensor.dvector())
print(loaded(), theano.gpuarray.pygpu_activated)
"""
    before, scanned, names, after = run_python(code).splitlines()
    assert before == "[False, False]" and scanned == "[True, False] False"
    assert names == "theano.gpuarray theano.gpuarray.type"
    assert after == "[True, True] False"


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


def test_scipy_is_imported_when_it_is_used():
    code = """
import sys
from theano_rnn.engine import theano, tensor
print([name for name in sys.modules if name.startswith("scipy.") and name.count(".") == 1
       and not name.startswith("scipy._") and name != "scipy.version"])
from theano.tensor import slinalg
mode = theano.Mode("py", "fast_run")
x, A = tensor.dvector(), tensor.dmatrix()
values = theano.function([x], [tensor.erf(x), tensor.chi2sf(x, 2)], mode=mode)([0, 1])
print(*(round(float(value[1]), 4) for value in values))
print(theano.function([A, x], tensor.dot(A, x), mode=mode)([[1, 2]], [3, 4]))
print(theano.tensor.blas.fblas.dgemv(1.0, [[1.0, 2.0]], [3.0, 4.0]))
print(theano.function([A], slinalg.cholesky(A), mode=mode)([[4.0]]))
print("scipy.special" in sys.modules, "scipy.linalg" in sys.modules)
"""
    none, special, product, gemv, root, used = run_python(code).splitlines()
    assert none == "[]" and special == "0.8427 0.6065"
    assert product == gemv == "[11.]" and root == "[[2.]]" and used == "True True"
