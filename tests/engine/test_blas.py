"""A BLAS is found, loaded, called by its own names, and told how many threads to use."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import first
from interpreters import run_python

from theano_rnn import engine
from theano_rnn.engine import blas, tensor, theano
from theano_rnn.engine.blas import usable_cores
from theano_rnn.engine.c_code import BlasOp
from theano_rnn.engine.ops import skinny_gemm

NO_BLAS = blas.Blas("none", None, "", "")


def test_without_the_package_a_blas_of_the_system_is_taken_and_then_none(monkeypatch):
    monkeypatch.setattr(blas.importlib.util, "find_spec", lambda name: None)
    there = {"blas": "libblas.so.3"}
    monkeypatch.setattr(blas.ctypes.util, "find_library", there.get)
    assert blas.find() == blas.Blas("the system's libblas.so.3", "libblas.so.3", "", "-lm")
    there.clear()
    assert blas.find() == NO_BLAS == blas.find("")


def test_a_package_without_its_library_is_passed_over(monkeypatch, tmp_path):
    spec = blas.importlib.util.spec_from_file_location("x", tmp_path / "__init__.py")
    monkeypatch.setattr(blas.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(blas.ctypes.util, "find_library", lambda name: None)
    assert blas.find() == NO_BLAS


def test_of_no_blas_nothing_is_loaded_set_or_told():
    blas.load(NO_BLAS, {})
    blas.use_threads(NO_BLAS, {}, 2)
    assert blas.threads(NO_BLAS) is None and blas.describe(NO_BLAS) == "none"


def test_a_blas_that_is_not_openblas_has_no_threads_to_set_and_no_kernel_to_name():
    libm = blas.Blas("libm", "libm.so.6", "", "-lm")
    blas.use_threads(libm, {}, 2)
    assert blas.threads(libm) is None and blas.describe(libm) == "libm"


def test_blas_is_found_and_its_product_is_right():
    assert engine.BLAS.name == "scipy-openblas32"
    random = np.random.default_rng(0)
    a, b = random.normal(size=(17, 5)), random.normal(size=(5, 9))
    x, y = tensor.dmatrices("x", "y")
    product = engine.compile_function([x, y], tensor.dot(x, y))
    (op,) = (node.op for node in product.maker.fgraph.toposort())
    assert isinstance(op, skinny_gemm.SkinnyDot22)
    np.testing.assert_allclose(product(a, b), a @ b, rtol=1e-13)


@pytest.mark.parametrize(("asked", "threads"), first(1, [("", "1"), ("2", "2")]))
def test_blas_computes_in_one_thread_unless_told(asked, threads):
    code = "from theano_rnn.engine import BLAS, blas; print(blas.threads(BLAS))"
    assert run_python(code, OPENBLAS_NUM_THREADS=asked, OMP_NUM_THREADS="") == threads


@pytest.mark.parametrize(("asked", "threads"), first(0, [("", usable_cores()), ("1", 1)]))
def test_all_cores_are_used_where_asked_unless_the_user_says_otherwise(asked, threads):
    code = "from theano_rnn import engine as e; e.use_threads(0); print(e.blas.threads(e.BLAS))"
    assert run_python(code, OPENBLAS_NUM_THREADS=asked, OMP_NUM_THREADS="") == str(threads)


@pytest.mark.parametrize(
    "limit, cores", [("max 100000", 8), ("150000 100000", 2), ("5000 100000", 1), ("", 8)]
)
def test_the_cores_are_at_most_those_of_a_containers_limit(monkeypatch, tmp_path, limit, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(blas, "CPU_LIMIT", tmp_path / "cpu.max")
    assert usable_cores() == 8
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert usable_cores() == cores


def test_without_a_prefix_nothing_is_renamed():
    assert NO_BLAS.defines == ""


@pytest.mark.slow
def test_without_blas_products_and_loops_are_in_plain_cpp():
    x, y, s, W = tensor.dmatrices("x", "y", "s", "W")
    with theano.config.change_flags(blas__ldflags=""):
        states, _ = theano.scan(lambda s: tensor.tanh(tensor.dot(s, W)), None, [s], n_steps=3)
        outputs = [tensor.dot(x, y), tensor.dot(x[:, ::2], y[::-1][:2]), states[-1]]
        product = engine.compile_function([x, y, s, W], outputs)
        nodes = [node for node in product.maker.fgraph.toposort() if isinstance(node.op, BlasOp)]
        assert len(nodes) == 3 and all("plain_blas" in n.op.c_support_code() for n in nodes)
    random = np.random.default_rng(0)
    for m, n in ((1, 5), (6, 5), (40, 300), (6, 0)):
        a, b = random.normal(size=(m, 4)), random.normal(size=(4, n))
        state, w = random.normal(size=(m, 4)), random.normal(size=(4, 4))
        after = np.tanh(np.tanh(np.tanh(state @ w) @ w) @ w)
        wanted = (a @ b, a[:, ::2] @ b[::-1][:2], after)
        for made, want in zip(product(a, b, state, w), wanted):
            np.testing.assert_allclose(made, want, rtol=1e-11, atol=1e-13)


def test_every_blas_routine_theano_calls_is_renamed():
    """The renamed names are those that stand in Theano's C code."""
    package = Path(theano.__file__).parent / "tensor"
    code = "".join((package / name).read_text() for name in ("blas.py", "blas_c.py"))
    called = set(re.findall(r"\b[sd](gemm|gemv|ger|dot|axpy|scal|copy|nrm2|syrk|trsm)_\b", code))
    assert called == set(blas.ROUTINES)
