"""Skinny GEMM equals NumPy's and BLAS's products, whatever the sizes and layouts."""

import functools

import numpy as np
import pytest
from conftest import first, some
from hypothesis import example, given, settings
from hypothesis import strategies as st
from interpreters import run_python
from theano.compile.mode import get_default_mode

from theano_rnn import RNN
from theano_rnn.engine import compiling, rewrites, tensor, theano
from theano_rnn.engine.ops import skinny_gemm

DTYPES = ("float32", "float64")
#: Around what the C++ tells apart: one vector, its blocks of rows, FEW, a block of terms, MANY.
FEW = (1, 2, 3, 6, 7, 20, 32, 33)
SOME = (1, 2, 3, 4, 7, 8, 15, 16, 17, 63, 65, 100, 113)
MANY = (255, 256, 257, 300)


@functools.cache
def function(name, dtype="float64", is_on=True):
    x, y, alpha = tensor.matrix("x", dtype), tensor.matrix("y", dtype), tensor.scalar("a", dtype)
    mode = get_default_mode() if is_on else get_default_mode().excluding("skinny_gemm")
    if name == "product":
        return theano.function([x, y], tensor.dot(x, y), mode=mode)
    z, beta = tensor.matrix("z", dtype), tensor.scalar("b", dtype)
    taken = theano.In(z, mutable=True)
    if name == "scaled sum":
        total = beta * z + alpha * tensor.dot(x, y)
        return theano.function([taken, alpha, x, y, beta], total, mode=mode)
    return theano.function([taken, alpha, x, y], z + alpha * tensor.dot(x, y), mode=mode)


def has(made, op):
    return any(isinstance(node.op, op) for node in made.maker.fgraph.apply_nodes)


@pytest.mark.parametrize(
    "name, op",
    [
        ("product", skinny_gemm.SkinnyDot22),
        ("sum", skinny_gemm.SkinnyGemm),
        ("scaled sum", skinny_gemm.SkinnyGemm),
    ],
)
def test_each_stands_in_the_place_of_theanos_and_is_switched_off_by_its_name(name, op):
    assert has(function(name), op)
    assert not has(function(name, is_on=False), op)


def laid_out(rng, rows, columns, layout, dtype):
    """Numbers in a matrix by rows, by columns, with steps, or turned round."""
    a = rng.normal(size=(2 * rows, 3 * columns)).astype(dtype)
    part = a[:rows, :columns]
    if layout == "rows":
        return part.copy()
    if layout == "columns":
        return part.copy("F")
    if layout == "wide rows":
        return part
    return a[::2, ::3][::-1, ::-1]


LAYOUTS = ("rows", "columns", "wide rows", "turned")
SIZES = st.tuples(
    *[st.sampled_from(FEW + SOME + MANY) | st.sampled_from(few) for few in (FEW, SOME, MANY)]
).flatmap(st.permutations)
CASES = given(SIZES, st.tuples(*[st.sampled_from(LAYOUTS)] * 3), st.integers(0, 2**32))


def agrees(found, wanted, scale, dtype):
    """To some roundings of the sum of the terms' sizes."""
    return bool((abs(found - wanted) <= 8 * np.finfo(dtype).eps * (scale + 1)).all())


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=some(150), deadline=None)
@example([20, 300, 100], ("rows", "columns", "rows"), 0)  # x V', as the logits are
@example([20, 100, 300], ("rows", "rows", "rows"), 0)  # dz V, as the error of the states is
@CASES
def test_a_product_is_that_of_numpy_whatever_its_sizes_and_layouts(dtype, sizes, layouts, seed):
    (m, n, k), rng = sizes, np.random.default_rng(seed)
    x, y = laid_out(rng, m, k, layouts[0], dtype), laid_out(rng, k, n, layouts[1], dtype)
    exact = x.astype("float64") @ y.astype("float64")
    found = function("product", dtype)(x, y)
    assert found.shape == (m, n) and found.dtype == dtype
    assert agrees(found, exact, abs(x) @ abs(y), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=some(150), deadline=None)
@example([300, 100, 20], ("columns", "rows", "rows"), 0)  # V - rate dz' s, as the update is
@CASES
def test_a_product_is_added_in_place_whatever_its_sizes_and_layouts(dtype, sizes, layouts, seed):
    beta = np.asarray([1, 1, 0.9, -2, 0][seed % 5], dtype)
    (m, n, k), rng = sizes, np.random.default_rng(seed)
    x, y = laid_out(rng, m, k, layouts[0], dtype), laid_out(rng, k, n, layouts[1], dtype)
    z, alpha = laid_out(rng, m, n, layouts[2], dtype), np.asarray(-0.3, dtype)
    base = z if z.base is None else z.base
    before, around = z.astype("float64"), base.copy()
    exact = float(beta) * before + float(alpha) * (x.astype("float64") @ y.astype("float64"))
    if seed % 5:
        found = function("scaled sum", dtype)(z, alpha, x, y, beta)
    else:
        found = function("sum", dtype)(z, alpha, x, y)
    assert found is z or np.shares_memory(found, z)
    assert agrees(z, exact, 2 * abs(before) + abs(x) @ abs(y), dtype)
    z[:] = before  # and nothing around it has changed
    assert (base == around).all()


@pytest.mark.parametrize("name", ["product", "sum"])
@pytest.mark.parametrize("m, k, n", [(0, 3, 300), (300, 0, 20), (300, 20, 0), (20, 300, 0)])
def test_nothing_is_multiplied(name, m, k, n):
    x, y = np.ones((m, k)), np.ones((k, n))
    made = function(name)(x, y) if name == "product" else function(name)(np.ones((m, n)), 2, x, y)
    assert made.shape == (m, n) and (made == (name == "sum")).all()


@pytest.mark.parametrize("m, n", [(300, 20), (20, 300), (3, 3)])
def test_where_nothing_is_multiplied_the_sum_is_scaled(m, n):
    """Of y without rows that is cut out of a matrix, so that its strides are those of one."""
    f = function("scaled sum")
    assert (f(np.ones((m, n)), 1, np.zeros((m, 0)), np.zeros((5, n))[5:], 0.5) == 0.5).all()
    of_zero = f(np.full((m, n), np.nan), 1, np.zeros((m, 0)), np.zeros((5, n))[5:], 0)
    assert (of_zero == 0).all()


@pytest.mark.parametrize("m, k, n", [(20, 100, 300), (20, 300, 100), (300, 20, 100)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_comes_out_where_it_belongs(m, k, n, bad):
    x, y = np.ones((m, k)), np.ones((k, n), order="F" if n == 300 else "C")
    x[1, 2] = bad
    found = function("product")(x, y)
    assert not np.isfinite(found[1]).any()
    assert (np.delete(found, 1, axis=0) == k).all()


def test_sizes_that_do_not_fit_are_an_error_and_nothing_is_changed():
    with pytest.raises(ValueError, match=r"\(20, 100\) and \(99, 300\): the inner sizes differ"):
        function("product")(np.ones((20, 100)), np.ones((99, 300)))
    z = np.ones((300, 99))
    with pytest.raises(ValueError, match=r"\(300, 100\) cannot be added to \(300, 99\)"):
        function("sum")(z, 1, np.ones((300, 20)), np.ones((20, 100)))
    with pytest.raises(ValueError, match="inner sizes differ"):
        function("sum")(z, 1, np.ones((300, 20)), np.ones((21, 99)))
    assert (z == 1).all()


@pytest.mark.slow
def test_a_step_on_a_sentence_takes_three_and_is_that_of_blas(monkeypatch):
    x, y = np.random.default_rng(0).integers(300, size=(2, 20))
    made = []
    for left_out in ((), ("skinny_gemm",)):
        monkeypatch.setattr(compiling, "LEFT_OUT", (*rewrites.LEFT_OUT, *left_out))
        model = RNN(300, 20, dtype="float64", seed=0)
        losses = [model.sgd_step(x, y, 0.1) for _ in range(3)]
        (step,) = model._compiled["sgd"]._functions.values()
        ops = [type(node.op) for node in step.maker.fgraph.apply_nodes]
        assert (ops.count(skinny_gemm.SkinnyDot22), ops.count(skinny_gemm.SkinnyGemm)) == (
            (0, 0) if left_out else (3, 1)
        )
        made.append((losses, model.parameters()))
    (losses, ours), (losses_of_blas, of_blas) = made
    assert losses == pytest.approx(losses_of_blas, rel=1e-12)
    for name in ours:
        assert abs(ours[name] - of_blas[name]).max() < 1e-12


THREADED = """
import os, signal
import numpy as np
from theano_rnn.engine import BLAS, blas, compile_function, tensor, theano
before = blas.threads(BLAS)
begun = set(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else set()
rng = np.random.default_rng(0)
s, V, dz = rng.normal(size=(20, 100)), rng.normal(size=(2011, 100)), rng.normal(size=(20, 2011))
a, b, z = tensor.dmatrix(), tensor.dmatrix(), tensor.dmatrix()
product = compile_function([a, b], tensor.dot(a, b))
added = theano.function([theano.In(z, mutable=True), a, b], z - 0.125 * tensor.dot(a, b))
for x, y in ((s, V.T), (dz, V)):
    assert abs(product(x, y) - x @ y).max() < 1e-12 * abs(x @ y).max()
    assert (product(x, y) == product(x, y)).all()
# None is skinny: BLAS computes a part for each thread, of rows or of columns. Where the threads
# are many, some have none.
for m, n, k in ((203, 131, 257), (131, 203, 257), (33, 65, 5001), (2, 7, 300_000)):
    for x in (rng.normal(size=(m, k)), rng.normal(size=(k, m)).T):
        for y in (rng.normal(size=(k, n)), rng.normal(size=(n, k)).T):
            exact = x @ y
            assert abs(product(x, y) - exact).max() < 1e-12 * k
            assert abs(added(exact.copy(), x, y) - 0.875 * exact).max() < 1e-12 * k
assert blas.threads(BLAS) == before
if os.path.exists("/proc/self/task") and before > 1 and len(os.sched_getaffinity(0)) > 1:
    def ticks():  # of the processor, by thread
        read = {t: open(f"/proc/self/task/{t}/stat").read() for t in os.listdir("/proc/self/task")}
        return {t: int(line.split(")")[1].split()[11]) for t, line in read.items()}
    x = rng.normal(size=(512, 512))
    first, me = ticks(), str(os.getpid())
    while ticks()[me] - first[me] < 30:
        product(x, x)
    used = {t for t, n in ticks().items() if t != me and n - first.get(t, 0) > 5}
    assert used and not used & begun, (used, begun)  # threads of OpenMP compute, and none of BLAS
wanted = V - 0.125 * dz.T @ s
child = os.fork()  # which has none of the threads of its parent
if child == 0:
    signal.alarm(60)
    found = added(V.copy(), dz.T, s)  # of a module that the parent has not used yet
    os._exit(not np.allclose(product(dz, V), dz @ V) or not np.allclose(found, wanted))
assert os.waitpid(child, 0)[1] == 0
assert abs(added(V, dz.T, s) - wanted).max() < 1e-12 * abs(wanted).max()
"""


@pytest.mark.parametrize("threads", first(0, ["2", "3", "", "many"]))
def test_in_threads_it_is_the_same_product(threads):
    run_python(THREADED, OPENBLAS_NUM_THREADS=threads)
