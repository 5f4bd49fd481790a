"""What is read from a Scan, and why some Scans stay."""

import numpy as np
import pytest
from loops import IN_PYTHON, function, loop_of, scans, variable
from theano.scan.utils import until
from theano.tensor.random.utils import RandomStream

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.loop.ir import ONE, Unsupported
from theano_rnn.engine.loop.op import as_native_loop

s, x, W = variable("BH", "s"), variable("TBH", "x"), variable("HH", "W")
cube, i = variable("ABH", "cube"), variable("T", "i", "int64")
noise = RandomStream(1)


def scan(step, first=s, sequences=(), fixed=(), **more):
    outputs, _ = theano.scan(
        step,
        sequences=list(sequences),
        outputs_info=first if isinstance(first, list) else [first],
        non_sequences=list(fixed),
        n_steps=None if sequences else 3,
        **more,
    )
    return outputs


#: Scans that stay, and the reason
REFUSED = {
    "ends on a condition": (
        lambda: scan(lambda s: (2 * s, until(s.sum() > 9))),
        r"it ends on a condition \(until\)",
    ),
    "draws from a random stream": (
        lambda: scan(lambda s: s + noise.normal(s.shape)),
        "it updates a shared variable",
    ),
    "three dimensions": (
        lambda: scan(lambda s, c: s + c[0], fixed=[cube]),
        r"it has a TensorType\(float64, 3D\), which is not a scalar, vector or matrix",
    ),
    "complex numbers": (
        lambda: scan(lambda z, s: s + abs(z), sequences=[variable("T", "z", "complex128")]),
        r"it has a TensorType\(complex128, scalar\)",
    ),
    "an array as constant": (
        lambda: scan(lambda s: s + np.arange(3.0)),
        "it holds a constant of 3 numbers",
    ),
    "a slice by what is computed": (
        lambda: scan(lambda i, s: tensor.inc_subtensor(s[:, :i], 1.0), sequences=[i]),
        "the loop does not know ScalarFromTensor",
    ),
    "every other column": (
        lambda: scan(lambda s: tensor.inc_subtensor(s[:, ::2], 1.0)),
        "is not a slice with step 1",
    ),
    "a row": (lambda: scan(lambda s: s + s[0]), "is not a slice with step 1"),
    "a slice that is set": (
        lambda: scan(lambda s: tensor.set_subtensor(s[:, :2], 1.0)),
        "it sets a slice",
    ),
    "a sum": (lambda: scan(lambda s: s / s.sum()), "the loop does not know Sum"),
    "argmax": (
        lambda: scan(lambda s: s + s.argmax(axis=1, keepdims=True)),
        "the loop does not know Argmax",
    ),
    "a softmax": (
        lambda: scan(lambda s: tensor.nnet.softmax(s)),
        "does not know Softmax",
    ),
    "a size that is computed": (
        lambda: scan(lambda i, s: [2 * s, tensor.alloc(0.5, i)], [s, None], [i]),
        "takes an index or a length that is computed in the step",
    ),
    "rows of a table": (
        lambda: scan(lambda r, s, W: s + W[r], s, [variable("TB", "r", "int64")], [W]),
        "the loop does not know AdvancedSubtensor1",
    ),
    "a scan in it": (
        lambda: scan(lambda s: s + scan(lambda r: 2 * r, s)[-1]),
        "which is not a scalar, vector or matrix",
    ),
    "a product of integers": (
        lambda: scan(
            lambda a, b: tensor.dot(a, b),
            variable("BH", "a", "int64"),
            fixed=[variable("HH", "b", "int64")],
        ),
        "it has a product of int64 and int64",
    ),
    "a matrix times a vector": (
        lambda: scan(lambda v, W: tensor.dot(W, v), variable("H", "v"), fixed=[W]),
        "it has a product of 2 and 1 dimensions",
    ),
    "states that change places": (
        lambda: scan(lambda a, b: [b, a], [s, variable("BH", "r")]),
        "a state becomes what another one was",
    ),
    "hundreds of states": (
        lambda: scan(lambda *v: [tensor.tanh(a + 1) for a in v], [s * k for k in range(150)]),
        "its C[+][+] is longer than 150,000 characters",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_scan_is_refused_for_the_reason_that_is_told(name):
    make, reason = REFUSED[name]
    with pytest.raises(Unsupported, match=reason):
        as_native_loop(scans(make())[0])


def test_a_scan_that_is_refused_stays_and_gives_its_result():
    f = function([s], scan(lambda s: s / s.sum()), is_on=False)
    g = theano.function([s], scan(lambda s: s / s.sum()), mode=IN_PYTHON)
    assert scans(g.maker.fgraph.outputs)
    value = np.arange(1.0, 7).reshape(2, 3)
    np.testing.assert_array_equal(g(value), f(value))
    np.testing.assert_allclose(g(value)[-1], value / 21, rtol=1e-15)


def test_lengths_that_must_be_equal_are_one_and_are_checked():
    loop = loop_of(scan(lambda x, s, W: tensor.tanh(x + tensor.dot(s, W)), s, [x], [W]))
    ((_, row),) = loop.sequences
    ((_, matrix),) = loop.fixed
    (state,) = loop.states
    of_row, of_state, of_matrix = (
        loop.shapes[v] for v in (row, state.reads[0][1], matrix)
    )  # fmt: skip
    assert of_row.rows.root is of_state.rows.root
    assert len({dim.root for dim in (of_row.columns, of_state.columns, *of_matrix)}) == 1
    assert of_row.rows.root is not of_row.columns.root
    # B of x and s, H of x and W, s and W's rows, and W's columns: 6 lengths, 2 of them free.
    assert len(loop.checks) == 4
    assert {what for *_, what in loop.checks} <= {"dot", "Elemwise{add,no_inplace}", "output 0"}


def test_a_state_has_the_lengths_of_what_it_becomes():
    loop = loop_of(scan(lambda s, W: tensor.dot(s, W), fixed=[W]))
    assert [what for *_, what in loop.checks] == ["dot", "output 0"]


def test_scalars_and_vectors_are_matrices_of_one_row():
    v, a = variable("H", "v"), variable("T", "a")
    loop = loop_of(scan(lambda a, v: a * v, v, [a]))
    ((_, scalar),) = loop.sequences
    assert loop.shapes[scalar] == (ONE, ONE)
    assert loop.shapes[loop.states[0].reads[0][1]].rows is ONE
    assert loop.shapes[loop.states[0].writes[0][1]].columns.root.code == "n2_0"


def test_a_broadcast_dimension_is_one_whatever_stands_beside_it():
    column = variable("B1", "column")
    loop = loop_of(scan(lambda s, c: s * c, fixed=[column]))
    ((_, inner),) = loop.fixed
    assert loop.shapes[inner].columns is ONE
    assert loop.shapes[inner].rows.root is loop.shapes[loop.states[0].reads[0][1]].rows.root


def test_lengths_and_arithmetic_on_them_are_known_before_the_steps():
    loop = loop_of(scan(lambda s: tensor.inc_subtensor(s[:, : s.shape[1] // 2], s.shape[0] * 1.0)))
    names = {type(node.op).__name__ for node in loop.prologue}
    assert {"Shape_i", "Elemwise", "IncSubtensor"} <= names
    assert [type(node.op).__name__ for node in loop.nodes][-1] == "IncSubtensor"
    assert not any(node in loop.nodes for node in loop.prologue if node.outputs[0] in loop.scalars)


def test_taps_are_rows_of_one_buffer():
    made = scan(lambda a, b: a + 2 * b, dict(initial=variable("3BH", "r"), taps=[-3, -1]))
    (state,) = loop_of(made).states
    assert [tap for tap, _ in state.reads] == [-3, -1]
    assert [tap for tap, _ in state.writes] == [0]
    assert (state.start, state.keeps_rows) == (3, False)


def test_accumulators_of_a_gradient_keep_every_row():
    made = scan(lambda s, W: tensor.tanh(tensor.dot(s, W)), fixed=[W])
    loop = loop_of(theano.grad(made.sum(), s))
    kept = [state for state in loop.states if state.keeps_rows]
    assert [[tap for tap, _ in state.reads] for state in kept] == [[0, 1]]
    assert [[tap for tap, _ in state.writes] for state in kept] == [[1]]
