"""Cuts at random: how they are drawn, and that what they leave is the full gradient on average."""

import itertools

import numpy as np
import pytest
from conftest import first, function_in_python
from kinds import GATES, assert_same, net

from theano_rnn import RNN, RNNError, Step
from theano_rnn.model import cuts
from theano_rnn.model.truncation import parse
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.bptt import artbp_factors

NAMES = ("artbp:3", "artbp:3:4", "artbp:2:2.5")


@pytest.fixture
def quickly_compiled(monkeypatch):
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", function_in_python)
    monkeypatch.setattr("theano_rnn.optim.step.compile_function", function_in_python)


def patterns(name, T):
    """Every way to cut T steps, booleans (T,), and its probability."""
    words = name.split(":")
    K, alpha = int(words[1]), float(words[2]) if len(words) > 2 else None
    for after in itertools.product((False, True), repeat=T - 1):
        p, l = 1.0, 1
        for is_cut in after:
            c = 1 / K if alpha is None else (alpha - 1) / ((alpha - 2) * K + l)
            p, l = p * (c if is_cut else 1 - c), 1 if is_cut else l + 1
        yield np.array([False, *after]), p


def mean(gradients):
    """The mean of gradients, by name, weighted by their probabilities."""
    total, p = {}, 0.0
    for g, weight in gradients:
        total = {name: total.get(name, 0) + weight * value for name, value in g.items()}
        p += weight
    assert p == pytest.approx(1, abs=1e-14)
    return total


@pytest.mark.parametrize("name", NAMES)
def test_as_many_steps_are_cut_after_a_run_as_its_length_says_and_runs_have_K_on_average(name):
    truncation = parse(name)
    drawn = cuts.draw(truncation, (200, 2000), np.random.default_rng(0))
    assert not drawn[0].any()
    l = np.ones(2000, int)  # steps without a cut
    count, cut = np.zeros((2, 201))
    for row in drawn[1:]:
        np.add.at(count, l, 1)
        np.add.at(cut, l, row)
        l = np.where(row, 1, l + 1)
    c = cuts.probabilities(truncation, 200)
    for l in range(1, 8):  # within four standard deviations
        assert abs(cut[l] / count[l] - c[l - 1]) < 4 * np.sqrt(c[l - 1] / count[l])
    # P(a run has more than l steps), summed: its mean length
    longer = np.cumprod(1 - cuts.probabilities(truncation, 10**6))
    assert 1 + longer.sum() == pytest.approx(truncation.K, rel=2e-3)


def test_the_same_seed_draws_the_same_cuts_and_each_sequence_has_its_own():
    draw = lambda seed: cuts.draw(parse("artbp:4"), (50, 3), np.random.default_rng(seed))  # noqa: E731
    assert (draw(1) == draw(1)).all() and (draw(1) != draw(2)).any()
    assert (draw(1)[:, 0] != draw(1)[:, 1]).any()
    assert cuts.draw(parse("artbp:4"), (1, 3), np.random.default_rng(0)).shape == (1, 3)


@pytest.mark.parametrize("name", NAMES)
def test_factors_are_those_of_the_naive_loop(name):
    truncation, random = parse(name), np.random.default_rng(1)
    for T in (1, 2, 30):
        drawn = random.random((T, 20)) < 0.3  # what the first step says is ignored
        a = cuts.factors(truncation, drawn, "float64")
        for b in range(20):
            expected = artbp_factors(drawn[:, b], truncation.K, truncation.alpha)
            np.testing.assert_allclose(a[:, b], expected, rtol=1e-14)
    assert cuts.factors(truncation, drawn, "float32").dtype == np.float32


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("cell", GATES)
def test_the_mean_over_all_cuts_is_the_full_gradient(cell, name):
    kind = {"cell": cell, "layers": 2, "bias": True, "tied": False, "embedding": True}
    parameters, x, y = net(kind, T=5)
    oracle = NumpyRNN(parameters, name, **kind)
    g = mean((oracle.bptt(x, y, cuts=cut), p) for cut, p in patterns(name, 5))
    assert_same(g, NumpyRNN(parameters, **kind).bptt(x, y), 1e-12)


@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize(
    "cell, name", first(0, [("gru", "artbp:2:2.5"), ("lstm", "artbp:3"), ("relu", "artbp:3:4")])
)
def test_compiled_the_mean_over_all_cuts_of_a_padded_minibatch_is_the_full_gradient(cell, name):
    settings = dict(cell=cell, layers=2, bias=True, dtype="float64", seed=2)
    model = RNN(5, 3, **settings, truncation=name)
    random = np.random.default_rng(0)
    x, y = random.integers(5, size=(2, 5, 3))
    mask = np.arange(5)[:, None] < [5, 2, 4]
    # The sequences of a batch are cut each by itself, and its gradient is the sum of theirs: so
    # one pattern for all of them has the same mean.
    drawn = ((np.repeat(cut[:, None], 3, axis=1), p) for cut, p in patterns(name, 5))
    g = mean((model.bptt(x, y, mask, cuts=cut), p) for cut, p in drawn)
    oracle = NumpyRNN(model.parameters(), cell=cell, layers=2, bias=True)
    assert_same(g, oracle.bptt(x, y, mask), 1e-12)


@pytest.mark.usefixtures("quickly_compiled")
def test_a_stream_in_pieces_that_end_at_the_cuts_has_the_full_gradient_on_average():
    name, T = "artbp:2:4", 6
    model = RNN(5, 3, truncation=name, dtype="float64", seed=3)
    gradients = model.compiled("gradients", False, ())
    x, y = np.random.default_rng(0).integers(5, size=(2, T, 2))

    def of_pieces(cut):
        """The sum of the pieces' gradients, each from the state in which the one before ended."""
        total, state = {}, model.zero_state(2)
        starts = [0, *np.flatnonzero(cut), T]
        for piece in (slice(*ends) for ends in zip(starts, starts[1:])):
            a = cuts.factors(parse(name), np.zeros(x[piece].shape, bool), "float64")
            _, *found, state = gradients(x[piece], y[piece].ravel(), state, a)
            total = {n: total.get(n, 0) + g for n, g in zip(model.shared, found)}
        return {n: g.T if n == "U" else g for n, g in total.items()}  # U is stored transposed

    g = mean((of_pieces(cut), p) for cut, p in patterns(name, T))
    assert_same(g, NumpyRNN(model.parameters()).bptt(x, y), 1e-12)


@pytest.mark.usefixtures("quickly_compiled")
def test_a_step_takes_the_gradient_of_its_cuts_and_draws_them_from_its_generator():
    model = RNN(6, 3, truncation="artbp:3", dtype="float64", seed=1)
    before, step = model.parameters(), Step(model)
    x, y = np.random.default_rng(0).integers(6, size=(2, 8))
    cut = np.arange(8) % 3 == 2
    oracle = NumpyRNN(before, "artbp:3")
    oracle.sgd_step(x, y, 0.1, cuts=cut)
    loss, *_ = step(x, y, 0.1, cuts=cut)
    assert loss == pytest.approx(NumpyRNN(before).ce_error(x, y), rel=1e-14)
    assert_same(model.parameters(), oracle.parameters(), 1e-14)

    def drawn(seed):
        model.set_parameters(before)
        step(x, y, 0.1, random=np.random.default_rng(seed))
        return model.parameters()

    assert_same(drawn(5), drawn(5))
    assert (drawn(5)["W"] != drawn(6)["W"]).any()
    model.set_parameters(before)
    cut = cuts.draw(parse("artbp:3"), (8, 1), np.random.default_rng(5))[:, 0]
    step(x, y, 0.1, cuts=cut)
    assert_same(model.parameters(), drawn(5))


@pytest.mark.usefixtures("quickly_compiled")
def test_bptt_draws_its_cuts_from_a_seed_and_refuses_bad_ones():
    model = RNN(6, 3, truncation="artbp:3", dtype="float64")
    x, y = np.random.default_rng(0).integers(6, size=(2, 9))
    assert_same(model.bptt(x, y, seed=4), model.bptt(x, y, seed=np.random.default_rng(4)))
    assert (model.bptt(x, y, seed=4)["W"] != model.bptt(x, y, seed=5)["W"]).any()
    assert (model.bptt(x, y)["W"] != model.bptt(x, y)["W"]).any()  # two draws of model.random
    bad = [
        ({"cuts": [True]}, "pass booleans of the shape of x"),
        ({"cuts": [[0, 1], [1]]}, "pass booleans of the shape of x"),
        ({"cuts": ["a"] * 9}, "pass booleans of the shape of x"),
        ({"cuts": np.full(9, 0.5)}, "other numbers than 0 and 1"),
        ({"cuts": np.full(9, np.nan)}, "other numbers than 0 and 1"),
        ({"cuts": np.zeros(9), "seed": 1}, "give one of them"),
        ({"seed": -1}, "seed must be"),
    ]
    for arguments, message in bad:
        with pytest.raises(RNNError, match=message):
            model.bptt(x, y, **arguments)
    with pytest.raises(RNNError, match="cuts are for truncation artbp:K, not for window:2"):
        RNN(6, 3, truncation="window:2").bptt(x, y, cuts=np.zeros(9))


def test_the_numpy_loops_refuse_bad_cuts():
    parameters, x, y = net({"cell": "tanh"}, T=4)
    oracle = NumpyRNN(parameters, "artbp:3")
    for given, message in (
        (None, "cuts is None"),
        ([0, 1], "has shape"),
        ([0, 0.5, 0, 0], r"cuts\[1\] is 0.5"),
        (["a"] * 4, "pass booleans"),
    ):
        with pytest.raises(ValueError, match=message):
            oracle.bptt(x, y, cuts=given)
    with pytest.raises(ValueError, match="not for chunk: leave them out"):
        NumpyRNN(parameters, "chunk:2").bptt(x, y, cuts=[0, 0, 0, 0])
