"""Theano's compiled scan loop is built on Python 3.11 and later, or its Python loop runs."""

import sys

import numpy as np
import pytest

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.patches import scan_perform


def test_scan_runs_its_compiled_loop():
    assert scan_perform.available_loop() == "the compiled loop"
    x = tensor.dvector("x")
    sums, _ = theano.scan(
        lambda x_t, sum_t: x_t + sum_t, x, tensor.constant(np.float64(0)), strict=True, name="sums"
    )
    mode = theano.compile.mode.get_default_mode().excluding("native_loop")
    np.testing.assert_array_equal(theano.function([x], sums, mode=mode)([1, 2, 4]), [1, 3, 7])
    assert sys.modules["theano.scan.scan_perform_ext"] is not None


def test_another_source_of_the_scan_perform_is_refused_not_compiled():
    with pytest.raises(RuntimeError, match="not the one shipped"):
        scan_perform.without_shortcuts("int main() { return 0; }")


def test_a_loop_that_does_not_compile_falls_back_to_pythons(monkeypatch):
    def fail(folder):
        raise RuntimeError("no such header\nand more")

    monkeypatch.setattr(scan_perform, "CYTHON_WORKS", False)
    monkeypatch.setattr(scan_perform, "_build", fail)
    monkeypatch.setitem(sys.modules, scan_perform._EXTENSION, None)
    assert scan_perform.prepare() == "the Python loop (no such header)"
