"""Native loops compute what the Scans compute: on = off, whatever the step and the arrays."""

import functools
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ALL_SCHEMES, FEW, first, named, some
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreters import environment, run_python
from kinds import GATES
from loops import function, loops, variable
from theano.link.c.basic import CLinker

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.c_code import openmp_flags
from theano_rnn.engine.loop.op import NativeLoop
from theano_rnn.model import dropout, graph
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.truncation import parse

sigmoid, dot, tanh = tensor.nnet.sigmoid, tensor.dot, tensor.tanh
constant = theano.gradient.disconnected_grad


# ---- steps of many kinds


def lstm(x, s, c, W):
    H = s.shape[1]
    z = dot(s, W) + tensor.concatenate([x, x, x, x], axis=1)
    i, f, o, g = (z[:, k * H : (k + 1) * H] for k in range(4))
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru(x, s, W):
    H = s.shape[1]
    z = sigmoid(x + dot(s, W[:, :H]))
    r = sigmoid(x - dot(s, W[:, H : 2 * H]))
    return z * s + (1 - z) * tanh(x + dot(r * s, W[:, 2 * H : 3 * H]))


def scan(step, sequences, first, fixed=(), **more):
    first = first if isinstance(first, list) else [first]
    return theano.scan(step, sequences, first, list(fixed), return_list=True, **more)[0]


def joined(x, s, W):
    return tanh(dot(tensor.concatenate([s[:, 1:], s[:, :1]], axis=1), W) + x)


def repeated(x, s, W):
    return tanh(dot(tensor.alloc(x, s.shape[0], s.shape[1]), W) + s)


def stacked(x, s, W):
    both = tensor.concatenate([s, x], axis=0)
    return tanh(dot(both, W))[: s.shape[0]] + dot(both, W)[s.shape[0] :]


#: name -> (dimensions of sequence, first state and fixed matrix, the outputs made of them)
PROGRAMS = {
    "tanh": ("TBH BH HH", lambda x, s, W: scan(lambda x, s, W: tanh(x + dot(s, W)), x, s, [W])),
    "relu": (
        "TBH BH HH",
        lambda x, s, W: scan(lambda x, s, W: tensor.nnet.relu(x + dot(s, W)), x, s, [W]),
    ),
    "gru": ("TBH BH HG", lambda x, s, W: scan(gru, x, s, [W])),
    "lstm": ("TBH BH HG", lambda x, s, W: scan(lstm, x, [s, 0.5 * s], [W])),
    "a vector": ("TH H HH", lambda x, s, W: scan(lambda x, s, W: tanh(x + dot(s, W)), x, s, [W])),
    "a scalar": ("T - -", lambda x, s, w: scan(lambda x, s, w: tanh(x + w * s), x, s, [w])),
    "W turned": (
        "TBH BH HH",
        lambda x, s, W: scan(lambda x, s, W: tanh(x - dot(s, W.T)), x, s, [W]),
    ),
    "x read backwards": (
        "TBH BH HH",
        lambda x, s, W: scan(lambda x, s, W: tanh(dot(x * s, W)), x, s, [W], go_backwards=True),
    ),
    "products of x": (
        "TBH BH HG",
        lambda x, s, W: scan(
            lambda x, s, W: tanh(dot(tanh(x), W)[:, : s.shape[1]] * s + x), x, s, [W]
        ),
    ),
    "the last state": (
        "TBH BH HH",
        lambda x, s, W: [scan(lambda x, s, W: tanh(x + dot(s, W)), x, s, [W])[0][-1]],
    ),
    "the two last states": (
        "TBH BH HH",
        lambda x, s, W: [scan(lambda x, s, W: tanh(x + dot(s, W)), x, s, [W])[0][-2:]],
    ),
    "two steps back": (
        "TBH ABH HH",
        lambda x, s, W: scan(
            lambda x, s2, s1, W: tanh(x + dot(s1, W) - 0.5 * s2),
            x,
            [{"initial": s, "taps": [-2, -1]}],
            [W],
        ),
    ),
    "no state": (
        "TBH BH HH",
        lambda x, s, W: scan(lambda x, s, W: dot(x + s, W), x, [None], [s, W]),
    ),
    "an output beside the state": (
        "TBH BH HH",
        lambda x, s, W: scan(lambda x, s, W: [tanh(x + dot(s, W)), x * s], x, [s, None], [W]),
    ),
    "cut after two steps": (
        "TBH BH HH",
        lambda x, s, W: scan(lambda x, s, W: tanh(x + dot(s, W)), x, s, [W], truncate_gradient=2),
    ),
    "columns joined": ("TBH BH HH", lambda x, s, W: scan(joined, x, s, [W])),
    "rows joined": ("TBH BH HH", lambda x, s, W: scan(stacked, x, s, [W])),
    "a row repeated": (
        "TH BH HH",
        lambda x, s, W: scan(repeated, constant(x), s, [W]),
    ),
    "a row for all": (  # whose own gradient would be a sum, which the loop does not know
        "TBH BH 1H",
        lambda x, s, b: scan(lambda x, s, b: tanh(x * s + constant(b)), x, s, [b]),
    ),
}


#: Those of the default run; the others are compiled under the marker slow.
QUICK = {"tanh", "two steps back", "an output beside the state", "cut after two steps"}


@functools.lru_cache(maxsize=FEW)
def program(name, is_on, dtype="float64"):
    """f(x, s, W) -> outputs, and the gradients of the sum of their squares."""
    dims, outputs = PROGRAMS[name]
    inputs = [variable(d.replace("-", ""), n, dtype) for d, n in zip(dims.split(), "xsW")]
    with theano.config.change_flags(floatX=dtype):
        made = outputs(*inputs)
        loss = sum((v**2).sum() for v in made)
        gradients = theano.grad(loss, inputs, disconnected_inputs="ignore")
        return function(inputs, [*made, *gradients], is_on)


def arrays(name, lengths, rng, dtype="float64", change=np.array):
    """Arguments for a program, of these lengths, laid out in memory by ``change``."""
    dims, _ = PROGRAMS[name]
    for d in dims.split():
        shape = [lengths[letter] for letter in d.replace("-", "")]
        # Small, so that no net is chaotic: on and off may differ in the last bit.
        yield change(np.asarray(rng.uniform(-0.5, 0.5, shape), dtype))


def every_other(a):
    places = tuple(slice(None, None, 2) for _ in a.shape)
    wide = np.zeros([2 * n for n in a.shape], a.dtype)
    wide[places] = a
    return wide[(*places, ...)]


def backwards(a):
    return np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a


#: How an array can be laid out in memory.
LAYOUTS = {
    "dense": np.array,
    "turned": functools.partial(np.array, order="F"),
    "every other": every_other,
    "backwards": backwards,
}


def assert_agree(made, expected, tolerance=1e-12):
    assert len(made) == len(expected)
    for a, b in zip(made, expected):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def lengths_of(T, B, H):
    return {"T": T, "B": B, "H": H, "A": 2, "G": 4 * H, "1": 1}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in PROGRAMS]
)
@settings(deadline=None, max_examples=some(20))
@given(
    T=st.integers(2, 7) | st.integers(120, 140),  # beyond a block
    B=st.integers(1, 4),
    H=st.integers(1, 5),
    layout=st.sampled_from(sorted(LAYOUTS)),
    seed=st.integers(0, 2**32 - 1),
)
def test_on_equals_off(name, T, B, H, layout, seed):
    given = list(
        arrays(name, lengths_of(T, B, H), np.random.default_rng(seed), change=LAYOUTS[layout])
    )
    before = [a.copy() for a in given]
    assert_agree(program(name, True)(*given), program(name, False)(*given))
    for a, b in zip(given, before):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", first(1, ["tanh", "lstm", "a vector", "two steps back"]))
def test_one_step_and_none(name):
    given = list(arrays(name, lengths_of(1, 2, 3), np.random.default_rng(1)))
    assert_agree(program(name, True)(*given), program(name, False)(*given))
    # Theano's own scan has no iteration of no steps: "We didn't implemented yet the case".
    given = list(arrays(name, lengths_of(0, 2, 3), np.random.default_rng(1)))
    made = program(name, True)(*given)
    assert all(len(states) == 0 for states in made[:-3])
    assert_agree(made[-3:], [np.zeros_like(a) for a in given])


@pytest.mark.parametrize("name", first(1, ["tanh", "lstm"]))
def test_on_equals_off_in_float32(name):
    given = list(arrays(name, lengths_of(9, 3, 4), np.random.default_rng(1), "float32"))
    on, off = program(name, True, "float32"), program(name, False, "float32")
    assert_agree(on(*given), off(*given), 2e-5)


# ---- every recurrence of the package


@functools.lru_cache(maxsize=FEW)
def network(cell, scheme, is_masked, is_on, dropped=()):
    """f(x, y, [mask, position,] state, parameters, masks of dropout) -> E and its gradients."""
    architecture = Architecture(1, 1, cell)
    types = [tensor.TensorType("float64", [False] * len(n)) for n in architecture.shapes.values()]
    parameters = {name: type_(name) for name, type_ in zip(architecture.shapes, types)}
    x, y, state = tensor.lmatrix("x"), tensor.lvector("y"), tensor.dmatrix("state")
    masks = [tensor.matrix("mask", "bool"), tensor.lvector("position")] if is_masked else []
    with theano.config.change_flags(floatX="float64"):
        factors = [tensor.dmatrix("factors")] if scheme == "artbp" else []
        dropouts = dropout.symbols(dropped, "float64")
        inputs = graph.Inputs(
            x, y, state, *masks, masks=dropouts, factors=factors[0] if factors else None
        )
        net = graph.network(architecture, parse(named(scheme, 2)), parameters, inputs)
        gradients = theano.grad(net.loss, list(parameters.values()))
    given = [x, y, *masks, state, *parameters.values(), *factors, *dropouts.given()]
    return architecture, function(given, [net.loss, *gradients], is_on)


def results(cell, scheme, is_masked, is_on=True, dropped=()):
    """E and its gradients of three random nets and batches."""
    architecture, f = network(cell, scheme, is_masked, is_on, dropped)
    rng = np.random.default_rng(3)
    for T, B, H in [(1, 1, 1), (5, 3, 4), (2, 1, 3)]:
        mask = np.ones((T, B), bool)
        mask[T // 2 + 1 :, :1] = False
        y = rng.integers(6, size=mask.sum() if is_masked else T * B)
        masks = [mask, np.flatnonzero(mask)] if is_masked else []
        state = rng.uniform(-1, 1, (B, H * architecture.state_size))
        shapes = Architecture(6, H, cell).shapes
        values = {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
        values["U"] = np.ascontiguousarray(values["U"].T)
        factors = [rng.choice([0, 2.0], size=(T, B))] if scheme == "artbp" else []
        sizes = {"recurrent": (1, 1, B, H), "weights": (1, *shapes.get("W", ()))}
        dropouts = [rng.choice([0, 2.0], size=sizes[kind]) for kind in dropped]
        x = rng.integers(6, size=(T, B))
        yield f(x, y, *masks, state, *values.values(), *factors, *dropouts)


#: Every cell by every scheme, in turn whole and with a mask.
RECURRENCES = [
    (cell, scheme, n % 2 == 1)
    for n, (cell, scheme) in enumerate(itertools.product(GATES, ALL_SCHEMES))
]
#: Those of the default run.
SOME = [("tanh", "full", False), ("gru", "chunk", True)]


def recurrence(kind):
    return "-".join([*kind[:2], "masked" if kind[2] else "whole"])


@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=() if k in SOME else pytest.mark.slow) for k in RECURRENCES],
    ids=recurrence,
)
def test_every_recurrence_runs_as_a_native_loop_and_equals_its_scan(kind):
    for on, off in zip(results(*kind), results(*kind, is_on=False)):
        assert_agree(on, off)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [k for k in RECURRENCES if k[0] != "mingru" and not k[2]], ids=recurrence
)
def test_a_recurrence_under_masks_of_dropout_runs_as_a_native_loop_and_equals_its_scan(kind):
    dropped = ("recurrent", "weights")
    for on, off in zip(results(*kind, dropped=dropped), results(*kind, False, dropped)):
        assert_agree(on, off)


# ---- what a caller gets and keeps


def test_an_input_is_not_written_over_and_what_nothing_else_needs_is():
    x, s, W = variable("TBH", "x"), variable("BH", "s"), variable("HH", "W")
    states = scan(lambda x, s, W: tanh(x + dot(s, W)), x, s, [W])[0]
    f = function([x, s, W], [states, theano.grad(states.sum(), W)])
    assert all(loop.inplace for loop in loops(f))
    given = list(arrays("tanh", lengths_of(4, 2, 3), np.random.default_rng(0)))
    before = [a.copy() for a in given]
    first = f(*given)
    kept = [a.copy() for a in first]
    for a, b in zip(given, before):
        np.testing.assert_array_equal(a, b)
    f(*[a + 1 for a in given])
    for a, b in zip(first, kept):  # results of one call are not written over by the next
        np.testing.assert_array_equal(a, b)


def test_the_first_buffer_of_a_state_that_is_an_argument_is_left_alone():
    buffer, W = variable("TH", "buffer"), variable("HH", "W")
    node = scan(lambda s, W: tanh(dot(s, W)), [], buffer[0], [W], n_steps=3)[0].owner
    while type(node.op).__name__ != "Scan":
        node = node.inputs[0].owner
    outputs = node.op(*[node.inputs[0], buffer, *node.inputs[2:]], return_list=True)
    f = function([buffer, W], outputs)
    given = np.arange(8.0).reshape(4, 2), np.eye(2)
    (states,) = f(*given)
    np.testing.assert_array_equal(given[0], np.arange(8.0).reshape(4, 2))
    np.testing.assert_allclose(states[1:], np.tanh(states[:-1]), rtol=1e-12)


@pytest.mark.slow
def test_no_reference_is_lost_or_kept():
    f = program("lstm", True)
    given = list(arrays("lstm", lengths_of(5, 2, 3), np.random.default_rng(0), change=every_other))
    f(*given)
    before = [sys.getrefcount(a) for a in given]
    for _ in range(20):
        f(*given)
    # The function holds the arguments of its last call, as it did before.
    assert [sys.getrefcount(a) for a in given] == before


#: Arguments that do not fit, and what is said.
BAD = {
    "too few columns in W": (lambda x, s, W: (x, s, W[:, :-1]), ValueError),
    "too few rows in W": (lambda x, s, W: (x, s, W[:-1]), ValueError),
    "another B": (lambda x, s, W: (x, s[:-1], W), ValueError),
    "another H": (lambda x, s, W: (x[:, :, :-1], s, W), ValueError),
}


@pytest.mark.parametrize("name", ["tanh", "columns joined"])
@pytest.mark.parametrize("change", BAD)
def test_lengths_that_do_not_fit_are_an_error(name, change):
    spoilt, error = BAD[change]
    given = list(arrays(name, lengths_of(4, 3, 3), np.random.default_rng(0)))
    f = program(name, True)
    expected = f(*given)
    with pytest.raises(error):
        f(*spoilt(*given))
    assert_agree(f(*given), expected, 0)  # and the next call is none the worse


@pytest.mark.parametrize("is_on", [False, True])
def test_a_matrix_of_one_row_joined_with_a_row_is_repeated(is_on):
    x, c, s = tensor.dtensor3("x"), tensor.drow("c"), tensor.dmatrix("s")
    outputs = scan(lambda x, s, c: s + tensor.concatenate([x, c], axis=1), x, s, [c])
    f = function([x, c, s], outputs, is_on)
    (found,) = f(np.ones((2, 1, 1)), np.full((1, 2), 3.0), np.zeros((3, 3)))
    np.testing.assert_array_equal(found[-1], np.tile([2.0, 6.0, 6.0], (3, 1)))


def test_a_sequence_shorter_than_the_steps_is_an_error():
    x, n = variable("T", "x"), tensor.lscalar("n")
    sums = scan(lambda x, s: s + x, x, tensor.constant(0.25, dtype="float64"), n_steps=n)[0]
    f = function([x, n], sums)
    np.testing.assert_array_equal(f(np.ones(4), 3), [1.25, 2.25, 3.25])
    with pytest.raises(ValueError):
        f(np.ones(4), 5)


def test_infinity_and_nan_go_through():
    given = list(arrays("tanh", lengths_of(4, 2, 3), np.random.default_rng(0)))
    given[0][1, 0, 0], given[0][2, 1, 1] = np.inf, np.nan
    made, expected = program("tanh", True)(*given), program("tanh", False)(*given)
    assert np.isnan(expected[0]).any() and not np.isnan(expected[0]).all()
    assert_agree(made, expected)


def test_the_python_of_a_native_loop_says_how_to_leave_it_out():
    f = program("tanh", True)
    (op, *_) = loops(f)
    with pytest.raises(NotImplementedError, match="optimizer_excluding=native_loop"):
        op.perform(None, [], [])


def test_equal_loops_are_equal_ops_and_others_are_not():
    a, b = (loops(program(name, True))[0] for name in ("tanh", "relu"))
    again = NativeLoop(a.program, a.inplace, "another name")
    assert a == again and hash(a) == hash(again) and a != b


# ---- the memory, watched, and several processes

WATCHED = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import test_loop
for name in test_loop.PROGRAMS:
    for T, B, H in [(2, 1, 1), (2, 1, 3), (5, 3, 4), (130, 2, 3)]:
        for change in test_loop.LAYOUTS.values():
            lengths, rng = test_loop.lengths_of(T, B, H), np.random.default_rng(1)
            given = test_loop.arrays(name, lengths, rng, change=change)
            test_loop.program(name, True)(*given)
for i, cell in enumerate(test_loop.GATES):
    for j, scheme in enumerate(test_loop.ALL_SCHEMES):
        if (i + j) % 5 in (0, 2):
            list(test_loop.results(cell, scheme, is_masked=bool((i + j) % 5)))
print("went through")
"""


@pytest.mark.slow
def test_no_loop_reads_or_writes_beside_its_arrays(tmp_path):
    """Under AddressSanitizer: every program, and each cell by two schemes, once with a mask."""
    command = [theano.config.cxx, "-print-file-name=libasan.so"]
    library = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(library):
        pytest.skip("the compiler has no AddressSanitizer")
    printed = run_python(
        WATCHED,
        str(Path(__file__).parent),
        flags={"base_compiledir": tmp_path, "gcc__cxxflags": "-fsanitize=address -O1"},
        OPENBLAS_NUM_THREADS="1",
        LD_PRELOAD=library,
        ASAN_OPTIONS="detect_leaks=0",  # Python keeps what it has to its end
        PYTHONMALLOC="malloc",  # so that the ends of its arrays are known
    )
    assert printed == "went through"


ONE_LOOP = """
from theano_rnn.engine import compile_function, tensor, theano
x, s = tensor.dmatrix(), tensor.dvector()
states, _ = theano.scan(lambda x, s: tensor.tanh(x + 2 * s), x, s, strict=True)
f = compile_function([x, s], states.sum())
assert abs(f([[1, 2], [3, 4]], [0.5, 0]) - 3.92794) < 1e-4, f([[1, 2], [3, 4]], [0.5, 0])
"""


#: The same, but it says when the compiler has begun.
TO_BE_KILLED = (
    """
import os
from theano_rnn.engine import compiler
compile_module = compiler.compile_module

def told(*args, **settings):
    os.write(1, b"compiling\\n")  # whole, whatever other threads write
    return compile_module(*args, **settings)

compiler.compile_module = told
"""
    + ONE_LOOP
)


@pytest.mark.slow
def test_processes_that_compile_at_once_and_one_that_is_killed_leave_a_cache_that_works(tmp_path):
    own = environment({"base_compiledir": tmp_path}, OPENBLAS_NUM_THREADS="1")
    with subprocess.Popen(
        [sys.executable, "-c", TO_BE_KILLED], env=own, stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout.readline() == b"compiling\n"
        killed.kill()
    assert killed.returncode == -signal.SIGKILL
    command = [sys.executable, "-c", ONE_LOOP]
    both = [subprocess.Popen(command, env=own, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err.decode()


def test_a_loop_is_compiled_for_this_processor_by_flags_that_are_in_its_key():
    """So that another processor that shares the cache makes a module of its own."""
    f = program("tanh", True)
    node = next(n for n in f.maker.fgraph.toposort() if isinstance(n.op, NativeLoop))
    graph_ = theano.graph.fg.FunctionGraph(node.inputs, node.outputs, clone=True)
    linker = CLinker().accept(graph_)
    in_key = str(linker.cmodule_key())
    flags = linker.compile_args()
    assert "-march=native" not in [*flags, *node.op.c_compile_args()]
    assert any(flag.startswith("-march=") for flag in flags)
    assert all(flag in in_key for flag in flags)
    assert all(flag in flags for flag in openmp_flags())  # for its large products
