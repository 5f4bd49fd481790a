"""The optimizers against loops as their papers write them, and clipping against its definition."""

import functools

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.optim import clipping, optimizers

SHAPES = {"U": (4, 3), "W": (3, 3), "b": (3,)}
OTHERS = {  # constants other than the defaults
    "sgd": {},
    "momentum": {"momentum": 0.7},
    "nesterov": {"momentum": 0.7},
    "adagrad": {"epsilon": 0.1},
    "rmsprop": {"rho": 0.6, "epsilon": 0.1},
    "adam": {"beta1": 0.6, "beta2": 0.8, "epsilon": 0.1},
}
NAMES = tuple(optimizers.OPTIMIZERS)
PYTHON = theano.compile.mode.Mode("py", "fast_compile")  # runs at once, nothing is compiled

# The papers' loops. Each takes theta_0, its gradient as a function, and the learning rate of each
# step, and yields the points at which the next gradient is taken.


def sgd(theta, g, rates):
    for rate in rates:
        theta = theta - rate * g(theta)
        yield theta


def momentum(theta, g, rates, momentum=0.9):
    v = 0 * theta
    for rate in rates:
        v = momentum * v - rate * g(theta)
        theta = theta + v
        yield theta


def nesterov(theta, g, rates, momentum=0.9):
    # Sutskever et al. 2013, equations 3 and 4: not the form that the class computes.
    v = 0 * theta
    for rate in rates:
        v = momentum * v - rate * g(theta + momentum * v)
        theta = theta + v
        yield theta + momentum * v


def adagrad(theta, g, rates, epsilon=1e-8):
    past = []
    for rate in rates:
        past.append(g(theta))
        theta = theta - rate * past[-1] / (np.sqrt(sum(a**2 for a in past)) + epsilon)
        yield theta


def rmsprop(theta, g, rates, rho=0.9, epsilon=1e-8):
    past = []
    for rate in rates:
        past.append(g(theta))
        mean = (1 - rho) * sum(rho**k * a**2 for k, a in enumerate(reversed(past)))
        theta = theta - rate * past[-1] / (np.sqrt(mean) + epsilon)
        yield theta


def adam(theta, g, rates, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = 0 * theta, 0 * theta
    for t, rate in enumerate(rates, start=1):
        gradient = g(theta)
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        theta = theta - rate * m_hat / (np.sqrt(v_hat) + epsilon)
        yield theta


ORACLES = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
}


def variables(dtype, names):
    """Parameters of ones, and a symbolic gradient of each."""
    parameters = [theano.shared(np.ones(SHAPES[name], dtype), name) for name in names]
    return parameters, [p.type(f"d{p.name}") for p in parameters]


@functools.cache
def compiled(name, dtype="float64", others=False):
    """An optimizer and its step(*gradients, learning_rate), compiled once.

    In float64 it is C, of matrices; in float32 NumPy called by Theano, and a vector with them:
    each dtype and each dimension more would compile for a quarter of a minute.
    """
    in_c = dtype == "float64"
    parameters, gradients = variables(dtype, ("U", "W") if in_c else ("U", "W", "b"))
    optimizer = optimizers.Optimizer(name, parameters, **(OTHERS[name] if others else {}))
    learning_rate = tensor.scalar("learning_rate", dtype)
    pairs = optimizer.updates(gradients, learning_rate)
    if in_c:
        return optimizer, compile_function([*gradients, learning_rate], [], pairs)
    return optimizer, theano.function([*gradients, learning_rate], [], updates=pairs, mode=PYTHON)


def start(optimizer, values):
    """Set the parameters, and the state to what it is at first."""
    for p, value in zip(optimizer.parameters, values):
        p.set_value(np.asarray(value, optimizer.dtype))
    shapes = {p.name: np.shape(value) for p, value in zip(optimizer.parameters, values)}
    for name, shared in optimizer.state.items():
        shared.set_value(np.zeros(shapes.get(name.split(".")[0], ()), optimizer.dtype))


def walk(name, theta, g, rates, dtype="float64", others=False):
    """The points of an optimizer, as one vector (in float64) each."""
    optimizer, step = compiled(name, dtype, others)
    shapes = [SHAPES[p.name] for p in optimizer.parameters]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    assert len(theta) == ends[-1]

    def parts(vector):
        pieces = np.split(vector, ends[:-1])
        return [a.reshape(shape).astype(dtype) for a, shape in zip(pieces, shapes)]

    start(optimizer, parts(theta))
    for rate in rates:
        step(*parts(g(theta)), rate)
        theta = np.concatenate([p.get_value().ravel() for p in optimizer.parameters])
        assert theta.dtype == dtype
        theta = theta.astype("float64")
        yield theta


def problem(n):
    """A gradient that mixes all n entries, and a start."""
    rng = np.random.default_rng(0)
    A, c = rng.normal(size=(n, n)), rng.normal(size=n)
    return rng.normal(size=n), lambda theta: np.sin(A @ theta) + theta - c


# The formulas


@pytest.mark.parametrize("others", [False, True], ids=["defaults", "others"])
@pytest.mark.parametrize("name", NAMES)
def test_eight_steps_are_the_loop_of_the_paper(name, others):
    theta, g = problem(21)
    rates = [0.1, 0.1, 0.2, 0.05, 0.3, 0.1, 0.01, 0.1]
    expected = ORACLES[name](theta, g, rates, **(OTHERS[name] if others else {}))
    n = 0
    for ours, theirs in zip(walk(name, theta, g, rates, others=others), expected):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
        n += 1
    assert n == 8


@pytest.mark.parametrize("name", NAMES)
def test_float32_steps_are_the_loop_to_rounding(name):
    theta, g = problem(24)
    theta = theta.astype("float32").astype("float64")
    rates = [0.1, 0.1, 0.2, 0.05]
    expected = ORACLES[name](theta, g, rates)
    for ours, theirs in zip(walk(name, theta, g, rates, "float32"), expected):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)


# x^2 from x = 1 with learning rate .1, by hand: g = 2x.
BY_HAND = {
    "sgd": [0.8, 0.64, 0.512],
    "momentum": [0.8, 0.46, 0.062],  # v = -.2, -.34, -.398
    "nesterov": [0.62, 0.2224, -0.108352],  # v = -.2, -.304, -.31808
    "adagrad": [0.9, 0.9 - 0.18 / 7.24**0.5],  # r = 4, 4 + 1.8^2
    "rmsprop": [1 - 0.2 / 0.4**0.5],  # r = .4
    "adam": [0.9, 0.9 - 0.1 * (0.36 / 0.19) / (0.007236 / 0.001999) ** 0.5],  # m = .2, .36
}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_steps_on_a_parabola_are_those_by_hand(name):
    optimizer, step = compiled(name)
    start(optimizer, [[[1.0]], [[1.0]]])
    for expected in BY_HAND[name]:
        step(*(2 * p.get_value() for p in optimizer.parameters), 0.1)
        for p in optimizer.parameters:
            assert p.get_value() == pytest.approx(expected, rel=1e-7)  # epsilon is 1e-8


@pytest.mark.parametrize("name, longest", [("adagrad", 1), ("rmsprop", 10**0.5), ("adam", 1)])
def test_the_first_step_has_one_length_whatever_the_gradient(name, longest):
    g = np.array([-1e-2, 0.1, -1, 10, 1e3, -1e9, 1e-2] * 3)
    (theta,) = walk(name, np.zeros(21), lambda theta: g, [0.01])
    # epsilon, 1e-8, is seen beside the smallest root, .01 * sqrt(1 - rho)
    np.testing.assert_allclose(theta, -0.01 * longest * np.sign(g), rtol=4e-6)


def test_each_step_of_adam_under_a_constant_gradient_is_the_learning_rate_in_float32_too():
    # With 1 - beta^t in float32 the first is off by 7e-6.
    optimizer, step = compiled("adam", "float32")
    zeros = [np.zeros(shape) for shape in SHAPES.values()]
    start(optimizer, zeros)
    for _ in range(20):
        step(*(np.ones(shape, "float32") for shape in SHAPES.values()), 0.25)
        for p in optimizer.parameters:
            np.testing.assert_allclose(p.get_value(), -0.25, rtol=1e-6)
            p.set_value(0 * p.get_value())
    assert optimizer.state["adam.t"].get_value() == 20


def test_adam_goes_on_where_float32_cannot_count_the_steps_any_more():
    optimizer, step = compiled("adam", "float32")
    ones = [np.ones(shape, "float32") for shape in SHAPES.values()]
    start(optimizer, ones)
    for name, shared in optimizer.state.items():
        shared.set_value(shared.get_value() + np.float32(2**24 if name == "adam.t" else 1))
    step(*ones, 0.25)
    assert optimizer.state["adam.t"].get_value() == 2**24
    for p in optimizer.parameters:
        np.testing.assert_allclose(p.get_value(), 0.75, rtol=1e-6)


@pytest.mark.parametrize("name, stays", zip(NAMES, [True, False, False, True, True, False]))
def test_a_row_whose_gradient_is_zero_stays_or_moves_on_as_documented(name, stays):
    optimizer, step = compiled(name)
    start(optimizer, [np.ones(SHAPES["U"]), np.ones(SHAPES["W"])])
    U = optimizer.parameters[0]
    seen = np.ones(SHAPES["U"])
    seen[3] = 0  # the last row's token never occurs, the first row's only once
    step(seen, np.ones(SHAPES["W"]), 0.1)
    before = U.get_value()
    state = {key: shared.get_value() for key, shared in optimizer.state.items()}
    seen[0] = 0
    step(seen, np.ones(SHAPES["W"]), 0.1)
    after = U.get_value()
    assert (after[1:3] < before[1:3]).all()
    assert (after[3] == 1).all()
    if stays:
        assert (after[0] == before[0]).all()
    else:
        assert (after[0] < before[0]).all()
    decay = {"momentum": 0.9, "nesterov": 0.9, "adagrad": 1, "rmsprop": 0.9}.get(name)
    decays = {"U.mean": 0.9, "U.square": 0.999} if name == "adam" else dict.fromkeys(state, decay)
    for key in decays:
        if key.startswith("U"):
            new = optimizer.state[key].get_value()
            np.testing.assert_allclose(new[0], decays[key] * state[key][0], rtol=1e-14)


RATES = {  # of 300 steps n: those whose step does not shrink with the gradient need theirs to
    "sgd": lambda n: 0.18,
    "momentum": lambda n: 0.05,
    "nesterov": lambda n: 0.05,
    "adagrad": lambda n: 1.0,
    "rmsprop": lambda n: 0.2 * 0.95**n,
    "adam": lambda n: 0.3 * 0.98**n,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_quadratic_is_minimised(name):
    rng = np.random.default_rng(1)
    Q, _ = np.linalg.qr(rng.normal(size=(21, 21)))
    A = Q @ np.diag(np.linspace(1, 10, 21)) @ Q.T
    minimum = rng.normal(size=21)
    *_, theta = walk(name, np.zeros(21), lambda x: A @ (x - minimum), map(RATES[name], range(300)))
    assert np.linalg.norm(theta - minimum) < 1e-4 * np.linalg.norm(minimum)


# State and dtype


STATE = {
    "sgd": [],
    "momentum": ["U.velocity", "W.velocity", "b.velocity"],
    "nesterov": ["U.velocity", "W.velocity", "b.velocity"],
    "adagrad": ["U.square", "W.square", "b.square"],
    "rmsprop": ["U.square", "W.square", "b.square"],
    "adam": ["U.mean", "U.square", "W.mean", "W.square", "b.mean", "b.square", "adam.t"],
}


@pytest.mark.parametrize("name", NAMES)
def test_state_is_zeros_of_the_parameters_shapes_and_dtype_by_name(name):
    for dtype in ("float32", "float64"):
        parameters, gradients = variables(dtype, SHAPES)
        optimizer = optimizers.Optimizer(name, parameters)
        assert list(optimizer.state) == STATE[name]
        for key, shared in optimizer.state.items():
            value = shared.get_value()
            assert shared.name == key and value.dtype == dtype and not value.any()
            assert value.shape == SHAPES.get(key.split(".")[0], ())
        pairs = optimizer.updates(gradients, 0.1)
        assert {shared for shared, _ in pairs} == {*parameters, *optimizer.state.values()}
        assert len(pairs) == 3 + len(optimizer.state)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_all_arithmetic_is_in_the_dtype_of_the_parameters_whatever_floatX_is(name, dtype, floatX):
    with theano.config.change_flags(floatX=floatX):
        for learning_rate in (0.1, tensor.scalar(dtype=dtype)):
            parameters, gradients = variables(dtype, SHAPES)
            optimizer = optimizers.Optimizer(name, parameters)
            pairs = optimizer.updates(gradients, learning_rate)
            clipped = [clipping.clip_by_norm(gradients, learning_rate)]
            clipped += [clipping.clip_by_value(gradients, learning_rate)]
            new = [expression for _, expression in pairs]
            new += [a for clipped_gradients, norm in clipped for a in [*clipped_gradients, norm]]
            ancestors = theano.graph.basic.ancestors(new)
            dtypes = {variable.dtype for variable in ancestors if hasattr(variable, "dtype")}
            assert dtypes <= {dtype, "int8"} and dtype in dtypes  # the 1 in t + 1 is an int8
            assert all(shared.type == expression.type for shared, expression in pairs)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_two_compiled_functions_continue_one_state(name):
    optimizer, step = compiled(name)
    gradients = [p.type() for p in optimizer.parameters]
    pairs = optimizer.updates([2 * g for g in gradients], 0.1)
    double_step = theano.function(gradients, [], updates=pairs, mode=PYTHON)
    ones = [np.ones(SHAPES["U"]), np.ones(SHAPES["W"])]
    start(optimizer, ones)
    step(*ones, 0.1)
    double_step(*ones)
    step(*ones, 0.1)
    gradients = iter([1.0, 2.0, 1.0])
    *_, expected = ORACLES[name](np.ones(1), lambda theta: next(gradients), [0.1] * 3)
    for p in optimizer.parameters:
        np.testing.assert_allclose(p.get_value(), expected[0], rtol=1e-14)


# Clipping


@functools.cache
def both_clippings():
    a, b, clip = tensor.dmatrix(), tensor.dmatrix(), tensor.dscalar()
    (a_norm, b_norm), norm = clipping.clip_by_norm([a, b], clip)
    (a_value, b_value), norm_too = clipping.clip_by_value([a, b], clip)
    return compile_function([a, b, clip], [a_norm, b_norm, norm, a_value, b_value, norm_too])


def test_clipping_by_norm_rescales_all_gradients_together():
    a, b = np.array([[3.0, 0.0], [0.0, -4.0]]), np.array([[12.0]])  # 3^2 + 4^2 + 12^2 = 13^2
    for clip, scale in ((6.5, 0.5), (13, 1), (100, 1), (1e-3, 1e-3 / 13)):
        a_new, b_new, norm, *_ = both_clippings()(a, b, clip)
        assert norm == pytest.approx(13, rel=1e-15)
        np.testing.assert_allclose(a_new, scale * a, rtol=1e-14)
        np.testing.assert_allclose(b_new, scale * b, rtol=1e-14)


def test_gradients_no_longer_than_the_clip_are_not_touched():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(1, 4))
    a_new, b_new, *_ = both_clippings()(a, b, 100)
    assert (a_new == a).all() and (b_new == b).all()


def test_clipping_by_norm_leaves_zeros():
    a_new, b_new, norm, *_ = both_clippings()(np.zeros((2, 3)), np.zeros((1, 4)), 1)
    assert norm == 0 and (a_new == 0).all() and (b_new == 0).all()


def test_an_infinite_norm_makes_finite_gradients_zero_and_others_nan():
    a_new, b_new, norm, *_ = both_clippings()(np.full((2, 3), 1e200), np.ones((1, 4)), 1)
    assert norm == np.inf and (a_new == 0).all() and (b_new == 0).all()
    a_new, b_new, norm, *_ = both_clippings()(np.full((2, 3), np.inf), np.ones((1, 4)), 1)
    assert norm == np.inf and np.isnan(a_new).all() and (b_new == 0).all()


def test_clipping_by_value_clips_each_entry():
    a, b = np.array([[3.0, -0.5], [0.0, -4.0]]), np.array([[12.0, 1.0]])
    *_, a_new, b_new, norm = both_clippings()(a, b, 1.5)
    assert a_new.tolist() == [[1.5, -0.5], [0, -1.5]] and b_new.tolist() == [[1.5, 1]]
    assert norm == pytest.approx((9 + 0.25 + 16 + 144 + 1) ** 0.5, rel=1e-15)


# What is refused


def one(name="W", dtype="float64"):
    return theano.shared(np.ones((2, 2), dtype), name)


NOT_BELOW_1 = "must be a number from 0 to below 1, not"


@pytest.mark.parametrize(
    "name, constants, message",
    [
        ("Adam", {}, "'Adam' is unknown; use sgd, momentum, nesterov, adagrad, rmsprop or adam"),
        (None, {}, "optimizer None is unknown"),
        ("sgd", {"momentum": 0.9}, "sgd has no constant momentum; its constants are: none"),
        ("adam", {"beta": 0.9}, "no constant beta; its constants are: beta1, beta2, epsilon"),
        ("momentum", {"words": ()}, "momentum has no constant words"),
        ("momentum", {"momentum": 1.0}, f"momentum {NOT_BELOW_1} 1.0"),
        ("nesterov", {"momentum": -0.1}, f"momentum {NOT_BELOW_1} -0.1"),
        ("rmsprop", {"rho": float("nan")}, f"rho {NOT_BELOW_1} nan"),
        ("adam", {"beta2": "0.9"}, f"beta2 {NOT_BELOW_1} '0.9'"),
        ("adam", {"beta1": True}, f"beta1 {NOT_BELOW_1} True"),
        ("adagrad", {"epsilon": 0}, "epsilon must be a positive, finite number, not 0"),
        ("adam", {"epsilon": float("inf")}, "epsilon must be a positive, finite number"),
        ("adam", {"epsilon": 1e-310}, "epsilon is 1e-310, which float64 cannot hold"),
    ],
)
def test_unknown_names_and_bad_constants_are_refused(name, constants, message):
    with pytest.raises(RNNError, match=message):
        optimizers.Optimizer(name, [one()], **constants)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_smallest_epsilon_is_the_smallest_normal_number(dtype):
    tiny = float(np.finfo(dtype).tiny)
    assert (
        optimizers.Optimizer("adam", [one("W", dtype)], epsilon=tiny).constants["epsilon"] == tiny
    )
    with pytest.raises(RNNError, match=f"which {dtype} cannot hold"):
        optimizers.Optimizer("adam", [one("W", dtype)], epsilon=tiny / 2)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ([], r"named \[\]"),
        ([one(None)], r"named \[None\]; give each a name of its own"),
        ([one(), one()], r"named \['W', 'W'\]"),
        ([one("U"), one("W", "float32")], "float32 and float64; make them of one dtype"),
    ],
)
def test_parameters_without_own_names_or_of_two_dtypes_are_refused(parameters, message):
    with pytest.raises(RNNError, match=message):
        optimizers.Optimizer("sgd", parameters)


def test_another_number_of_gradients_than_parameters_is_refused():
    with pytest.raises(RNNError, match="1 gradients for 2 parameters"):
        optimizers.Optimizer("sgd", [one("U"), one("W")]).updates([tensor.dmatrix()], 0.1)


def test_beta_0_is_no_memory():
    adam = optimizers.Optimizer("adam", [one()], beta1=0, beta2=0)
    pairs = adam.updates([tensor.constant(np.full((2, 2), -3.0))], 0.1)
    theano.function([], [], updates=pairs, mode=PYTHON)()
    np.testing.assert_allclose(adam.parameters[0].get_value(), 1.1, rtol=1e-8)
    assert (adam.state["W.mean"].get_value() == -3).all()
    assert (adam.state["W.square"].get_value() == 9).all()


def test_a_new_optimizer_is_one_function_whose_signature_declares_its_state_and_constants(
    monkeypatch,
):
    def signs(p, g, learning_rate, count, *, decay=0.5):
        return [p - learning_rate * tensor.sgn(g), decay * count + 1.0]

    monkeypatch.setitem(optimizers.OPTIMIZERS, "signs", signs)
    with pytest.raises(RNNError, match="signs has no constant rho; its constants are: decay"):
        optimizers.Optimizer("signs", [one()], rho=0.9)
    optimizer = optimizers.Optimizer("signs", [one("W", "float32")], decay=0.25)
    assert list(optimizer.state) == ["W.count"] and optimizer.constants == {"decay": 0.25}
    pairs = optimizer.updates([tensor.constant(np.full((2, 2), -3, "float32"))], 0.5)
    step = theano.function([], [], updates=pairs, mode=PYTHON)
    step()
    step()
    assert (optimizer.parameters[0].get_value() == 2).all()
    assert (optimizer.state["W.count"].get_value() == 1.25).all()
