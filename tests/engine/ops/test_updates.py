"""Updates merged into one loop: the numbers of Theano's own, in place where that is safe."""

import numpy as np
import pytest
from interpreters import run_python
from theano.tensor.elemwise import Elemwise

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.ops.updates import Update
from theano_rnn.optim.clipping import CLIPPINGS
from theano_rnn.optim.optimizers import OPTIMIZERS, Optimizer

SHAPE = (7, 5)


def function(inputs, outputs, updates, is_on=True, linker="cvm"):
    mode = theano.Mode(linker, "fast_run")
    mode = mode if is_on else mode.excluding("merged_updates")
    return theano.function(inputs, outputs, updates=updates, mode=mode)


def merged(made):
    return [node for node in made.maker.fgraph.toposort() if isinstance(node.op, Update)]


def step(name, clip_by=None, dtype="float64", **how):
    """A step of an optimizer on one matrix, and its parameter and state by name."""
    rng = np.random.default_rng(0)
    W = theano.shared(rng.normal(size=SHAPE).astype(dtype), "W")
    optimizer = Optimizer(name, [W])
    g, rate = tensor.matrix("g", dtype), tensor.scalar("rate", dtype)
    gradients = [g] if clip_by is None else CLIPPINGS[clip_by]([g], np.asarray(0.5, dtype))[0]
    made = function([g, rate], [], optimizer.updates(gradients, rate), **how)
    return made, {"W": W, **optimizer.state}


def gradients(dtype="float64"):
    """Of any layout: by rows, by columns, with steps, turned round."""
    a = np.random.default_rng(1).normal(size=(5, 2 * SHAPE[0], 3 * SHAPE[1])).astype(dtype)
    of_rows, of_columns = a[0, :7, :5].copy(), a[1, :7, :5].copy("F")
    return [of_rows, of_columns, a[2, ::2, ::3], a[3, ::2, ::3][::-1, ::-1]]


@pytest.mark.parametrize("linker", ["cvm", "py"])
@pytest.mark.parametrize("clip_by", [None, *CLIPPINGS])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_steps_as_without_it(name, clip_by, linker):
    (ours, got), (theirs, expected) = (
        step(name, clip_by, is_on=is_on, linker=linker) for is_on in (True, False)
    )
    assert len(merged(ours)) == 1 and not merged(theirs)
    for g in gradients():
        ours(g, 0.1)
        theirs(g, 0.1)
        for key, shared in expected.items():
            values = got[key].get_value(), shared.get_value()
            np.testing.assert_allclose(*values, rtol=1e-12, atol=1e-15, err_msg=key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameter_and_state_are_written_over(name):
    made, shared = step(name, dtype="float32")
    (node,) = merged(made)
    assert len(node.op.inplace) == len(node.outputs) == sum(s.ndim == 2 for s in shared.values())
    before = {key: s.get_value(borrow=True) for key, s in shared.items() if s.ndim == 2}
    made(gradients("float32")[0], 0.1)
    for key, array in before.items():
        assert shared[key].get_value(borrow=True) is array


def test_a_parameter_by_columns_is_updated_too():
    made, shared = step("adam")
    shared["W"].set_value(np.asfortranarray(shared["W"].get_value()))
    other, expected = step("adam", is_on=False)
    for g in gradients():
        made(g, 0.1)
        other(g, 0.1)
    np.testing.assert_allclose(shared["W"].get_value(), expected["W"].get_value(), rtol=1e-12)


@pytest.mark.parametrize("linker", ["cvm", "py"])
@pytest.mark.parametrize("shape", [(SHAPE[0], SHAPE[1] + 1), (1, SHAPE[1]), (1, 1)])
def test_other_shapes_are_refused_and_nothing_changes(shape, linker):
    made, shared = step("adam", linker=linker)
    before = {key: s.get_value() for key, s in shared.items()}
    with pytest.raises(ValueError, match="an update of matrices of several shapes"):
        made(np.ones(shape), 0.1)
    for key in ("W", "W.mean", "W.square"):
        np.testing.assert_array_equal(shared[key].get_value(), before[key])


def test_what_others_read_is_neither_merged_nor_written_over_too_early():
    """The velocity is read by a product, and the old parameter by the result."""
    W, v = theano.shared(np.full((3, 3), 1.0), "W"), theano.shared(np.full((3, 3), 2.0), "v")
    g = tensor.dmatrix("g")
    new = 0.5 * v - g
    made = function([g], [tensor.dot(W, new)], [(W, W + new), (v, new)])
    assert len(merged(made)) == 2
    value = np.arange(9.0).reshape(3, 3)
    np.testing.assert_allclose(made(value)[0], np.ones((3, 3)) @ (1 - value))
    np.testing.assert_allclose(W.get_value(), 2 - value)
    np.testing.assert_allclose(v.get_value(), 1 - value)


def test_two_parameters_may_change_places():
    a, b = (theano.shared(np.full((3, 3), value)) for value in (1.0, 2.0))
    made = function([], [], [(a, b * 3), (b, a * 5)])
    made()
    assert (a.get_value() == 6).all() and (b.get_value() == 5).all()
    made()
    assert (a.get_value() == 15).all() and (b.get_value() == 30).all()


def test_what_must_come_before_another_is_not_merged_with_it():
    """A reads v before Y is written over it."""
    W, v = theano.shared(np.ones((3, 3)), "W"), theano.shared(np.full((3, 3), 2.0), "v")
    a, b = tensor.dmatrices("ab")
    A, Y = v * 0.5 + 1, v + tensor.dot(a, b)
    with theano.config.change_flags(on_opt_error="raise"):
        made = function([a, b], [], [(v, A), (W, W + A * Y)])
    made(np.eye(3), np.eye(3))
    np.testing.assert_allclose(W.get_value(), 1 + 2 * (2 + np.eye(3)))
    np.testing.assert_allclose(v.get_value(), 2)


def test_what_can_fail_or_has_no_c_stays_with_theano():
    W, v = theano.shared(np.full((3, 3), 0.4), "W"), theano.shared(np.ones((3, 3)), "v")
    a, b = tensor.lmatrices("ab")
    made = function([a, b], [], [(W, W * 2 + a // b), (v, tensor.erfinv(W))])
    assert not merged(made)
    with pytest.raises(ZeroDivisionError):
        made(np.ones((3, 3), int), np.zeros((3, 3), int))
    assert (W.get_value() == 0.4).all()
    made(np.ones((3, 3), int), np.ones((3, 3), int))
    np.testing.assert_allclose(v.get_value(), 0.37080716)


def test_a_node_with_other_outputs_stays_as_it_is():
    scalars = [theano.scalar.float64() for _ in "ab"]
    both = Elemwise(theano.scalar.Composite(scalars, [scalars[0] + scalars[1], scalars[0] * 2]))
    W, g = theano.shared(np.ones((3, 3))), tensor.dmatrix()
    new, other = both(W, g)
    with theano.config.change_flags(on_opt_error="raise"):
        assert not merged(function([g], [other], [(W, new)]))


def test_no_more_arrays_are_merged_than_numpy_takes():
    g = tensor.dmatrices(*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ")
    W, v = theano.shared(np.ones((3, 3))), theano.shared(np.ones((3, 3)))
    new = sum(g[:20], v)
    made = function(g, [], [(v, new), (W, sum(g[20:], W * new))], linker="py")
    assert all(len(node.inputs) + len(node.outputs) < 32 for node in merged(made))
    made(*[np.ones((3, 3))] * len(g))
    assert (v.get_value() == 21).all() and (W.get_value() == 37).all()


def test_a_module_is_made_anew_when_the_code_of_a_part_is_another(monkeypatch):
    made, _ = step("adam")
    (node,) = merged(made)
    version = node.op.c_code_cache_version()
    monkeypatch.setattr(theano.scalar.Sqrt, "c_code_cache_version", lambda op: (99,))
    assert node.op.c_code_cache_version() != version
    monkeypatch.setattr(theano.scalar.Sqrt, "c_code_cache_version", lambda op: ())
    assert node.op.c_code_cache_version() == ()


def test_rows_and_vectors_stay_with_theano():
    b, row = theano.shared(np.ones(4)), tensor.drow("row")
    W = theano.shared(np.ones((3, 4)))
    made = function([row], [], [(b, b * 2), (W, W * row + 1)])
    assert not merged(made)
    made(np.arange(4.0)[None])
    np.testing.assert_array_equal(W.get_value(), np.tile(np.arange(4.0) + 1, (3, 1)))


THREADED = """
import numpy as np
from theano_rnn.engine import tensor, theano
from theano_rnn.optim.optimizers import Optimizer

random = np.random.default_rng(0)
for by in ("C", "F"):  # without gaps, and by rows and columns
    W = theano.shared(random.normal(size=(700, 900)).astype("float32"), "W")
    g, optimizer = tensor.fmatrix(), Optimizer("adam", [W])
    made = theano.function([g], tensor.sqr(g).sum(), updates=optimizer.updates([g], 0.1))
    assert any("Update" in str(node.op) for node in made.maker.fgraph.apply_nodes)
    for _ in range(3):
        norm = made(np.asarray(random.normal(size=(700, 900)), "float32", order=by))
        print(norm.tobytes().hex(), W.get_value().tobytes()[::977].hex())
"""


@pytest.mark.slow
def test_in_threads_it_is_the_same_to_the_last_bit():
    in_c = {"mode": "Mode", "linker": "cvm", "optimizer": "fast_run"}
    one, two = (run_python(THREADED, flags=in_c, OPENBLAS_NUM_THREADS=n) for n in ("1", "2"))
    assert one == two and len(one.split()) == 12
