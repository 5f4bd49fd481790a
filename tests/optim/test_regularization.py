"""Omega and L2: against loops, differences, the Jacobians themselves, and cases known by hand."""

import functools

import numpy as np
import pytest
from conftest import some
from hypothesis import given, settings
from hypothesis import strategies as st

from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.optim import regularization
from theano_rnn.reference import finite_differences
from theano_rnn.reference.omega import omega

#: FAST_RUN's graph, executed by the Ops' Python instead of their C: nothing to compile.
IN_PYTHON = theano.Mode("py", "fast_run")


def assert_close(actual, expected, tolerance=1e-12):
    """Equal, relative to the largest element."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all() and np.isfinite(expected).all()
    assert np.abs(actual - expected).max() <= tolerance * max(1, np.abs(expected).max())


# The graphs, each compiled once for all sizes.


@functools.cache
def compiled_omega():
    """f(W, dz, ds, mask, is_first) -> Omega, dOmega/dW; without the masks where they are None."""
    W, dz, ds = tensor.dmatrix("W"), tensor.dtensor3("dz"), tensor.dtensor3("ds")
    mask, is_first = tensor.bmatrix("mask"), tensor.bvector("is_first")
    plain = regularization.omega(W, dz, ds)
    masked = regularization.omega(W, dz, ds, mask, is_first)
    gradients = [theano.grad(value, W) for value in (plain, masked)]
    # As written: Theano's optimizer can rewrite 0 * NaN away, and would hide it.
    as_written = theano.Mode("py", None)
    unmasked_f = theano.function([W, dz, ds], [plain, gradients[0]], mode=as_written)
    masked_f = compile_function([W, dz, ds, mask, is_first], [masked, gradients[1]])

    def run(W, dz, ds, mask=None, is_first=None):
        if mask is None and is_first is None:
            return unmasked_f(W, dz, ds)
        T, B, _ = dz.shape
        mask = np.ones((T, B)) if mask is None else np.asarray(mask)
        is_first = np.zeros(T) if is_first is None else np.asarray(is_first)
        return masked_f(W, dz, ds, mask.astype("int8"), is_first.astype("int8"))

    return run


@functools.cache
def compiled_net():
    """A recurrence with E = sum(R * sin(s)): f(p, W, R, is_first, is_linear) -> dict of values.

    The true dE/ds_t is the gradient by a zero that is added to the state inside of the loop.
    """
    p, R = tensor.dtensor3("p"), tensor.dtensor3("R")
    W, is_linear = tensor.dmatrix("W"), tensor.bscalar("is_linear")
    is_first = tensor.vector("is_first", "bool")
    eps = tensor.zeros_like(p)

    def step(is_first, p_t, eps_t, s_before, W, is_linear):
        s_frozen = theano.gradient.disconnected_grad(s_before)
        z_t = p_t + tensor.dot(tensor.switch(is_first, s_frozen, s_before), W.T)
        return tensor.switch(is_linear, z_t, tensor.tanh(z_t)) + eps_t

    s, _ = theano.scan(
        step,
        sequences=[is_first, p, eps],
        outputs_info=[tensor.zeros_like(p[0])],
        non_sequences=[W, is_linear],
        strict=True,
        mode=IN_PYTHON,
    )
    E = (R * tensor.sin(s)).sum()
    immediate, dz, true_ds = theano.grad(E, [s, p, eps])
    ds = regularization.total_error(immediate, dz, W, is_first)
    uncut = regularization.total_error(immediate, dz, W)
    value = regularization.omega(W, dz, ds, is_first=is_first)
    outputs = {
        "s": s,
        "immediate": immediate,
        "dz": dz,
        "true ds": true_ds,
        "ds": ds,
        "ds without is_first": uncut,
        "omega": value,
        "dW": theano.grad(value, W),
    }
    f = theano.function([p, W, R, is_first, is_linear], list(outputs.values()), mode=IN_PYTHON)
    return lambda *values: dict(zip(outputs, f(*values)))


# Problems


def problem(seed, T, B, H):
    """W, dz, ds."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(H, H)), rng.normal(size=(T, B, H)), rng.normal(size=(T, B, H))


def run_net(seed, T, B, H, is_first=None, W=None, is_linear=False, scale=1.0):
    rng = np.random.default_rng(seed)
    p, R = rng.normal(size=(2, T, B, H))
    W = rng.normal(size=(H, H)) if W is None else W
    is_first = np.zeros(T, bool) if is_first is None else is_first
    return W, compiled_net()(p, W, scale * R, is_first, is_linear)


def orthogonal(seed, H):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(H, H)))[0]


SIZES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5))
SEEDS = st.integers(0, 2**32 - 1)


# The oracle


@pytest.mark.parametrize("sizes", [(1, 1, 1), (4, 3, 2), (5, 2, 4)])
def test_gradient_of_the_reference_is_the_central_difference_with_dz_and_ds_constant(sizes):
    W, dz, ds = problem(0, *sizes)
    T, B, _ = sizes
    ds[:, -1] += 2  # so that steps vanish as well as explode
    mask = np.arange(T)[:, None] < np.linspace(1, T, B)
    is_first = np.arange(T) == 2
    for masks in ((None, None), (mask, is_first)):

        def value(parameters, masks=masks):
            return omega(parameters["W"], dz, ds, *masks)[0]

        expected = finite_differences(value, {"W": W})
        assert_close(omega(W, dz, ds, *masks)[1], expected["W"], 1e-7)


def test_reference_has_the_value_computed_by_hand():
    W = np.array([[2.0, 0.0], [1.0, 1.0]])
    dz = np.array([[[1.0, 1.0], [0.0, 2.0]]])  # W' dz = (3, 1), (2, 2)
    ds = np.array([[[1.0, 2.0], [0.0, 2.0]]])  # ratios 10/5, 8/4
    value, gradient = omega(W, dz, ds)
    assert value == 1.0
    # [ 4 (2-1) (1,1)(3,1)' / 5 + 4 (2-1) (0,2)(2,2)' / 4 ] / 2
    np.testing.assert_allclose(gradient, [[1.2, 0.4], [3.2, 2.4]], rtol=1e-15)


def test_a_step_whose_error_is_just_the_bound_counts_in_the_reference():
    W, dz = np.eye(2), np.array([[[3.0, 0.0], [3.0, 0.0]]])
    ds = np.array([[[1.0, 0.0], [2.0, 0.0]]])  # ratios 9, 9/4
    assert omega(W, dz, ds, bound=4.0)[0] == (9 / 4 - 1) ** 2
    assert omega(W, dz, ds, bound=1.0)[0] == ((9 / 4 - 1) ** 2 + 8**2) / 2


@pytest.mark.parametrize(
    "name, shape",
    [("W", (3, 2)), ("dz", (4, 2)), ("ds", (3, 2, 2)), ("mask", (2, 4)), ("is_first", (3,))],
)
def test_reference_refuses_shapes_that_disagree(name, shape):
    values = {"W": (2, 2), "dz": (4, 2, 2), "ds": (4, 2, 2), "mask": (4, 2), "is_first": (4,)}
    values = {key: np.ones(size) for key, size in values.items()}
    with pytest.raises(ValueError, match=rf"{name} has shape \({shape[0]},.* pass "):
        omega(**{**values, name: np.ones(shape)})


# Compiled against the oracle


@settings(max_examples=some(60), deadline=None)
@given(SEEDS, SIZES, st.booleans())
def test_value_and_gradient_equal_the_reference(seed, sizes, is_masked):
    W, dz, ds = problem(seed, *sizes)
    rng = np.random.default_rng(seed + 1)
    T, B, _ = sizes
    # From errors that are far too small to count, over tiny ones that do, to large ones.
    size = 10.0 ** rng.choice([-14, -9, 0, 6], size=(T, B, 1))
    dz, ds = dz * size, ds * size
    masks = (rng.random((T, B)) < 0.8, rng.random(T) < 0.3) if is_masked else ()
    expected, expected_gradient = omega(W, dz, ds, *masks)
    value, gradient = compiled_omega()(W, dz, ds, *masks)
    assert_close(value, expected)
    assert_close(gradient, expected_gradient)


@pytest.mark.slow
@settings(max_examples=some(25), deadline=None)
@given(SEEDS, SIZES, st.booleans())
def test_no_gradient_goes_through_the_states_and_their_errors(seed, sizes, is_linear):
    # Here dz and ds are themselves functions of W.
    W, net = run_net(seed, *sizes, is_linear=is_linear)
    expected, gradient = omega(W, net["dz"], net["ds"])
    assert_close(net["omega"], expected)
    assert_close(net["dW"], gradient)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_value_keeps_the_dtype_of_the_parameters(dtype):
    W, dz = tensor.matrix("W", dtype), tensor.tensor3("dz", dtype)
    mask, is_first = tensor.matrix("mask", "bool"), tensor.vector("is_first", "bool")
    ds = regularization.total_error(dz, dz, W, is_first)
    value = regularization.omega(W, dz, ds, mask, is_first)
    l2 = regularization.l2([W, dz])
    outputs = [ds, value, theano.grad(value, W), l2, theano.grad(l2, W)]
    assert {output.dtype for output in outputs} == {dtype}
    f = theano.function([W, dz, mask, is_first], outputs, mode=IN_PYTHON)
    W, dz, _ = (v.astype(dtype) for v in problem(1, T=4, B=2, H=3))
    mask, is_first = np.ones((4, 2), bool), np.zeros(4, bool)
    ds, value, gradient, *_ = outputs = f(W, dz, mask, is_first)
    assert {output.dtype.name for output in outputs} == {dtype}
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    expected, expected_gradient = omega(*(v.astype("float64") for v in (W, dz, ds)))
    assert_close(value, expected, tolerance)
    assert_close(gradient, expected_gradient, tolerance)


# The error by the state


@settings(max_examples=some(40), deadline=None)
@given(SEEDS, SIZES, st.booleans(), st.booleans())
def test_total_error_is_the_true_gradient_by_each_state(seed, sizes, is_cut, is_linear):
    T = sizes[0]
    is_first = np.random.default_rng(seed).random(T) < (0.4 if is_cut else 0)
    _, net = run_net(seed, *sizes, is_first=is_first, is_linear=is_linear)
    assert_close(net["ds"], net["true ds"])
    if not is_first[1:].any():
        assert_close(net["ds without is_first"], net["true ds"])


def test_scan_itself_leaves_out_the_path_through_the_recurrence():
    _, net = run_net(2, T=5, B=2, H=3)
    missing = net["true ds"] - net["immediate"]
    assert np.abs(missing[:-1]).max() > 0.1 and not missing[-1].any()


def test_a_cut_takes_nothing_from_the_step_after_it():
    is_first = np.array([True, False, False, True, False])
    _, net = run_net(3, T=5, B=2, H=3, is_first=is_first)
    np.testing.assert_array_equal(net["ds"][2], net["immediate"][2])
    assert np.abs(net["ds without is_first"][2] - net["true ds"][2]).max() > 0.1


# What Omega is


@pytest.mark.parametrize("is_cut", [False, True])
def test_omega_is_its_definition_by_the_jacobians_of_the_steps(is_cut):
    T, B, H = 6, 3, 4
    is_first = np.arange(T) == (3 if is_cut else -1)
    W, net = run_net(4, T, B, H, is_first=is_first)
    terms = []
    for t in np.flatnonzero(~is_first):
        for b in range(B):
            J = np.diag(1 - net["s"][t, b] ** 2) @ W  # ds_t/ds_{t-1}
            error = net["true ds"][t, b]
            terms.append((np.sum((error @ J) ** 2) / np.sum(error**2) - 1) ** 2)
    assert len(terms) == (T - is_cut) * B
    assert_close(net["omega"], np.mean(terms))


@pytest.mark.parametrize("H", [1, 2, 7])
def test_an_orthogonal_linear_recurrence_has_no_omega_and_a_scaled_one_has(H):
    Q = orthogonal(5, H)
    _, net = run_net(5, T=6, B=2, H=H, W=Q, is_linear=True)
    assert 0 <= net["omega"] < 1e-28
    assert_close(net["dW"], np.zeros((H, H)))
    _, net = run_net(5, T=6, B=2, H=H, W=0.5 * Q, is_linear=True)
    assert_close(net["omega"], 0.5625)  # (1/4 - 1)^2


def test_a_step_against_the_gradient_brings_the_norms_nearer_to_1():
    for scale in (0.5, 1.5):
        W, dz, ds = scale * orthogonal(6, 4), *problem(6, T=5, B=2, H=4)[1:]
        ds = dz
        value, gradient = compiled_omega()(W, dz, ds)
        smaller, _ = compiled_omega()(W - 1e-3 * gradient, dz, ds)
        assert smaller < value
        sizes = np.linalg.norm([W, W - 1e-3 * gradient], axis=(1, 2))
        assert sizes[1] > sizes[0] if scale < 1 else sizes[1] < sizes[0]


@pytest.mark.parametrize("scale", [1e-6, -3.0, 1e6])
def test_omega_is_the_same_for_every_multiple_of_the_loss(scale):
    _, net = run_net(7, T=6, B=3, H=4)
    _, scaled = run_net(7, T=6, B=3, H=4, scale=scale)
    assert_close(scaled["omega"], net["omega"])
    assert_close(scaled["dW"], net["dW"])


# What counts


def test_the_step_from_the_initial_state_counts_unless_it_is_marked():
    W, dz, ds = problem(8, T=4, B=2, H=3)
    rest = omega(W, dz[1:], ds[1:])
    value, gradient = compiled_omega()(W, dz, ds, is_first=[True, False, False, False])
    assert_close(value, rest[0])
    assert_close(gradient, rest[1])
    first = omega(W, dz[:1], ds[:1])
    assert_close(compiled_omega()(W, dz, ds)[0], (first[0] + 3 * rest[0]) / 4)


def test_steps_count_from_the_bound_on():
    W, dz = np.array([[1.0]]), np.array([[[2e-10]], [[1.0]]])
    # (2 / 1.01)^2 counts beside 1; with an error of .99e-10 the step does not exist.
    for error, terms in ((1.01e-10, [(4 / 1.01**2 - 1) ** 2, 0]), (0.99e-10, [0])):
        ds = np.array([[[error]], [[1.0]]])
        assert_close(compiled_omega()(W, dz, ds)[0], np.mean(terms))
        assert_close(omega(W, dz, ds)[0], np.mean(terms))


def test_padding_is_as_if_it_were_not_there_whatever_it_holds():
    W, dz, ds = problem(9, T=5, B=3, H=4)
    lengths = [5, 3, 1]
    mask = np.arange(5)[:, None] < lengths
    parts = [omega(W, dz[:n, b : b + 1], ds[:n, b : b + 1]) for b, n in enumerate(lengths)]
    expected = [sum(n * part[i] for n, part in zip(lengths, parts)) / 9 for i in range(2)]
    for inside in (1.0, np.inf, np.nan):
        dz[~mask], ds[~mask] = inside, 2 * inside
        value, gradient = compiled_omega()(W, dz, ds, mask)
        assert_close(value, expected[0])
        assert_close(gradient, expected[1])


@pytest.mark.parametrize(
    "scale, masks",
    [
        (0.0, {}),
        (1e-12, {}),
        (1.0, {"mask": np.zeros((3, 2))}),
        (1.0, {"is_first": np.ones(3)}),
    ],
)
def test_where_no_step_counts_value_and_gradient_are_zero(scale, masks):
    W, dz, ds = problem(10, T=3, B=2, H=4)
    for value, gradient in (
        compiled_omega()(W, scale * dz, scale * ds, **masks),
        omega(W, scale * dz, scale * ds, **masks),
    ):
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros((4, 4)))


# L2


def test_l2_is_half_the_squared_norm_and_its_gradient_the_parameters():
    a, b = tensor.dmatrix("a"), tensor.dvector("b")
    l2 = regularization.l2([a, b])
    f = theano.function([a, b], [l2, *theano.grad(l2, [a, b])], mode=IN_PYTHON)
    a, b = np.array([[1.0, -2.0], [0.0, 4.0]]), np.array([3.0])
    value, da, db = f(a, b)
    assert value == 15
    np.testing.assert_array_equal(da, a)
    np.testing.assert_array_equal(db, b)
