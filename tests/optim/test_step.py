"""A training step against formulas on the gradients of NumpyRNN, and what a step leaves alone."""

import functools
import itertools

import numpy as np
import pytest
from conftest import first, function_in_python
from kinds import assert_same
from test_optimizers import ORACLES
from theano.graph.basic import io_toposort

from theano_rnn import RNN, RNNError
from theano_rnn.common.errors import NotFinite
from theano_rnn.engine import theano
from theano_rnn.model import dropout
from theano_rnn.optim import step as step_module
from theano_rnn.optim.step import Step
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.omega import omega as reference_omega

H, VOCAB = 4, 7
OPTIMIZERS = tuple(ORACLES)
LAZY = ("sgd", "adagrad", "rmsprop")  # a gradient of 0 moves nothing


@pytest.fixture(autouse=True)
def quickly_compiled(monkeypatch):
    monkeypatch.setattr("theano_rnn.optim.step.compile_function", function_in_python)
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", function_in_python)


class Case:
    """A model with random parameters, a step of it, and the gradients it should take.

    ``kind`` is that of ``kinds.KINDS``, what it does not say as there by default.
    """

    def __init__(self, kind, truncation="full", dtype="float64", dropout=0.0, **settings):
        self.kind, self.truncation = kind, truncation
        self.model = RNN(
            VOCAB,
            H,
            **{n: value for n, value in kind.items() if n not in ("embedding", "projection")},
            embedding_size=H + kind.get("projection", 0) if kind.get("embedding") else None,
            truncation=truncation,
            dropout=dropout,
            dtype=dtype,
        )
        rng = np.random.default_rng(0)
        shapes = self.model.architecture.shapes
        self.model.set_parameters({n: rng.uniform(-1, 1, shape) for n, shape in shapes.items()})
        self.step = Step(self.model, **settings)
        self.first = self.model.parameters(), self.step.state()

    def restart(self):
        parameters, state = self.first
        self.model.set_parameters(parameters)
        self.step.set_state(state)

    def oracle(self):
        exact = {n: p.astype("float64") for n, p in self.model.parameters().items()}
        return NumpyRNN(exact, self.truncation, **self.kind)

    def mean_gradient(self, x, y, mask=None, kept=None):
        """dE / B."""
        gradients = self.oracle().bptt(x, y, mask=mask, kept=kept)
        B = np.shape(x)[1] if np.ndim(x) == 2 else 1
        return {name: g / B for name, g in gradients.items()}

    def bits(self):
        """All that a step may change."""
        arrays = {**self.model.parameters(), **self.step.state()}
        return {n: a.tobytes() for n, a in arrays.items()}, str(
            self.model.random.bit_generator.state
        )


def batch(seed, T, B, vocab_size=VOCAB):
    return np.random.default_rng(seed).integers(vocab_size, size=(2, T, B))


def masked_batch(seed, lengths):
    x, y = batch(seed, max(lengths), len(lengths))
    return x, y, np.arange(len(x))[:, None] < np.array(lengths)


def norm(gradients):
    return np.sqrt(sum((g**2).sum() for g in gradients.values()))


def clipped(gradients, clip_by, clip):
    if not clip:
        return gradients
    if clip_by == "value":
        return {name: np.clip(g, -clip, clip) for name, g in gradients.items()}
    scale = min(1, clip / norm(gradients))
    return {name: scale * g for name, g in gradients.items()}


def descended(parameters, gradients, learning_rate):
    return {name: p - learning_rate * gradients[name] for name, p in parameters.items()}


# Optimizers


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip_by", [None, "norm", "value"])
def test_whatever_the_optimizer_a_step_runs_the_recurrence_once_and_once_back(
    optimizer, clip_by, monkeypatch
):
    graphs = []

    def captured(inputs, outputs, updates, name, precision):
        graphs.append([*outputs, *(new for _, new in updates)])

    monkeypatch.setattr("theano_rnn.optim.step.compile_function", captured)
    Step(RNN(VOCAB, H, bias=True), optimizer, clip_by=clip_by).function(False, False)
    (expressions,) = graphs
    scans = [a for a in io_toposort([], expressions) if type(a.op).__name__ == "Scan"]
    assert len(scans) == 2


@functools.cache
def optimizing(optimizer):
    """A tanh net with biases, clipped by norm, compiled for batches without a mask."""
    return Case({"bias": True}, optimizer=optimizer)


@pytest.mark.parametrize(
    "optimizer",
    [  # each is tested against a loop in NumPy in test_optimizers.py too
        pytest.param(name, marks=() if name in ("sgd", "momentum", "adam") else pytest.mark.slow)
        for name in OPTIMIZERS
    ],
)
def test_steps_in_a_row_are_those_of_the_papers_on_the_clipped_gradients_of_numpy(optimizer):
    case = optimizing(optimizer)
    case.restart()
    model, oracle, names = case.model, case.oracle(), list(case.model.parameters())
    batches = [batch(1, 5, 3), batch(2, 3, 2), batch(3, 6, 4)]
    rates, clip, losses, norms = [0.1, 0.2, 0.05], 2.7, [], []
    shapes = model.architecture.shapes
    ends = np.cumsum([np.prod(shape) for shape in shapes.values()])

    def parted(theta):
        parts = zip(shapes.items(), np.split(theta, ends[:-1]))
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def joined(values):
        return np.concatenate([values[name].ravel() for name in names])

    upcoming = iter(batches)

    def gradient(theta):
        x, y = next(upcoming)
        oracle.set_parameters(parted(theta))
        losses.append(oracle.ce_error(x, y))
        gradients = {name: g / x.shape[1] for name, g in oracle.bptt(x, y).items()}
        norms.append(norm(gradients))
        return joined(clipped(gradients, "norm", clip))

    expected = ORACLES[optimizer](joined(model.parameters()), gradient, rates)
    for (x, y), rate, theta in zip(batches, rates, expected):
        loss, found, _ = case.step(x, y, rate, clip)
        assert loss == pytest.approx(losses[-1], rel=1e-12)
        assert found == pytest.approx(norms[-1], rel=1e-12)
        assert_same(model.parameters(), parted(theta), 1e-10)
    assert min(norms) < clip < max(norms)


@pytest.mark.parametrize("optimizer", first(2, OPTIMIZERS))
def test_columns_of_U_without_their_token_stay_or_move_on_as_the_optimizer_says(optimizer):
    case = optimizing(optimizer)
    case.restart()
    _, y = batch(4, 3, 2)
    case.step([[0, 1], [2, 2], [1, 0]], y, 0.1)
    before = case.model.parameters()["U"]
    case.step([[3, 4], [4, 3], [3, 3]], y, 0.1)
    same = case.model.parameters()["U"] == before  # (H, vocab_size), not one bit of difference
    assert not same[:, 3:5].any()
    assert same[:, 5:].all()  # never seen
    assert same[:, :3].all() if optimizer in LAZY else not same[:, :3].any()


def test_a_step_goes_on_exactly_from_a_saved_state():
    case = optimizing("adam")
    case.restart()
    x, y = batch(5, 4, 2)
    case.step(x, y, 0.1)
    parameters, state = case.model.parameters(), case.step.state()
    assert state["adam.t"] == 1 and state["U.mean"].shape == (VOCAB, H)
    case.step(x, y, 0.1)
    once = case.bits()
    case.step(x, y, 0.1)
    assert case.bits() != once
    case.model.set_parameters(parameters)
    case.step.set_state(state)
    case.step(x, y, 0.1)
    assert case.bits() == once


def test_constants_reach_the_optimizer():
    assert (
        Step(optimizing("sgd").model, "momentum", momentum=0.5).optimizer.constants["momentum"]
        == 0.5
    )


# What is divided, and what is handed on


def test_a_batch_of_copies_of_a_sentence_makes_the_step_of_that_sentence():
    case = optimizing("sgd")
    case.restart()
    x, y = batch(6, 6, 1)
    loss, norm, after = case.step(x[:, 0], y[:, 0], 0.1, 0.5)
    alone = case.model.parameters()
    case.restart()
    copies = case.step(np.repeat(x, 3, axis=1), np.repeat(y, 3, axis=1), 0.1, 0.5)
    assert copies[0] == pytest.approx(3 * loss, rel=1e-13)
    assert copies[1] == pytest.approx(norm, rel=1e-12)
    np.testing.assert_allclose(copies[2], np.repeat(after, 3, axis=0), atol=1e-14)
    assert_same(case.model.parameters(), alone, 1e-14)


def test_pieces_of_K_tokens_that_hand_on_the_state_add_up_to_the_gradient_of_chunk_K():
    case = optimizing("sgd")
    case.restart()
    before, total, state = case.model.parameters(), 0.0, None
    x, y = batch(7, 6, 2)
    moved = {name: 0 for name in before}
    for begin in (0, 2, 4):
        case.restart()
        piece = slice(begin, begin + 2)
        loss, _, state = case.step(x[piece], y[piece], 0.5, state=state)
        total += loss
        after = case.model.parameters()
        moved = {name: moved[name] + (before[name] - after[name]) / 0.5 for name in before}
    oracle = NumpyRNN(before, "chunk:2", **case.kind)
    assert total == pytest.approx(oracle.ce_error(x, y), rel=1e-13)
    expected = {name: g / 2 for name, g in oracle.bptt(x, y).items()}
    assert_same(moved, expected, 1e-13)
    last = [oracle.hidden_states(x[:, b])[5] for b in range(2)]
    np.testing.assert_allclose(state, last, rtol=0, atol=1e-14)


# SGD by the rows that occur

#: kind, truncation, clip_by, and what is fed: one sequence, a batch, one with a mask.
SPARSE = {
    "lstm alone": ({"cell": "lstm", "bias": True}, "full", "norm", [(3,), (7,)]),
    # Shorter and longer than its units are many, the norm of dV is found without dV.
    "large V alone": ({"bias": True}, "full", "norm", [(3,), (7,)]),
    "tied batch": ({"bias": True, "tied": True}, "window:2", "norm", [(3, 3), (6, 6, 6)]),
    "tied alone": ({"tied": True}, "full", "norm", [(3,), (7,)]),
    "tied embedding masked": (
        {"cell": "gru", "tied": True, "embedding": True},
        "last:2",
        "norm",
        [(3, 5, 1)],
    ),
    "projection": (
        {"tied": True, "bias": True, "embedding": True, "projection": True},
        "full",
        "norm",
        [(3,), (5, 2)],
    ),
    "embedding by value": ({"embedding": True, "bias": True}, "chunk:2", "value", [(5, 2)]),
    "two layers": ({"cell": "relu", "layers": 2}, "full", None, [(4, 4), (2, 2, 2)]),
}


@functools.cache
def sparse(name):
    kind, truncation, clip_by, _ = SPARSE[name]
    return Case(kind, truncation, clip_by=clip_by)


def fed(seed, lengths):
    """One sequence or a batch of these lengths, each token of it several times."""
    x, y, mask = masked_batch(seed, lengths)
    x = x % 3 + 1
    if len(lengths) == 1:
        return x[:, 0], y[:, 0], None
    return x, y, None if mask.all() else mask


@pytest.mark.parametrize("name", first(2, SPARSE))
def test_sgd_by_rows_is_that_of_whole_matrices_and_reports_the_norm_before_clipping(
    name, monkeypatch
):
    if name == "large V alone":
        monkeypatch.setattr(step_module, "SMALL", 0)
    case, (_, _, clip_by, many) = sparse(name), SPARSE[name]
    assert case.step.is_sparse
    for lengths, clip in itertools.product(many, (0.05, 50) if clip_by else (None,)):
        case.restart()
        x, y, mask = fed(1, lengths)
        gradients, before = case.mean_gradient(x, y, mask), case.model.parameters()
        expected_loss = case.oracle().ce_error(x, y, mask)
        loss, found, _ = case.step(x, y, 0.3, clip, mask=mask)
        assert loss == pytest.approx(expected_loss, rel=1e-13)
        if clip_by is None:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(norm(gradients), rel=1e-12)
            largest = max(abs(g).max() for g in gradients.values())
            assert 0.05 < (largest if clip_by == "value" else found) < 50
        expected = descended(before, clipped(gradients, clip_by, clip), 0.3)
        assert_same(case.model.parameters(), expected, 1e-13)


@pytest.mark.parametrize("name", first(1, ["lstm alone", "tied batch", "embedding by value"]))
def test_a_clip_of_0_or_None_is_no_clipping(name):
    case, (*_, many) = sparse(name), SPARSE[name]
    x, y, mask = fed(2, many[0])
    results = []
    for clip in (None, 0, 0.0, 1e9):
        case.restart()
        case.step(x, y, 0.3, clip, mask=mask)
        results.append(case.bits())
    assert results[0] == results[1] == results[2] == results[3]
    before = case.first[0]
    case.restart()
    assert_same(
        {n: before[n] - p for n, p in case.model.parameters().items()},
        {n: 0 * p for n, p in before.items()},
    )
    expected = descended(before, case.mean_gradient(x, y, mask), 0.3)
    case.step(x, y, 0.3, mask=mask)
    assert_same(case.model.parameters(), expected, 1e-13)


def test_what_stands_in_the_padding_changes_no_bit_of_a_step():
    case = sparse("tied embedding masked")
    x, y, mask = fed(3, (3, 5, 1))
    results = []
    for padding in (0, -1, 2**40):
        case.restart()
        tokens = np.where(mask, x, padding), np.where(mask, y, padding)
        results.append((case.step(*tokens, 0.3, 0.5, mask=mask)[:2], case.bits()))
    assert results[0] == results[1] == results[2]


def test_the_table_is_updated_by_rows_under_sgd_without_l2_alone():
    model, tied = optimizing("sgd").model, sparse("tied batch").model
    assert Step(model).is_sparse and Step(model, clip_by="value").is_sparse
    assert Step(tied).is_sparse and not Step(tied, clip_by="value").is_sparse
    assert not Step(model, l2=0.1).is_sparse and not Step(model, "adam").is_sparse


def test_a_tied_table_cut_by_value_is_cut_after_its_two_uses_are_added():
    case = Case({"tied": True}, clip_by="value")
    x, y, _ = fed(4, (4, 4))
    gradients, before = case.mean_gradient(x, y), case.model.parameters()
    case.step(x, y, 0.3, 0.1)
    expected = descended(before, clipped(gradients, "value", 0.1), 0.3)
    assert_same(case.model.parameters(), expected, 1e-14)


# Regularizers


def test_l2_is_added_to_the_gradient_of_every_matrix_and_of_no_bias_before_clipping():
    case = Case({"bias": True, "layers": 2}, l2=0.2)
    x, y = batch(8, 3, 2, vocab_size=3)
    gradients, before = case.mean_gradient(x, y), case.model.parameters()
    total = {n: g + 0.2 * before[n] * (g.ndim == 2) for n, g in gradients.items()}
    assert sorted(n for n, g in gradients.items() if g.ndim == 1) == ["b", "b2", "c"]
    loss, found, _ = case.step(x, y, 0.1, 1.0)
    assert loss == pytest.approx(NumpyRNN(before, **case.kind).ce_error(x, y), rel=1e-13)
    assert found == pytest.approx(norm(total), rel=1e-12) and found > 1
    expected = descended(before, clipped(total, "norm", 1.0), 0.1)
    assert_same(case.model.parameters(), expected, 1e-13)
    assert (case.model.parameters()["U"] != before["U"]).all()  # of tokens that do not occur too


#: Of a Step: by rows, of a tied table by rows, of all rows with the state of an optimizer.
DECAYED = [
    ({"bias": True}, {"clip_by": None}),
    ({"bias": True, "tied": True}, {"clip_by": "norm"}),
    ({"bias": True, "layers": 2}, {"clip_by": "value"}),
    ({"bias": True}, {"optimizer": "adam"}),
    ({"tied": True}, {"optimizer": "momentum", "clip_by": "value"}),
]


@pytest.mark.parametrize("kind, settings", first(2, DECAYED))
def test_decay_takes_a_share_of_every_matrix_and_of_no_bias_and_is_not_clipped(kind, settings):
    plain, case = Case(kind, **settings), Case(kind, weight_decay=0.2, **settings)
    assert case.step.is_sparse == plain.step.is_sparse
    x, y = batch(8, 3, 2, vocab_size=3)
    before, clip = case.model.parameters(), 0.05 if case.step.clip_by else None
    plain.model.set_parameters(before)
    assert plain.step(x, y, 0.1, clip)[:2] == pytest.approx(
        case.step(x, y, 0.1, clip)[:2], rel=1e-13, nan_ok=True
    )
    expected = {
        n: p - 0.02 * before[n] * (p.ndim == 2) for n, p in plain.model.parameters().items()
    }
    assert_same(case.model.parameters(), expected, 1e-14)
    assert (case.model.parameters()["U"] != before["U"]).all()  # of tokens that do not occur too


DERIVATIVES = {"tanh": lambda s: 1 - s**2, "sigmoid": lambda s: s * (1 - s)}


def errors(case, x, y, K):
    """dE/dz_t and dE/ds_t of every layer of one sequence, (layers, T, H), by hand.

    ds_t = what comes from above + W' dz_{t+1}, the latter not across the end of a chunk.
    """
    oracle, T = case.oracle(), len(x)
    p, layers = oracle.parameters(), oracle.layers
    s = oracle.hidden_states(x).reshape(T + 1, layers, H)
    V = p["V"] if "V" in p else p["U"].T
    d_logits = oracle.forward_propagation(x) - np.eye(VOCAB)[y]  # (T, vocab_size)
    dz, ds = np.zeros((2, layers, T, H))
    for t, l in itertools.product(reversed(range(T)), reversed(range(layers))):
        above = V.T @ d_logits[t] if l == layers - 1 else p[f"U{l + 2}"].T @ dz[l + 1, t]
        is_end = t + 1 == T or (K is not None and (t + 1) % K == 0)
        ds[l, t] = above + (0 if is_end else p[f"W{l + 1 if l else ''}"].T @ dz[l, t + 1])
        dz[l, t] = ds[l, t] * DERIVATIVES[oracle.cell](s[t, l])
    dW = oracle.bptt(x, y)["W"]  # dW = sum_t dz_t s_{t-1}'
    np.testing.assert_allclose(dz[0].T @ np.roll(s[:, 0], 1, axis=0)[:-1], dW, atol=1e-12)
    return dz, ds


OMEGAS = {
    "full": ({"layers": 2}, "full", (5, 5), {"clip_by": "norm"}),
    "chunk": (
        {"cell": "sigmoid", "bias": True, "tied": True},
        "chunk:2",
        (6, 3, 1),
        {"clip_by": "value", "l2": 0.1, "dtype": "float32"},
    ),
}


@pytest.mark.parametrize("name", first(1, OMEGAS))
def test_omega_adds_its_gradient_to_that_of_each_W_before_clipping(name):
    kind, truncation, lengths, settings = OMEGAS[name]
    case = Case(kind, truncation, omega=2.0, **settings)
    x, y, mask = masked_batch(9, lengths)
    T, B, layers = *x.shape, kind.get("layers", 1)
    K = 2 if name == "chunk" else None
    dz, ds = np.zeros((2, layers, T, B, H))
    for b, n in enumerate(lengths):
        dz[:, :n, b], ds[:, :n, b] = errors(case, x[:n, b], y[:n, b], K)
    is_first = None if K is None else [t > 0 and t % K == 0 for t in range(T)]
    total, before = case.mean_gradient(x, y, mask), case.model.parameters()
    for l in range(layers):
        W = f"W{l + 1 if l else ''}"
        added = reference_omega(before[W].astype(float), dz[l] / B, ds[l] / B, mask, is_first)[1]
        assert abs(added).max() > 0.01
        total[W] = total[W] + 2.0 * added
    l2 = settings.get("l2", 0)
    total = {n: g + l2 * before[n] * (g.ndim == 2) for n, g in total.items()}
    tolerance = 1e-5 if case.model.dtype == "float32" else 1e-12
    with theano.config.change_flags(floatX="float64"):  # neither may depend on it
        _, found, _ = case.step(x, y, 0.1, 0.5, mask=None if mask.all() else mask)
    assert found == pytest.approx(norm(total), rel=tolerance)
    expected = descended(before, clipped(total, settings["clip_by"], 0.5), 0.1)
    assert_same(case.model.parameters(), expected, tolerance)
    assert {p.dtype for p in case.model.parameters().values()} == {np.dtype(case.model.dtype)}


#: kind, truncation, lengths, settings of the Step.
PENALIZED = {
    "lstm masked": (
        {"cell": "lstm", "bias": True, "layers": 2},
        "window:2",
        (3, 5, 1),
        {"ar": 2.0, "tar": 1.0},
    ),
    "by rows, one token": ({"bias": True}, "full", (1,), {"ar": 2.0, "tar": 1.0}),
    "by rows, alone": ({"tied": True}, "chunk:2", (6,), {"tar": 1.0}),
    "last": ({"cell": "gru", "tied": True, "embedding": True}, "last:2", (4, 6), {"tar": 3.0}),
    "whole matrices": ({"embedding": True, "bias": True}, "full", (4, 4), {"ar": 2.0, "l2": 0.1}),
    "dropout": ({"layers": 2}, "full", (4, 4), {"ar": 2.0, "tar": 1.0}),
    "float32": ({}, "full", (4, 3), {"ar": 2.0, "tar": 1.0, "dtype": "float32"}),
}


@pytest.mark.parametrize("name", first(2, PENALIZED))
def test_penalties_on_the_states_change_the_gradient_and_not_the_reported_loss(name):
    kind, truncation, lengths, settings = PENALIZED[name]
    case = Case(kind, truncation, dropout=0.5 * (name == "dropout"), **settings)
    assert case.step.is_sparse == ("l2" not in settings)
    (x, y, mask), B = masked_batch(9, lengths), len(lengths)
    given = {"mask": mask, "kept": np.ones((*x.shape, case.oracle().layers, H))}
    if name == "dropout":
        states = drawn(case.model, x.shape, np.random.default_rng(3)).states  # (layers, T, B, H)
        given["kept"] = states.transpose(1, 2, 0, 3)
    weights = {name: settings.get(name, 0.0) for name in ("ar", "tar")}
    before, l2 = case.model.parameters(), settings.get("l2", 0)
    gradients = case.oracle().bptt(x, y, **given, **weights)
    gradients = {n: g / B + l2 * before[n] * (g.ndim == 2) for n, g in gradients.items()}
    expected_loss = case.oracle().ce_error(x, y, **given)
    fed = (x[:, 0], y[:, 0], None) if B == 1 else (x, y, None if mask.all() else mask)
    tolerance = 1e-5 if case.model.dtype == "float32" else 1e-12
    with theano.config.change_flags(floatX="float64"):  # neither may depend on it
        loss, found, _ = case.step(
            *fed[:2], 0.1, 0.5, mask=fed[2], random=np.random.default_rng(3)
        )
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert found == pytest.approx(norm(gradients), rel=tolerance)
    expected = descended(before, clipped(gradients, "norm", 0.5), 0.1)
    assert_same(case.model.parameters(), expected, tolerance)
    assert {p.dtype for p in case.model.parameters().values()} == {np.dtype(case.model.dtype)}


# Dropout


def drawn(model, shape, random):
    return dropout.draw(model.architecture, shape, random, model.dtype)


@functools.cache
def dropped_out():
    return Case({"layers": 2}, "last:3", dropout=0.5, clip_by=None)


def test_a_step_drops_what_its_generator_draws_and_takes_the_gradient_of_that_net():
    case = dropped_out()
    case.restart()
    lengths = (6, 2, 4)
    x, y, mask = masked_batch(10, lengths)
    factors = drawn(case.model, x.shape, np.random.default_rng(3)).states  # (layers, T, B, H)
    # Under last the sequences stand at the end of the batch, and as given they begin together.
    given = np.ones((*x.shape, 2, H))
    for b, n in enumerate(lengths):
        given[:n, b] = factors[:, 6 - n :, b].transpose(1, 0, 2)
    gradients, before = case.mean_gradient(x, y, mask, given), case.model.parameters()
    expected_loss = case.oracle().ce_error(x, y, mask, given)
    loss, _, _ = case.step(x, y, 0.1, mask=mask, random=np.random.default_rng(3))
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    assert_same(case.model.parameters(), descended(before, gradients, 0.1), 1e-13)


def test_without_a_generator_a_step_draws_from_that_of_the_model_and_goes_on_there():
    case = dropped_out()
    case.restart()
    x, y = batch(11, 5, 1)
    case.model.random, random = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(2):
        states = drawn(case.model, x.shape, random).states
        given = states[:, :, 0].transpose(1, 0, 2)  # (T, layers, H)
        gradients = case.mean_gradient(x[:, 0], y[:, 0], kept=given)
        before = case.model.parameters()
        case.step(x[:, 0], y[:, 0], 0.1)
        assert_same(case.model.parameters(), descended(before, gradients, 0.1), 1e-13)


def test_outside_of_steps_nothing_is_dropped_and_nothing_is_drawn():
    case = dropped_out()
    before = case.bits()
    x, y, mask = masked_batch(12, (4, 2))
    assert case.model.ce_error(x, y, mask) == pytest.approx(case.oracle().ce_error(x, y, mask))
    assert_same(case.model.bptt(x, y, mask), case.oracle().bptt(x, y, mask), 1e-12)
    assert case.bits() == before


# Refused

BAD_RATES = [0, -0.1, np.nan, np.inf, True, "0.1", None, [0.1]]
BAD_CLIPS = [-1, np.nan, np.inf, True, "1", [1.0], 10**400]


def refuses(case, message, *arguments, **keywords):
    before = case.bits()
    with pytest.raises(RNNError) as error:
        case.step(*arguments, **keywords)
    assert message in str(error.value)
    assert case.bits() == before


def test_bad_arguments_of_a_step_are_refused_and_no_bit_of_parameters_or_state_changes():
    trained = optimizing("adam")
    trained.restart()
    trained.step(*batch(13, 3, 2), 0.1)
    never_run = Case({"layers": 2}, "last:3", dropout=0.5, optimizer="momentum")
    x, y = batch(14, 3, 2)
    for case in (trained, never_run):
        for rate in BAD_RATES:
            refuses(case, "learning_rate must be a positive, finite number", x, y, rate, 1.0)
        for clip in BAD_CLIPS:
            refuses(case, "clip must be a finite number, 0 or more", x, y, 0.1, clip)
        refuses(case, "x[0, 0] is 99", np.full((3, 2), 99), y, 0.1)
        refuses(case, "y has shape (2, 2)", x, y[:2], 0.1)
        refuses(case, "has no 1", x, y, 0.1, mask=np.zeros((3, 2)))
        size = case.model.architecture.state_size
        refuses(case, f"state has shape (3, {size})", x, y, 0.1, state=np.zeros((3, size)))
        refuses(case, "NaN", x, y, 0.1, state=np.full((2, size), np.nan))
    assert not never_run.step.compiled and trained.step.compiled


def test_a_clip_for_a_step_that_does_not_clip_is_refused():
    refuses(sparse("two layers"), "this step does not clip", *batch(15, 3, 2), 0.1, 1.0)


def test_a_state_of_another_optimizer_is_refused_and_nothing_changes():
    case = optimizing("adam")
    before = case.bits()
    good = case.step.state()
    for bad in (
        {},
        optimizing("momentum").step.state(),
        {**good, "U.mean": np.zeros((H, VOCAB))},
        {**good, "W.square": good["W.square"] * np.nan},
        None,
    ):
        with pytest.raises(RNNError):
            case.step.set_state(bad)
        assert case.bits() == before


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"optimizer": "sgdd"}, "optimizer 'sgdd' is unknown; use sgd, momentum"),
        ({"clip_by": "max"}, "clip_by 'max' is unknown; use 'norm', 'value' or None"),
        ({"clip_by": 5.0}, "clip_by 5.0 is unknown"),
        ({"momentum": 0.5}, "sgd has no constant momentum"),
        ({"optimizer": "momentum", "momentum": 1}, "momentum must be a number from 0 to below 1"),
        ({"l2": -0.1}, "l2 must be a finite number, 0 or more"),
        ({"l2": np.nan}, "l2 must be a finite number, 0 or more"),
        ({"weight_decay": np.inf}, "weight_decay must be a finite number, 0 or more"),
        ({"weight_decay": 0.1, "l2": 0.2}, "l2 is 0.2 and weight_decay is 0.1, and both draw"),
        ({"ar": -1}, "ar must be a finite number, 0 or more"),
        ({"tar": np.inf}, "tar must be a finite number, 0 or more"),
        ({"omega": "2"}, "omega must be a finite number, 0 or more"),
    ],
)
def test_bad_settings_of_a_step_are_refused(settings, message):
    with pytest.raises(RNNError, match=message):
        Step(optimizing("sgd").model, **settings)


def test_omega_where_it_is_not_defined_is_refused():
    for settings in ({"cell": "gru"}, {"cell": "lstm"}, {"truncation": "window:2"}):
        model = RNN(5, 3, **settings)
        Step(model, omega=0)
        with pytest.raises(RNNError, match="omega"):
            Step(model, omega=1.0)


@pytest.mark.parametrize(
    ("optimizer", "clip_by"),
    [
        ("sgd", "norm"),
        ("adam", "value"),
        pytest.param("sgd", "value", marks=pytest.mark.slow),
        pytest.param("adam", "norm", marks=pytest.mark.slow),
        pytest.param("nesterov", "norm", marks=pytest.mark.slow),
    ],
)
def test_a_step_whose_loss_is_not_finite_changes_nothing(optimizer, clip_by):
    model = RNN(6, 4, seed=1)
    step = Step(model, optimizer, clip_by=clip_by)
    x, y = [0, 3, 1, 2], [3, 1, 2, 5]
    step(x, y, 0.1, 1.0)
    overflows = {**model.parameters(), "V": np.full((6, 4), 3e38, "float32")}
    overflows["V"][::2] *= -1  # logits of inf and of -inf
    overflows["U"] = np.full((4, 6), 3.0, "float32")
    model.set_parameters(overflows)
    before = [*model.parameters().values(), *step.state().values()]
    for sequences in ((x, y), (np.array([x, x]).T, np.array([y, y]).T)):
        with pytest.raises(NotFinite, match="no step was taken"):
            step(*sequences, 0.1, 1.0)
        after = [*model.parameters().values(), *step.state().values()]
        for a, b in zip(after, before):
            np.testing.assert_array_equal(a, b)
    model.set_parameters({n: np.full(p.shape, 0.1) for n, p in model.parameters().items()})
    assert np.isfinite(step(x, y, 0.1, 1.0)[0])  # and the next one is as ever


@functools.cache
def steep():
    """A relu net with a finite E whose gradient overflows, and its parameters."""
    model = RNN(6, 4, cell="relu", dtype="float32")
    U, W, V = np.full((4, 6), 1e-38), 3e19 * np.eye(4), np.zeros((6, 4))
    V[3] = 1  # s_3 = W W U x_1 = 9, dE/ds_3 = 1: dE/dU has W W = 9e38
    model.set_parameters({"U": U, "V": V, "W": W})
    assert 0 < model.ce_error([0, 3, 1], [3, 1, 2]) < 100
    assert not np.isfinite(model.bptt([0, 3, 1], [3, 1, 2])["U"]).all()
    return model, model.parameters()


@pytest.mark.parametrize("optimizer", first(2, OPTIMIZERS))
def test_a_step_whose_gradient_alone_is_not_finite_changes_nothing(optimizer):
    model, parameters = steep()
    step = Step(model, optimizer)
    model.set_parameters({name: np.full(p.shape, 0.1) for name, p in parameters.items()})
    step([1, 2], [2, 3], 0.1)
    model.set_parameters(parameters)
    before = [*model.parameters().values(), *step.state().values()]
    with pytest.raises(NotFinite, match="no step was taken"):
        step([0, 3, 1], [3, 1, 2], 0.1, 1.0)
    after = [*model.parameters().values(), *step.state().values()]
    assert [a.tobytes() for a in after] == [a.tobytes() for a in before]
