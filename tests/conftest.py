"""What several test modules share: random nets, and the graph compiled once for all of them."""

import functools
import gc
import os
import shlex
from pathlib import Path

# The nets of the tests are small: a second thread of BLAS only waits, and where the machine is
# busy it waits long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A compiled function is some hundred thousand objects. With Python's own thresholds a fifth of the
# time went to looking for garbage among all that are alive.
gc.set_threshold(100_000, 5, 5)

#: The folder of the project.
ROOT = Path(__file__).resolve().parent.parent

#: True under ``make test-all``: all Theano functions are compiled to C, those of tests/engine and
#: of the cross-check with the flags that users have. In ``make test`` only those of tests/engine
#: and of tests marked ``in_c`` are; the others are the same graphs run by the Ops' Python, which
#: needs no compiler.
IN_C = os.environ.get("TESTS_IN_C") == "1"


#: Of more than 32 inputs, which a fused elementwise Op may have, there is no Python.
PYTHON_FLAGS = "linker=py,optimizer_excluding=elemwise_fusion"
#: The user's own; ours may be there already, in a process that tests or pytest -n have started.
GIVEN = os.environ.get("THEANO_FLAGS", "").replace(PYTHON_FLAGS, "").strip(",")


def theano_flags(in_c):
    """THEANO_FLAGS of the tests, and of the processes that they start.

    What tests compile is kept for the next time, apart from the user's own.
    """
    cache = f"base_compiledir={shlex.quote(str(ROOT / '.compiled'))}"
    flags = [GIVEN, "" if "compiledir=" in GIVEN else cache, "" if in_c else PYTHON_FLAGS]
    return ",".join(filter(None, flags))


os.environ["THEANO_FLAGS"] = theano_flags(IN_C)

import numpy as np
import pytest

from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.compiling import LEFT_OUT
from theano_rnn.model import graph
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.batch_inputs import batch_inputs
from theano_rnn.model.cells import CELLS
from theano_rnn.model.cuts import of_call
from theano_rnn.model.truncation import Truncation

SCHEMES = ("full", "window", "chunk", "last")
CUTTING = SCHEMES[1:]
#: And the one whose cuts are given.
ALL_SCHEMES = (*SCHEMES, "artbp")
# T = 6, K = 2: which step j (column) receives the error of which output t (row).
PICTURES = {
    "full": ("x.....", "xx....", "xxx...", "xxxx..", "xxxxx.", "xxxxxx", 21),
    "window:2": ("x.....", "xx....", "xxx...", ".xxx..", "..xxx.", "...xxx", 15),
    "chunk:2": ("x.....", "xx....", "..x...", "..xx..", "....x.", "....xx", 9),
    "last:2": ("......", "......", "......", "......", "....x.", "....xx", 3),
}


#: Compiled functions that are kept at a time: a test and the next ones use the same.
FEW = 8


def first(count, values, mark=pytest.mark.slow):
    """Parameters of a test: the first values, and the others left to ``make test-all``."""
    values = [v if isinstance(v, tuple) else (v,) for v in values]
    marks = [()] * count + [mark] * (len(values) - count)
    return [pytest.param(*value, marks=mark) for value, mark in zip(values, marks)]


def some(examples):
    """How many examples Hypothesis tries: a fifth of them, all in ``make test-all``."""
    return examples if IN_C else -(-examples // 5)


def net(seed, hidden_size=4, vocab_size=7, T=6, scale=1.0, dtype="float64"):
    """Parameters uniform in +-scale, and a random sentence with its targets."""
    rng = np.random.default_rng(seed)
    shapes = {
        "U": (hidden_size, vocab_size),
        "V": (vocab_size, hidden_size),
        "W": (hidden_size, hidden_size),
    }
    parameters = {
        name: rng.uniform(-scale, scale, shape).astype(dtype) for name, shape in shapes.items()
    }
    return parameters, rng.integers(vocab_size, size=T), rng.integers(vocab_size, size=T)


def named(scheme, K):
    """The name NumpyRNN knows a scheme by."""
    return scheme if scheme == "full" else f"{scheme}:{K}"


def cosine(a, b):
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


#: The graph that ``compile_function`` makes, run by the Ops' Python; lowered loops have only C.
IN_PYTHON = theano.Mode("py", "fast_run").excluding("elemwise_fusion", *LEFT_OUT)
COMPILED = theano.Mode("cvm" if theano.config.cxx else "vm", "fast_run")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Compile a test's functions to C where it is one of the engine, or marked ``in_c``.

    Not for those of engine/loop: lowered loops have only C, whatever the mode.
    """
    engine = ROOT / "tests" / "engine"
    is_engines = engine in item.path.parents and engine / "loop" not in item.path.parents
    with pytest.MonkeyPatch.context() as patch:
        if is_engines or item.get_closest_marker("in_c"):
            patch.setattr(theano.compile.mode, "instantiated_default_mode", COMPILED)
            patch.setenv("THEANO_FLAGS", theano_flags(in_c=True))
            patch.setenv("TESTS_IN_C", "1")
        yield


def function_in_python(inputs, outputs, updates=(), name=None, precision="float32"):
    """``compile_function``, all but the loops run by the Ops' Python instead of their C.

    It takes two seconds, where a graph whose arithmetic on shapes is not in the compile cache yet
    takes 10 to 40.
    """
    assert precision == "float32"
    return theano.function(inputs, outputs, updates=updates, mode=IN_PYTHON, name=name)


@pytest.fixture
def random():
    """A generator that begins anew: what a test draws depends on no test before it."""
    return np.random.default_rng(1)


@pytest.fixture
def uncompiled(monkeypatch):
    """Theano's default mode is FAST_COMPILE: nothing is compiled, not even the step of a scan.

    ``config.change_flags(mode=...)`` is no way to do it. Theano remembers the first default mode
    it makes: later changes of the flag do nothing, and a first one outlives its ``with`` block,
    so that all functions which the process makes afterwards are built in the wrong mode.
    """
    mode = theano.compile.mode
    monkeypatch.setattr(mode, "instantiated_default_mode", mode.predefined_modes["FAST_COMPILE"])


@functools.lru_cache(maxsize=FEW)
def compiled(scheme, dtype="float64", in_python=False, **kind):
    """f(parameters, x, y, K) -> o, E, gradients: every net and every K from one compilation.

    Under artbp it takes cuts too, booleans of the shape of x, and alpha.

    The graph of the model, but with parameters and K as inputs. ``kind`` is that of
    ``kinds.KINDS``; x and y are one sequence or a batch, with ``is_masked`` one with a mask, the
    fifth argument. ``in_python`` is for ``function_in_python``.
    """
    is_masked = kind.pop("is_masked", False)
    size = int(kind.pop("embedding", False)) + int(kind.pop("projection", False))
    architecture = Architecture(1, 1, **kind, embedding_size=size or None)
    K = tensor.lscalar("K")
    parameters = {
        name: tensor.TensorType(dtype, [False] * len(shape))(name)
        for name, shape in architecture.shapes.items()
    }
    x, y, state = tensor.lmatrix("x"), tensor.lvector("y"), tensor.matrix("state", dtype)
    masks = [tensor.matrix("mask", "bool"), tensor.lvector("position")] if is_masked else []
    factors = tensor.matrix("factors", dtype) if scheme == "artbp" else None
    inputs = graph.Inputs(x, y, state, *masks, factors=factors)
    truncation = Truncation(scheme, None if scheme == "full" else K)
    with theano.config.change_flags(floatX=dtype):
        net = graph.network(architecture, truncation, parameters, inputs)
        gradients = theano.grad(net.loss, list(parameters.values()))
    outputs = [tensor.nnet.softmax(net.logits), net.loss, *gradients]
    cut = {"full": [], "artbp": [factors]}.get(scheme, [K])
    compile_it = function_in_python if in_python else compile_function
    function = compile_it([x, y, *masks, state, *parameters.values(), *cut], outputs)

    def run(parameters, x, y, K=None, mask=None, cuts=None, alpha=None):
        vocab_size = parameters[architecture.table].shape[1]
        batch = batch_inputs(x, y, mask, vocab_size, align_right=scheme == "last")
        H = len(parameters["U"]) // CELLS[architecture.cell].G
        state = np.zeros((batch.rows, H * architecture.state_size), dtype)
        stored = {**parameters, architecture.table: parameters[architecture.table].T}
        values = [np.ascontiguousarray(stored[name]) for name in architecture.shapes]
        given = {"full": lambda: [], "artbp": lambda: of_call(
            Truncation(scheme, K, alpha), cuts, np.shape(x), None, dtype)}  # fmt: skip
        arrays = [*batch.arrays(), state, *values, *given.get(scheme, lambda: [K])()]
        o, loss, *gradients = function(*arrays)
        named = dict(zip(architecture.shapes, gradients))
        named[architecture.table] = named[architecture.table].T
        return o, float(loss), named

    return run


@pytest.fixture
def caller(monkeypatch, capsys):
    """A command, called in this process: its exit code, its output and its errors."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(main, *arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call
