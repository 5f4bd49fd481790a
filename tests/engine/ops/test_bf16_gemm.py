"""Products in bf16 equal those of the reference, and are within its bound of the exact ones."""

import functools

import numpy as np
import pytest
from conftest import IN_PYTHON, first, some
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from interpreters import run_python
from test_skinny_gemm import LAYOUTS, has, laid_out
from theano.compile.mode import get_default_mode

from theano_rnn.common.errors import RNNError
from theano_rnn.engine import c_code, compile_function, tensor, theano
from theano_rnn.engine.loop.op import NativeLoop
from theano_rnn.engine.ops import skinny_gemm
from theano_rnn.reference import bf16

needs_bf16 = pytest.mark.skipif(not c_code.has_bf16(), reason="there is no AVX512-BF16")

#: More than the skinny GEMM takes, and around what the C++ tells apart: vectors, panels, blocks.
SIZES = (33, 39, 40, 41, 47, 48, 49, 64, 95, 97, 255, 256, 257, 383, 384, 385, 770, 961)


@functools.cache
def product():
    x, y = tensor.fmatrices("x", "y")
    return compile_function([x, y], tensor.dot(x, y), precision="bf16")


@functools.cache
def add_product():
    z, x, y = tensor.fmatrices("z", "x", "y")
    alpha = tensor.fscalar("alpha")
    mode = get_default_mode().including("bf16")
    taken = theano.In(z, mutable=True)
    return theano.function([taken, alpha, x, y], z + alpha * tensor.dot(x, y), mode=mode)


def operands(sizes, layouts, seed):
    (m, n, k), rng = sizes, np.random.default_rng(seed)
    x = laid_out(rng, m, k, layouts[0], "float32")
    return x, laid_out(rng, k, n, layouts[1], "float32"), rng


def exact(x, y):
    return x.astype("float64") @ y.astype("float64")


CASES = given(
    st.tuples(*[st.sampled_from(SIZES)] * 3),
    st.tuples(*[st.sampled_from(LAYOUTS)] * 3),
    st.integers(0, 2**32),
)


@needs_bf16
@settings(max_examples=some(150), deadline=None)
@example((97, 961, 39), ("rows", "columns", "rows"), 0)  # x V', as the logits are
@example((97, 39, 961), ("rows", "rows", "rows"), 0)  # dz V, as the error of the states is
@CASES
def test_a_product_is_that_of_the_reference_whatever_its_sizes_and_layouts(sizes, layouts, seed):
    assume(np.prod(sizes) >= 2**18)
    x, y, _ = operands(sizes, layouts, seed)
    found = product()(x, y)
    assert found.dtype == np.float32
    assert (abs(found - bf16.product(x, y)) <= bf16.sum_bound(x, y)).all()
    assert (abs(found - exact(x, y)) <= bf16.bound(x, y)).all()
    assert (abs(found - exact(x, y)) > bf16.sum_bound(x, y)).any()  # it is not float32's


@needs_bf16
@settings(max_examples=some(150), deadline=None)
@example((961, 39, 97), ("columns", "rows", "rows"), 0)  # V - rate dz' s, as the update is
@CASES
def test_a_product_is_added_in_place_whatever_its_sizes_and_layouts(sizes, layouts, seed):
    assume(np.prod(sizes) >= 2**18)
    x, y, rng = operands(sizes, layouts, seed)
    z, alpha = laid_out(rng, sizes[0], sizes[1], layouts[2], "float32"), np.float32(-0.25)
    base = z if z.base is None else z.base
    before, around = z.copy(), base.copy()
    found = add_product()(z, alpha, x, y)
    assert np.shares_memory(found, z)
    off = abs(z - (before + alpha * bf16.product(x, y)))
    assert (off <= 0.25 * bf16.sum_bound(x, y) + 2.0**-22 * (abs(before) + abs(z))).all()
    z[:] = before  # and nothing around it has changed
    assert (base == around).all()


@needs_bf16
@pytest.mark.parametrize("sizes", [(20, 100, 300), (15, 1000, 100), (3000, 40, 8), (40, 40, 40)])
def test_small_products_stay_float32(sizes):
    x, y, _ = operands(sizes, ("rows", "rows"), 0)
    assert (abs(product()(x, y) - exact(x, y)) <= 1e-6 * (abs(x) @ abs(y))).all()


@needs_bf16
@pytest.mark.parametrize("m, k, n", [(0, 900, 900), (900, 900, 0), (900, 0, 900)])
def test_nothing_is_multiplied(m, k, n):
    x, y, z = (np.ones(shape, np.float32) for shape in ((m, k), (k, n), (m, n)))
    assert product()(x, y).shape == (m, n) and not product()(x, y).any()
    assert (add_product()(z, np.float32(2), x, y) == 1).all()


@needs_bf16
@pytest.mark.parametrize("bad", [np.nan, np.inf, 3.4028235e38])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_what_is_not_finite_in_bf16_comes_out_where_it_belongs(bad, layout):
    x, y, _ = operands((100, 81, 63), (layout, layout), 0)
    x[7, 62] = bad
    found = product()(x, y)
    assert not np.isfinite(found[7]).any()
    others = np.delete(found, 7, axis=0)
    assert np.isfinite(others).all() and others.any()


@needs_bf16
def test_it_is_off_by_itself_and_float64_stays_float64():
    x, y = tensor.fmatrices("x", "y")
    made = compile_function([x, y], tensor.dot(x, y))
    (op,) = [node.op for node in made.maker.fgraph.apply_nodes]
    assert op == skinny_gemm.SkinnyDot22() != skinny_gemm.SkinnyDot22(in_bf16=True)
    assert has(product(), skinny_gemm.SkinnyDot22) and has(add_product(), skinny_gemm.SkinnyGemm)
    a, b = tensor.dmatrices("a", "b")
    of_float64 = compile_function([a, b], tensor.dot(a, b), precision="bf16")
    x, y = (value.astype("float64") for value in operands((100, 81, 63), ("rows", "rows"), 0)[:2])
    np.testing.assert_allclose(of_float64(x, y), x @ y, rtol=0, atol=1e-13)


@needs_bf16
@pytest.mark.parametrize("transposed", first(1, [False, True]))
def test_loops_multiply_in_bf16(transposed):
    x, W = tensor.ftensor3("x"), tensor.fmatrix("W")

    def step(x_t, s, W):
        return x_t + tensor.dot(s, W.T if transposed else W)

    first_s = tensor.zeros_like(x[0])
    states, _ = theano.scan(step, x, first_s, [W])
    made = compile_function([x, W], states, precision="bf16")
    (loop,) = [n.op for n in made.maker.fgraph.apply_nodes if isinstance(n.op, NativeLoop)]
    assert loop.in_bf16 and loop.inplace
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(4, 20, 130)).astype("float32")
    by = rng.normal(size=(130, 130)).astype("float32")
    found = made(xs, by)
    factor = by.T if transposed else by
    for t in range(1, 4):
        wanted = xs[t] + bf16.product(found[t - 1], factor)
        off = abs(found[t] - wanted)
        assert (off <= bf16.sum_bound(found[t - 1], factor) + 2.0**-23 * abs(wanted)).all()
        assert off.max() < abs(xs[t] + exact(found[t - 1], factor) - found[t]).max() / 10


def test_without_it_there_is_an_error_that_says_what_is_needed(monkeypatch):
    x, y = tensor.fmatrices("x", "y")
    monkeypatch.setattr(c_code, "_compiles", lambda *_, **__: False)
    c_code.has_bf16.cache_clear()
    try:
        with pytest.raises(RNNError, match=r"AVX512-BF16.*: use precision float32"):
            compile_function([x, y], tensor.dot(x, y), precision="bf16")
    finally:
        c_code.has_bf16.cache_clear()


@needs_bf16
def test_where_functions_run_in_python_there_is_an_error(monkeypatch):
    x, y = tensor.fmatrices("x", "y")
    monkeypatch.setattr(theano.compile.mode, "instantiated_default_mode", IN_PYTHON)
    with pytest.raises(RNNError, match="remove linker=py"):
        compile_function([x, y], tensor.dot(x, y), precision="bf16")


def test_python_does_not_pass_float32_for_bf16():
    with pytest.raises(NotImplementedError, match="bf16"):
        skinny_gemm.SkinnyDot22(in_bf16=True).perform(None, [np.eye(2), np.eye(2)], [[None]])


THREADED = """
import numpy as np
from theano_rnn.engine import blas, compile_function, tensor, use_threads
rng = np.random.default_rng(0)
x, y = tensor.fmatrices("x", "y")
product = compile_function([x, y], tensor.dot(x, y), precision="bf16")
for m, n, k in ((700, 90, 400), (90, 701, 400), (1000, 333, 41)):
    a, b = (rng.normal(size=s).astype("float32") for s in ((m, k), (k, n)))
    of_one = product(a, b)
    use_threads(2)
    assert (product(a, b) == of_one).all()
    assert (product(b.T, a.T) == of_one.T).all()
    use_threads(1)
"""


@needs_bf16
@pytest.mark.parametrize("threads", first(1, ["", "2"]))
def test_in_threads_it_has_the_same_bits(threads):
    run_python(THREADED, OPENBLAS_NUM_THREADS=threads)
