"""Our softmax cross-entropy against NumPy in extended precision, and against Theano's own."""

import functools

import numpy as np
import pytest
from conftest import first, some
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreters import run_python

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.ops.softmax import SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient

DTYPES = ("float32", "float64")
RELATIVE = {"float32": 2e-6, "float64": 1e-14}
THEANOS = {
    tensor.nnet.nnet.CrossentropySoftmaxArgmax1HotWithBias,
    tensor.nnet.nnet.CrossentropySoftmax1HotWithBiasDx,
}
OURS = {SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient}
#: FAST_RUN's graph, executed by the Ops' Python instead of their C: nothing to compile.
IN_PYTHON = theano.Mode("py", "fast_run")
# How rows of logits can lie in memory: a matrix of these values, never a plain copy but for the
# first.
LAYOUTS = {
    "dense": lambda z: z.copy(),
    "transposed": lambda z: z.T.copy().T,
    "every other column": lambda z: np.repeat(z, 2, axis=1)[:, ::2],
    "every other row": lambda z: np.repeat(z, 2, axis=0)[::2],
    "columns backwards": lambda z: z[:, ::-1].copy()[:, ::-1],
    "rows backwards": lambda z: z[::-1].copy()[::-1],
    "part of wider rows": lambda z: np.pad(z, ((0, 0), (3, 2)))[:, 3:-2],
}


def oracle(z, y, weight=1.0):
    """loss and gradient, in the longest floating point numbers there are."""
    z = z.astype(np.longdouble)
    shifted = z - z.max(axis=1, keepdims=True, initial=-np.inf)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    difference = e / total
    rows = np.arange(len(z))
    difference[rows, y] -= 1
    loss = np.log(total[:, 0]) - shifted[rows, y]
    return loss, np.reshape(weight, (-1, 1)) * difference


def close(actual, wanted, dtype):
    """Relative, and to a few units of 1.0: the subtraction of the one-hot vector cancels."""
    assert actual.dtype == dtype
    atol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, wanted, rtol=RELATIVE[str(actual.dtype)], atol=atol)


@functools.cache
def compiled(kind, dtype, mode=None):
    """f(z, y) -> loss, or f(z, y, weight) -> loss, gradient; "inplace" may overwrite z."""
    z, y = tensor.matrix("z", dtype), tensor.lvector("y")
    weight = tensor.vector("weight", dtype)
    if kind == "loss":
        return theano.function([z, y], SoftmaxCrossEntropy()(z, y), mode=mode)
    first = theano.In(z, mutable=True) if kind == "inplace" else z
    outputs = SoftmaxCrossEntropyGradient()(z, y, weight)
    f = theano.function([first, y, weight], outputs, mode=mode)
    (op,) = ops(f)
    assert op.inplace == (kind == "inplace")
    return f


def ops(f):
    return [node.op for node in f.maker.fgraph.toposort()]


def kinds(f):
    return {type(op) for op in ops(f)}


def every_way(dtype):
    """The Ops in C, then in Python, behind one signature: f(z, y, weight)."""
    return [
        f if kind != "loss" else lambda z, y, weight, f=f: [f(z, y)]
        for mode in (None, IN_PYTHON)
        for kind in ("loss", "gradient", "inplace")
        for f in [compiled(kind, dtype, mode)]
    ]


@st.composite
def problems(draw):
    """z, y, weight, and the layout z is to have."""
    N, V = draw(st.integers(0, 5)), draw(st.sampled_from([1, 2, 3, 7, 8, 31, 64, 513, 1100]))
    dtype = draw(st.sampled_from(DTYPES))
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    z = rng.uniform(-8, 8, (N, V)).astype(dtype)
    y = rng.integers(V, size=2 * N)[::2]
    weight = rng.normal(size=draw(st.sampled_from([1, N]))).astype(dtype)
    return z, y, weight, layout


@settings(max_examples=some(150), deadline=None)
@given(problems())
def test_loss_and_gradient_are_numpys_in_every_layout(problem):
    z, y, weight, layout = problem
    wanted = oracle(z, y, weight)
    for f in every_way(z.dtype.name):
        for actual, expected in zip(f(layout(z), y, weight), wanted):
            close(actual, expected, z.dtype)


@pytest.mark.parametrize("mode", [None, IN_PYTHON], ids=["C", "Python"])
def test_only_the_op_that_works_in_place_writes_to_its_input(mode):
    values = np.random.default_rng(2).normal(size=(3, 40))
    y, weight = np.array([0, 39, 5]), np.array([1.0, -2.0, 0.5])
    z = values.copy()
    compiled("loss", "float64", mode)(z, y)
    _, gradient = compiled("gradient", "float64", mode)(z, y, weight)
    np.testing.assert_array_equal(z, values)
    compiled("inplace", "float64", mode)(z, y, weight)
    np.testing.assert_array_equal(z, gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_accurate_down_to_the_smallest_normal_numbers(dtype):
    lowest = -86.0 if dtype == "float32" else -700.0
    z = np.linspace(lowest, 0, 20000).astype(dtype)[None]
    _, gradient = compiled("gradient", dtype)(z, [z.size - 1], np.ones(1, dtype))
    probabilities = gradient[0, :-1]
    # Where the product with 1 / sum is no normal number there are fewer digits to compare.
    normal = probabilities >= np.finfo(dtype).tiny
    assert normal.mean() > 0.9
    wanted = oracle(z, [z.size - 1])[1][0, :-1]
    np.testing.assert_allclose(probabilities[normal], wanted[normal], rtol=RELATIVE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_logits_neither_overflow_nor_lose_the_loss(dtype):
    z = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [1e4, 1e4, -1e4]], dtype)
    loss, gradient = compiled("gradient", dtype)(z, [0, 1, 2], np.ones(3, dtype))
    close(loss, [0, 20000, 20000 + np.log(2)], dtype)
    np.testing.assert_array_equal(gradient, [[0, 0, 0], [1, -1, 0], [0.5, 0.5, -1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_logit_of_minus_infinity_has_probability_zero(dtype):
    z = np.array([[-np.inf, 1, -np.inf, 2], [-np.inf, 1, -np.inf, 2]], dtype)
    loss, gradient = compiled("gradient", dtype)(z, [1, 2], np.ones(2, dtype))
    assert loss[1] == np.inf
    p = 1 / (1 + np.exp(1.0))
    close(loss[:1], [-np.log(p)], dtype)
    close(gradient, [[0, p - 1, 0, 1 - p], [0, p, -1, 1 - p]], dtype)
    assert not gradient[0, [0, 2]].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("V", [1, 5, 16, 600])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_and_infinity_make_nan_of_their_row_and_of_no_other(dtype, broken, V):
    for column in {0, V // 2, V - 1}:
        z = np.zeros((3, V), dtype)
        z[1, column] = broken
        for f in every_way(dtype):
            for result in f(z.copy(), np.zeros(3, "int64"), np.ones(3, dtype)):
                assert np.isnan(result[1]).all() and np.isfinite(result[[0, 2]]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_of_nothing_but_minus_infinity_is_nan(dtype):
    z = np.full((1, 20), -np.inf, dtype)
    loss, gradient = compiled("gradient", dtype)(z, [3], np.ones(1, dtype))
    assert np.isnan(loss).all() and np.isnan(gradient).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [-1, 4, 2**62, -(2**63)])
def test_a_target_out_of_bounds_raises_and_leaves_the_logits(dtype, target):
    z = np.arange(12, dtype=dtype).reshape(3, 4)
    for f in every_way(dtype):
        with pytest.raises(ValueError, match="out of bounds"):
            f(z, [0, 1, target], np.ones(3, dtype))
        np.testing.assert_array_equal(z, np.arange(12).reshape(3, 4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_lengths_that_differ_raise(dtype):
    z, three = np.zeros((3, 4), dtype), np.zeros(3, "int64")
    for f in every_way(dtype):
        with pytest.raises(ValueError, match="2 targets for 3 rows"):
            f(z, [0, 1], np.ones(3, dtype))
    for mode, message in [(None, "2 weights for 3 rows"), (IN_PYTHON, "broadcast")]:
        with pytest.raises(ValueError, match=message):
            compiled("inplace", dtype, mode)(z, three, np.ones(2, dtype))
    assert not z.any()


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="logits must be"):
        SoftmaxCrossEntropy()(tensor.vector(), tensor.lvector())
    with pytest.raises(TypeError, match="y must be"):
        SoftmaxCrossEntropy()(tensor.matrix(), tensor.vector())
    with pytest.raises(TypeError, match="weight must be"):
        SoftmaxCrossEntropyGradient()(tensor.matrix(), tensor.lvector(), tensor.matrix())


def test_the_gradient_is_that_of_the_loss_by_finite_differences():
    y = np.array([2, 0, 4])
    z = np.random.RandomState(0).normal(size=(3, 5))
    theano.gradient.verify_grad(
        lambda z: SoftmaxCrossEntropy()(z, y), [z], rng=np.random.RandomState(1), abs_tol=1e-7
    )


# The user's graph: categorical_crossentropy(softmax(z), y) and theano.grad of it.


def cross_entropy(z, y):
    return tensor.nnet.categorical_crossentropy(tensor.nnet.softmax(z), y)


#: E from z, y, a weight for each row, a bias for each column
LOSSES = {
    "sum": lambda z, y, w, b: cross_entropy(z, y).sum(),
    "mean": lambda z, y, w, b: cross_entropy(z, y).mean(),
    "weighted mean": lambda z, y, w, b: (w * cross_entropy(z, y)).sum() / w.sum(),
    "with a bias": lambda z, y, w, b: cross_entropy(z + b, y).sum(),
    "of int32 targets": lambda z, y, w, b: cross_entropy(z, tensor.cast(y, "int32")).sum(),
    "perplexity": lambda z, y, w, b: tensor.exp(cross_entropy(z, y).mean()),
    "indexed": lambda z, y, w, b: (
        -tensor.log(tensor.nnet.softmax(z)[tensor.arange(y.shape[0]), y]).sum()
    ),
}


def user_function(name, mode):
    """f(z, y, w, b) -> E and its gradients with respect to z and b, in float64."""
    z, y = tensor.dmatrix("z"), tensor.lvector("y")
    w, b = tensor.dvector("w"), tensor.dvector("b")
    E = LOSSES[name](z, y, w, b)
    d = theano.grad(E, [z, b], disconnected_inputs="ignore")
    return theano.function([z, y, w, b], [E] + d, mode=mode, on_unused_input="ignore")


@pytest.mark.parametrize("name", first(3, sorted(LOSSES)))
def test_theanos_pair_and_ours_agree(name):
    # Theano's pair and ours in Python, so that only ours in C is compiled: two ways in one test.
    off = IN_PYTHON.excluding("softmax_cross_entropy")
    in_c, in_python, theanos = (user_function(name, mode) for mode in (None, IN_PYTHON, off))
    for f in (in_c, in_python):
        assert SoftmaxCrossEntropyGradient in kinds(f)
        assert not kinds(f) & THEANOS
    # Only where the weights come from the loss is it computed before them.
    assert (SoftmaxCrossEntropy in kinds(in_c)) == (name == "perplexity")
    assert kinds(theanos) & THEANOS == THEANOS
    assert not kinds(theanos) & OURS
    rng = np.random.default_rng(3)
    values = rng.normal(size=(6, 11)), rng.integers(11, size=6), rng.random(6), rng.normal(size=11)
    for f in (in_c, in_python):
        for actual, wanted in zip(f(*values), theanos(*values)):
            np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-14)


def training_graph(mode, outputs):
    """f(s, y) -> what is named of E, ds, dV and the logits, for logits = s V'."""
    s, y = tensor.fmatrix("s"), tensor.lvector("y")
    V = theano.shared(np.random.RandomState(5).normal(size=(9, 4)).astype("float32"), "V")
    logits = tensor.dot(s, V.T)
    E = cross_entropy(logits, y).mean()
    ds, dV = theano.grad(E, [s, V])
    named = {"E": E, "ds": ds, "dV": dV, "logits": logits}
    return theano.function([s, y], [named[name] for name in outputs], mode=mode), V.get_value()


def test_a_training_step_makes_one_pass_over_the_logits():
    f, _ = training_graph(None, ["E", "ds", "dV"])
    matrices = [
        node.op
        for node in f.maker.fgraph.toposort()
        for output in node.outputs
        if output.ndim == 2
    ]
    names = [type(op).__name__ for op in matrices]
    ours = "SoftmaxCrossEntropyGradient"
    assert sorted(names) == ["DimShuffle"] * 2 + ["SkinnyDot22"] * 3 + [ours]
    assert matrices[names.index(ours)].inplace


def test_logits_that_are_returned_are_not_overwritten():
    f, V = training_graph(None, ["E", "dV", "logits"])
    assert [op.inplace for op in ops(f) if isinstance(op, SoftmaxCrossEntropyGradient)] == [False]
    s = np.random.RandomState(6).normal(size=(5, 4)).astype("float32")
    y = np.array([8, 0, 3, 3, 1])
    E, dV, logits = f(s, y)
    np.testing.assert_allclose(logits, s @ V.T, rtol=1e-5, atol=1e-6)
    loss, gradient = oracle(s @ V.T, y, 1 / 5)
    np.testing.assert_allclose(E, loss.mean(), rtol=1e-6)
    np.testing.assert_allclose(dV, gradient.T @ s, rtol=1e-4, atol=1e-6)


def test_without_the_inplace_rewrite_nothing_is_overwritten():
    mode = IN_PYTHON.excluding("softmax_cross_entropy_inplace")
    f, _ = training_graph(mode, ["E", "ds"])
    assert [op.inplace for op in ops(f) if isinstance(op, SoftmaxCrossEntropyGradient)] == [False]


def test_without_the_merge_the_loss_has_an_op_of_its_own():
    mode = IN_PYTHON.excluding("softmax_cross_entropy_merge")
    f, _ = training_graph(mode, ["E", "ds"])
    assert OURS <= kinds(f)


def test_a_loss_alone_writes_no_gradient():
    f, _ = training_graph(IN_PYTHON, ["E"])
    assert SoftmaxCrossEntropy in kinds(f)
    assert not kinds(f) & ({SoftmaxCrossEntropyGradient} | THEANOS)


def test_a_softmax_that_is_needed_anyway_stays_theanos():
    z, y = tensor.fmatrix("z"), tensor.lvector("y")
    o = tensor.nnet.softmax(z)
    E = tensor.nnet.categorical_crossentropy(o, y).sum()
    f = theano.function([z, y], [o, theano.grad(E, z)], mode=IN_PYTHON)
    assert not kinds(f) & OURS


#: Prints the loss of many rows and a checksum of its gradient.
THREADED = """
import zlib
import numpy as np
from theano_rnn.engine import compile_function, tensor, theano
z, y = tensor.fmatrix(), tensor.lvector()
E = tensor.nnet.categorical_crossentropy(tensor.nnet.softmax(z), y).sum()
f = compile_function([z, y], [E, theano.grad(E, z)])
rng = np.random.default_rng(0)
loss, gradient = f(rng.normal(size=(201, 5000)).astype("float32"), rng.integers(5000, size=201))
print(float(loss), zlib.crc32(gradient.tobytes()))
"""


@pytest.mark.slow
def test_in_threads_it_is_the_same_to_the_last_bit():
    in_c = {"mode": "Mode", "linker": "cvm", "optimizer": "fast_run"}
    one, two, three = (
        run_python(THREADED, flags=in_c, OPENBLAS_NUM_THREADS=n) for n in ("1", "2", "3")
    )
    assert one == two == three
