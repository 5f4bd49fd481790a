"""The schemes themselves: their names, their states and gradients against naive loops, traps."""

import dataclasses
import functools
import tracemalloc

import numpy as np
import pytest
from conftest import CUTTING, IN_PYTHON, PICTURES, SCHEMES, first, some
from hypothesis import given, settings
from hypothesis import strategies as st

from theano_rnn import RNN, RNNError
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.patches import scan_pushout
from theano_rnn.gradcheck import relative_error
from theano_rnn.model import truncation as truncations
from theano_rnn.model.cells import CELLS
from theano_rnn.model.truncation import Truncation
from theano_rnn.reference import NumpyRNN

# Names


@pytest.mark.parametrize(
    "words, expected",
    [
        ({}, "full"),
        ({"truncation": "full"}, "full"),
        ({"truncation": "window:4"}, "window:4"),
        ({"truncation": "window:04"}, "window:4"),
        ({"truncation": "chunk:1"}, "chunk:1"),
        ({"truncation": "last:2147483647"}, "last:2147483647"),
        ({"truncation": "artbp:1000000"}, "artbp:1000000"),
        ({"truncation": "artbp:4:4.0"}, "artbp:4:4"),
        ({"truncation": "artbp:4:2.5"}, "artbp:4:2.5"),
        ({"truncation": "artbp:4:20"}, "artbp:4:20"),
        ({"truncation": f"artbp:4:{10**22}"}, f"artbp:4:{10**22}"),
        ({"bptt_truncate": 4}, "window:4"),
        ({"bptt_truncate": np.int64(4), "truncation": "full"}, "window:4"),
        ({"truncate_gradient": 4}, "last:4"),
        ({"truncate_gradient": -1}, "full"),
        ({"truncate_gradient": np.int64(-1)}, "full"),
    ],
)
def test_every_name_of_a_scheme_is_understood(words, expected):
    truncation = truncations.parse(**words)
    assert str(truncation) == expected
    assert truncation.K is None or type(truncation.K) is int
    assert truncations.parse(str(truncation)) == truncation


UNKNOWN = "use 'full', 'window:K', 'chunk:K', 'last:K' or 'artbp:K' with K a whole number of at"
NOT_ALPHA = "alpha must be a number above 2, not"
NOT_WHOLE = "K must be a whole number of at least 1, not"
BAD_SCHEMES = [
    ("", UNKNOWN),
    ("none", UNKNOWN),
    ("window", UNKNOWN),
    ("Window:4", UNKNOWN),
    (" window:4", UNKNOWN),
    ("full:3", UNKNOWN),
    (":4", UNKNOWN),
    ("window4", UNKNOWN),
    (4, UNKNOWN),
    (None, UNKNOWN),
    (True, UNKNOWN),
    (["window:4"], UNKNOWN),
    ("window:", f"truncation 'window:': {NOT_WHOLE} ''"),
    ("chunk:", f"truncation 'chunk:': {NOT_WHOLE} ''"),
    ("window:-1", f"{NOT_WHOLE} '-1'"),
    ("window:+1", f"{NOT_WHOLE} '\\+1'"),
    ("window:1.5", f"{NOT_WHOLE} '1.5'"),
    ("window: 4", f"{NOT_WHOLE} ' 4'"),
    ("last:4\n", NOT_WHOLE),
    ("last:²", NOT_WHOLE),
    ("last:1_0", NOT_WHOLE),
    ("window:2:3", NOT_WHOLE),
    ("last:K", f"{NOT_WHOLE} 'K'"),
    ("window:0", "truncation 'window:0': K must be a whole number of at least 1, not 0"),
    ("last:000", "at least 1, not 0"),
    ("chunk:2147483648", "longer than any sequence; use 'full'"),
    ("chunk:" + "9" * 5000, "longer than any sequence; use 'full'"),
    ("artbp", UNKNOWN),
    ("artbp:0", "truncation 'artbp:0': K must be a whole number of at least 2, not 0"),
    ("artbp:1", "at least 2, not 1; with 1 every step would be cut"),
    ("artbp::4", "at least 2, not ''"),
    ("artbp:4:", f"{NOT_ALPHA} ''"),
    ("artbp:4:1", f"{NOT_ALPHA} '1'"),
    ("artbp:4:2", f"{NOT_ALPHA} '2'"),
    ("artbp:4:nan", f"{NOT_ALPHA} 'nan'"),
    ("artbp:4:5:6", f"{NOT_ALPHA} '5:6'"),
    ("artbp:4:" + "9" * 500, NOT_ALPHA),
    ("adaptive:0.1", "only train takes it: give 'window:K' or 'chunk:K'"),
]


@pytest.mark.parametrize("truncation, message", BAD_SCHEMES)
def test_bad_schemes_are_refused_with_what_to_do(truncation, message):
    for make in (truncations.parse, lambda name: RNN(5, 3, truncation=name)):
        with pytest.raises(RNNError, match=message) as error:
            make(truncation)
        assert len(str(error.value)) < 300
    if "2147483648" not in str(truncation) and len(str(truncation)) < 100:
        with pytest.raises(ValueError):
            NumpyRNN(
                {"U": np.zeros((3, 5)), "V": np.zeros((5, 3)), "W": np.zeros((3, 3))}, truncation
            )


@pytest.mark.parametrize("word", ["bptt_truncate", "truncate_gradient"])
@pytest.mark.parametrize(
    "K", [0, -2, 1.0, -1.0, np.nan, True, False, "4", [4], np.array(4), np.array([4, 4]), 2**31]
)
def test_old_words_take_whole_numbers_of_at_least_one(word, K):
    with pytest.raises(RNNError, match=f"{word}: K "):
        truncations.parse(**{word: K})


def test_minus_one_is_theanos_word_for_full_and_no_other():
    with pytest.raises(RNNError, match=r"bptt_truncate: K must be .* at least 1, not -1"):
        truncations.parse(bptt_truncate=-1)


@pytest.mark.parametrize(
    "words",
    [
        {"bptt_truncate": 4, "truncate_gradient": 4},
        {"bptt_truncate": 4, "truncate_gradient": -1},
        {"bptt_truncate": 4, "truncation": "window:4"},
        {"truncate_gradient": 4, "truncation": "chunk:2"},
    ],
)
def test_two_schemes_at_once_are_refused(words):
    with pytest.raises(RNNError, match="name more than one scheme; give one of them") as error:
        truncations.parse(**words)
    assert all(word in str(error.value) for word in words)


def test_full_read_from_a_file_is_the_default():
    full = "".join(["fu", "ll"])  # another object than the literal
    assert truncations.parse(full, bptt_truncate=4) == Truncation("window", 4)
    assert truncations.parse(full) == Truncation("full")


def test_a_truncation_is_a_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Truncation("window", 4).K = 5
    assert len({Truncation("window", 4), Truncation("window", 4), Truncation("chunk", 4)}) == 2


def test_a_truncation_cannot_be_changed_after_the_graph_is_made():
    # The tutorial's gradient check sets bptt_truncate = 1000 on a compiled model, to no effect.
    model = RNN(5, 3, bptt_truncate=4)
    for name in ("bptt_truncate", "truncate_gradient", "truncation"):
        with pytest.raises(AttributeError):
            setattr(model, name, 1000)
    assert model.truncation == "window:4"


# States and gradients against naive loops


def hears(scheme, K, T):
    """(T, T) booleans: which step j (column) the error of which output t (row) reaches."""
    t, j = np.ogrid[1 : T + 1, 1 : T + 1]  # counted from 1, as the sums are written
    return {
        "full": lambda: j <= t,
        "window": lambda: (np.maximum(1, t - K) <= j) & (j <= t),
        "chunk": lambda: (K * ((t - 1) // K) + 1 <= j) & (j <= t),
        "last": lambda: (T - K + 1 <= t) & (T - K + 1 <= j) & (j <= t),
    }[scheme]()


@pytest.mark.parametrize("picture", PICTURES)
def test_the_oracle_of_this_file_draws_the_pictures_of_the_table(picture):
    *rows, terms = PICTURES[picture]
    scheme, _, K = picture.partition(":")
    matrix = hears(scheme, int(K or 0), T=6)
    assert ["".join(".x"[heard] for heard in row) for row in matrix.astype(int)] == rows
    assert matrix.sum() == terms


def naive(scheme, K, p, s_0, W, R, derivative=lambda s: 1 - s**2, activation=np.tanh):
    """s, and the gradients of sum(R * s) with respect to p, s_0 and W, of one sequence."""
    T = len(p)
    s = [s_0]  # s[j + 1] is the state of step j
    for t in range(T):
        s.append(activation(p[t] + W @ s[-1]))
    dp, ds_0, dW = np.zeros_like(p), np.zeros_like(s_0), np.zeros_like(W)
    for t, row in enumerate(hears(scheme, K, T)):
        delta = R[t] * derivative(s[t + 1])
        for j in range(t, -1, -1):
            if not row[j]:
                break
            dp[j] += delta
            dW += np.outer(delta, s[j])
            error = W.T @ delta
            delta = error * derivative(s[j])
            if j == 0:
                ds_0 += error
    return np.stack(s[1:]), dp, ds_0, dW


def one_layer(cell, W):
    """The stack of a single recurrence, as ``truncation.states`` runs it."""

    def run(loop, inputs, starts):
        return loop(cell.step, inputs[0], starts, cell.weights(W))

    return run


@pytest.mark.parametrize("scheme", ["window", "chunk"])
def test_a_sequence_that_is_over_keeps_its_state_under_every_scheme(scheme, uncompiled):
    p, s_0, W = (np.random.default_rng(0).normal(size=n) for n in ((5, 3, 2), (3, 2), (2, 2)))
    mask = np.arange(5)[:, None] < [5, 3, 1]
    values = [theano.shared(v) for v in (p, s_0, mask)]
    run = one_layer(CELLS["tanh"], theano.shared(W))
    (s,) = truncations.states(Truncation(scheme, 2), run, [values[0]], [values[1]], values[2])
    s = theano.function([], s)()
    for b, T in enumerate((5, 3, 1)):
        expected, *_ = naive("full", None, p[:T, b], s_0[b], W, np.zeros((T, 2)))
        np.testing.assert_allclose(s[:T, b], expected, atol=1e-15)
        np.testing.assert_allclose(s[T:, b], np.tile(expected[-1], (5 - T, 1)), atol=1e-15)


@functools.cache
def functional(scheme):
    """f(p, s_0, W, R, K) -> s, and the gradients of sum(R * s), for any T, B, H and K."""
    p, R = tensor.dtensor3("p"), tensor.dtensor3("R")
    s_0, W, K = tensor.dmatrix("s_0"), tensor.dmatrix("W"), tensor.lscalar("K")
    run = one_layer(CELLS["tanh"], W)
    (s,) = truncations.states(Truncation(scheme, K), run, [p], [s_0])
    gradients = theano.grad((R * s).sum(), [p, s_0, W])
    inputs = [p, s_0, W, R] + ([] if scheme == "full" else [K])
    function = compile_function(inputs, [s, *gradients])
    return lambda p, s_0, W, R, K: function(p, s_0, W, R, *([] if scheme == "full" else [K]))


def sequences(seed, T, B, H):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, shape) for shape in ((T, B, H), (B, H), (H, H), (T, B, H))]


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(deadline=None, max_examples=some(60))
@given(
    T=st.integers(1, 8),
    B=st.integers(1, 4),
    H=st.integers(1, 6),
    K=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_sequence_of_a_batch_equals_the_naive_loop_on_it_alone(scheme, T, B, H, K, seed):
    p, s_0, W, R = sequences(seed, T, B, H)
    s, dp, ds_0, dW = functional(scheme)(p, s_0, W, R, K)
    alone = [naive(scheme, K, p[:, b], s_0[b], W, R[:, b]) for b in range(B)]
    for b, (s_b, dp_b, ds_0_b, _) in enumerate(alone):
        np.testing.assert_allclose(s[:, b], s_b, rtol=0, atol=1e-13)
        np.testing.assert_allclose(dp[:, b], dp_b, rtol=0, atol=1e-12)
        np.testing.assert_allclose(ds_0[b], ds_0_b, rtol=0, atol=1e-12)
    np.testing.assert_allclose(dW, sum(dW_b for *_, dW_b in alone), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scheme", CUTTING)
def test_a_cut_no_shorter_than_the_sequence_is_no_cut(scheme):
    p, s_0, W, R = sequences(1, T=6, B=2, H=3)
    full = functional("full")(p, s_0, W, R, None)
    enough = 5 if scheme == "window" else 6
    for K in (enough, enough + 1, 1000, 2**31 - 1):
        for a, b in zip(functional(scheme)(p, s_0, W, R, K), full):
            assert relative_error(a, b) < 1e-14
    _, dp, _, _ = functional(scheme)(p, s_0, W, R, enough - 1)
    assert relative_error(dp, full[1]) > 1e-3


def test_the_initial_state_learns_nothing_under_last_until_K_reaches_it():
    p, s_0, W, R = sequences(2, T=6, B=2, H=3)
    for K in range(1, 6):
        assert not functional("last")(p, s_0, W, R, K)[2].any()
    assert functional("last")(p, s_0, W, R, 6)[2].all()
    for scheme in ("window", "chunk"):
        assert functional(scheme)(p, s_0, W, R, 1)[2].all()


def test_under_last_a_short_sequence_in_a_padded_batch_learns_nothing():
    # Padded on the right to T = 6 steps, its loss masked: the last K steps are all padding.
    p, s_0, W, R = sequences(5, T=6, B=2, H=3)
    K, length = 2, 4
    R[length:, 1] = 0
    for scheme, is_lost in (("last", True), ("window", False), ("chunk", False)):
        _, dp, _, _ = functional(scheme)(p, s_0, W, R, K)
        assert dp[:, 0].any()
        assert (not dp[:, 1].any()) == is_lost
    # Alone, in its own length, it learns under last as well.
    _, dp, _, _ = functional("last")(p[:length, 1:], s_0[1:], W, R[:length, 1:], K)
    assert dp.any()


# Traps of theano-pymc 1.1.2


def stock_scan(truncate_gradient):
    """dE/dW of a recurrence with the truncation as theano.scan takes it; (B, H) states."""
    p, s_0, W = tensor.dtensor3("p"), tensor.dmatrix("s_0"), tensor.dmatrix("W")
    s, _ = theano.scan(
        lambda p_t, s_before, W: tensor.tanh(p_t + s_before.dot(W)),
        sequences=[p],
        outputs_info=[s_0],
        non_sequences=[W],
        truncate_gradient=truncate_gradient,
        strict=True,
    )
    K = [truncate_gradient] if isinstance(truncate_gradient, tensor.TensorVariable) else []
    plain = theano.compile.mode.get_default_mode().excluding("native_loop")
    return theano.function([p, s_0, W, *K], theano.grad(s.sum(), W), mode=plain)


@pytest.mark.parametrize(
    "K, defect",
    first(1, [(0, NotImplementedError), (True, TypeError), ("symbolic -1", IndexError)]),
)
def test_what_theano_fails_on_late_is_refused_before_a_graph_is_made(K, defect):
    p, s_0, W, _ = sequences(3, T=5, B=2, H=3)
    symbol = tensor.lscalar("K")
    with pytest.raises(defect):
        if K == "symbolic -1":
            stock_scan(symbol)(p, s_0, W, -1)
        else:
            stock_scan(K)(p, s_0, W)
    with pytest.raises(RNNError, match="truncate_gradient: K "):
        truncations.parse(truncate_gradient=symbol if K == "symbolic -1" else K)


RECTIFIERS = {
    "ReLU": (tensor.nnet.relu, lambda z: np.maximum(z, 0), lambda s: (s > 0) * 1.0),
    "identity": (lambda z: z, lambda z: z, lambda s: 1.0),
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_piecewise_linear_cells_in_minibatches_equal_numpy_under_last(name, monkeypatch):
    # Theano issue 4652: scanOp_pushout_output moves the product of dW out of the loop and takes
    # all T steps of the states for it, where the loop has made K steps of errors.
    phi, activation, derivative = RECTIFIERS[name]
    values = sequences(4, T=6, B=3, H=4)
    p, s_0, W, R = (tensor.TensorType("float64", [False] * v.ndim)() for v in values)

    def step(p_t, before, weights, read):
        return {"s": phi(p_t + tensor.dot(read(before[0]), weights[0]))}

    run = one_layer(dataclasses.replace(CELLS["tanh"], equations=step), W)
    (s,) = truncations.states(Truncation("last", 4), run, [p], [s_0])
    gradients = theano.grad((R * s).sum(), [p, W])
    with monkeypatch.context() as shipped:
        shipped.setattr(
            scan_pushout.PushOutScanOutput, "push_out_inner_vars", scan_pushout.shipped
        )
        with pytest.raises(ValueError, match=r"the inner sizes differ|not aligned"):  # C, Python
            compile_function([p, s_0, W, R], [s, *gradients])(*values)
    s, dp, dW = compile_function([p, s_0, W, R], [s, *gradients])(*values)
    p, s_0, W, R = values
    alone = [
        naive("last", 4, p[:, b], s_0[b], W, R[:, b], derivative, activation) for b in range(3)
    ]
    for b, (s_b, dp_b, _, _) in enumerate(alone):
        np.testing.assert_allclose(s[:, b], s_b, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(dp[:, b], dp_b, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dW, sum(dW_b for *_, dW_b in alone), rtol=1e-12, atol=1e-14)


def test_the_memory_of_a_window_does_not_grow_with_K(random):
    x, y = random.integers(5, size=(2, 2000))
    peaks = []
    for K in (4, 40):
        model = RNN(5, 8, truncation=f"window:{K}", dtype="float64")
        model.bptt(x[:50], y[:50])  # to compile it
        tracemalloc.start()
        model.bptt(x, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_windows_apart_have_the_gradient_of_a_window_with_masks_of_dropout_too(random):
    kinds = ("states", "input", "recurrent", "weights")
    net = RNN(7, 3, cell="lstm", layers=2, dtype="float64")
    x, y = random.integers(7, size=(2, 6, 2))
    masks = [
        random.random(size) for size in [(2, 6, 2, 3), (1, 6, 2, 12), (2, 1, 2, 3), (2, 12, 3)]
    ]
    found = []
    for scheme in ("window", "windows apart"):
        symbols, _, made = net.network(False, kinds, truncation=Truncation(scheme, 2))
        gradients = theano.grad(made.loss, list(net.shared.values()))
        f = theano.function(symbols, gradients, mode=IN_PYTHON)
        found.append(f(x, y.ravel(), np.zeros((2, 12)), *masks))
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
