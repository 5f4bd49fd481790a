"""Every kind of network compiled, against the NumPy loops: cell x scheme x layers x the rest.

``make test`` has the first three of some kinds that meet every pair of settings; ``make test-all``
has those, and kinds that meet every three settings, as they are compiled for use; ``make kinds``
has all.
"""

import functools
import itertools

import numpy as np
import pytest
from conftest import ALL_SCHEMES, compiled, first, function_in_python, named, some
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import GATES, assert_same

from theano_rnn import RNN, Step
from theano_rnn.model.architecture import Architecture
from theano_rnn.reference import NumpyRNN

#: What a kind is made of.
FACTORS = {
    "cell": tuple(GATES),
    "scheme": ALL_SCHEMES,
    "layers": (1, 2),
    "bias": (False, True),
    "tied": (False, True),
    "embedding": (False, True),
    "is_masked": (False, True),
}
ALL = [
    kind
    for kind in (dict(zip(FACTORS, values)) for values in itertools.product(*FACTORS.values()))
    if not kind["tied"] or kind["embedding"] or GATES[kind["cell"]] == 1
]
#: The tutorial's net, which test_graph.py has under every scheme: the first kind of each.
PLAIN = [next(kind for kind in ALL if kind["scheme"] == scheme) for scheme in ALL_SCHEMES]


def subsets(kinds, n):
    """All that the kinds have of n settings together."""
    return {subset for kind in kinds for subset in itertools.combinations(kind.items(), n)}


def covering(kinds, size, covered=()):
    """Few of the kinds that meet every ``size`` settings, chosen greedily.

    ``covered`` are kinds whose settings need not be met again.
    """
    missing = subsets(kinds, size) - subsets(covered, size)
    met, chosen = [subsets([kind], size) for kind in kinds], []
    while missing:
        best = max(range(len(kinds)), key=lambda i: len(missing & met[i]))
        chosen.append(kinds[best])
        missing -= met[best]
    return chosen


SOME = covering(ALL, 2, PLAIN)
#: Those that meet every three settings, and then the others.
MANY = covering(ALL, 3)
IN_TURN = MANY + [kind for kind in ALL if kind not in MANY]


def words(kind):
    """The name of a kind: "lstm-window-layers=2-bias-embedding"."""
    given = [n for n in ("bias", "tied", "embedding", "is_masked") if kind[n]]
    return "-".join([kind["cell"], kind["scheme"], f"layers={kind['layers']}", *given])


def network(kind):
    """What of a kind the oracle knows."""
    known = ("cell", "layers", "bias", "tied", "embedding", "projection")
    return {name: kind[name] for name in known if name in kind}


def random_net(kind, seed, H, D, vocab_size, scale=1.0, dtype="float64"):
    """Parameters uniform in +-scale, and the generator for the rest."""
    size = (H if kind["tied"] else D) if kind["embedding"] else None
    if kind.get("projection"):
        size = D + (D == H)
    settings = {name: kind[name] for name in ("cell", "layers", "bias", "tied")}
    shapes = Architecture(vocab_size, H, **settings, embedding_size=size).shapes
    rng = np.random.default_rng(seed)
    values = {name: rng.uniform(-scale, scale, n).astype(dtype) for name, n in shapes.items()}
    return values, rng


def random_batch(rng, vocab_size, lengths, padding):
    """x, y, mask (T, B) with more or less than a token in the padding, of ``padding`` steps more.

    The mask is None where nothing is padded.
    """
    T, B = max(lengths) + padding, len(lengths)
    x, y = rng.integers(vocab_size, size=(2, T, B))
    mask = np.arange(T)[:, None] < np.array(lengths)
    x[~mask] = rng.choice([-1, vocab_size, 2**40], size=(~mask).sum())
    y[~mask] = rng.choice([-1, vocab_size, 2**40], size=(~mask).sum())
    return x, y, None if mask.all() else mask


def alone(oracle, x, y, mask, cuts=None):
    """E and gradients, summed over the sequences, each by itself and in its own length."""
    lengths = [len(x)] * x.shape[1] if mask is None else mask.sum(axis=0)
    sequences = [(x[:T, b], y[:T, b]) for b, T in enumerate(lengths)]
    given = [{} if cuts is None else {"cuts": cuts[:T, b]} for b, T in enumerate(lengths)]
    gradients = [oracle.bptt(*sequence, **cut) for sequence, cut in zip(sequences, given)]
    loss = sum(oracle.ce_error(*sequence) for sequence in sequences)
    return loss, {name: sum(g[name] for g in gradients) for name in gradients[0]}


def error(a, b):
    """The largest difference, relative to the largest element where that is above 1."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    assert a.shape == b.shape and np.isfinite(a).all()
    return abs(a - b).max() / max(1, abs(b).max())


sizes = {
    "seed": st.integers(0, 2**32 - 1),
    "H": st.integers(1, 5),
    "D": st.integers(1, 5),
    "vocab_size": st.integers(1, 7),
    "K": st.integers(1, 8),
    "lengths": st.lists(st.integers(1, 6), min_size=1, max_size=4),
    "padding": st.integers(0, 2),
    "scale": st.floats(0.01, 1.5),
}
examples = functools.partial(
    settings, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def errors(run, kind, dtype, seed, H, D, vocab_size, K, lengths, padding, scale):
    """Those of E and of each gradient, the graph in a dtype and NumPy in float64."""
    values, rng = random_net(kind, seed, H, D, vocab_size, scale, dtype)
    if not kind["is_masked"]:
        lengths, padding = [lengths[0]] * len(lengths), 0
    elif padding == 0 and min(lengths) == max(lengths):
        padding = 1
    x, y, mask = random_batch(rng, vocab_size, lengths, padding)
    assert (mask is not None) == kind["is_masked"]
    cuts, alpha = None, None
    if kind["scheme"] == "artbp":
        K, cuts, alpha = K + 1, rng.random(x.shape) < 0.3, rng.choice([None, 2.5, 4.0])
    _, loss, gradients = run(values, x, y, K, mask, cuts, alpha)
    exact = {name: value.astype("float64") for name, value in values.items()}
    truncation = named(kind["scheme"], K) + ("" if alpha is None else f":{alpha}")
    oracle = NumpyRNN(exact, truncation, **network(kind))
    expected_loss, expected = alone(oracle, x, y, mask, cuts)
    assert list(gradients) == list(expected)
    assert {g.dtype for g in gradients.values()} == {np.dtype(dtype)}
    return [error(loss, expected_loss), *(error(gradients[n], expected[n]) for n in expected)]


def check(kind, max_examples, tolerance=1e-12, dtype="float64", compiled=compiled, **how):
    run = compiled(kind["scheme"], dtype, **network(kind), is_masked=kind["is_masked"], **how)

    @examples(max_examples=max_examples)
    @given(**sizes)
    def equal_numpy(**sizes):
        assert max(errors(run, kind, dtype, **sizes)) < tolerance

    equal_numpy()


def test_some_kinds_meet_every_pair_of_settings_the_first_six_every_one_and_many_every_three():
    assert subsets(SOME + PLAIN, 2) == subsets(ALL, 2)
    assert subsets(SOME[:6] + PLAIN, 1) == subsets(ALL, 1)
    assert subsets(MANY, 3) == subsets(ALL, 3)
    assert len(ALL) == len(IN_TURN) == 960 and len(SOME) < 35 and len(MANY) < 90


@pytest.mark.parametrize("kind", first(1, SOME), ids=words)
def test_loss_and_gradients_equal_the_sum_over_the_sequences_alone(kind):
    check(kind, max_examples=some(25), in_python=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", first(len(MANY), IN_TURN, pytest.mark.exhaustive), ids=map(words, IN_TURN)
)
def test_every_kind_up_to_two_layers_equals_the_sum_over_the_sequences_alone(kind):
    check(kind, max_examples=some(15), compiled=compiled.__wrapped__)  # kept, they fill the memory


#: With a projection: every cell, and every scheme.
PROJECTED = [
    {**dict(zip(FACTORS, (cell, scheme, 1, True, True, True, True))), "projection": True}
    for cell, scheme in zip(GATES, itertools.cycle(ALL_SCHEMES))
]


@pytest.mark.parametrize("kind", first(1, PROJECTED), ids=words)
def test_a_tied_net_with_a_projection_equals_the_sum_over_the_sequences_alone(kind):
    check(kind, max_examples=some(25), in_python=True)


# The most in 400 nets was 4e-7, and 5e-15 in float64.
def test_a_gated_net_in_float32_equals_numpy_in_float64():
    kind = dict(zip(FACTORS, ("lstm", "full", 1, True, False, True, True)))
    check(kind, max_examples=some(25), tolerance=1e-5, dtype="float32", in_python=True)


# What is only in the model


@pytest.fixture
def quickly_compiled(monkeypatch):
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", function_in_python)
    monkeypatch.setattr("theano_rnn.optim.step.compile_function", function_in_python)


def model_and_oracle(kind, truncation, seed=0, **settings):
    """RNN and NumpyRNN of the same parameters: D = H = 4, 6 tokens."""
    size = 4 if kind.get("embedding") else None
    same = {name: value for name, value in kind.items() if name != "embedding"}
    model = RNN(
        6, 4, **same, embedding_size=size, truncation=truncation, dtype="float64", **settings
    )
    rng = np.random.default_rng(seed)
    shapes = model.architecture.shapes
    model.set_parameters({name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()})
    return model, NumpyRNN(model.parameters(), truncation, **kind), rng


#: Networks and schemes whose K may be another one at each step, as adaptive chooses it.
CHOSEN = [
    ({"cell": "tanh", "bias": True}, "chunk"),
    ({"cell": "gru", "layers": 2, "bias": True}, "window"),
    ({"cell": "lstm", "tied": True, "embedding": True}, "window"),
    ({"cell": "gru_after", "embedding": True}, "chunk"),
    ({"cell": "relu", "layers": 2}, "window"),
    ({"cell": "sigmoid", "tied": True}, "chunk"),
]


@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize("kind, scheme", first(1, CHOSEN))
def test_a_step_whose_K_is_chosen_takes_numpys_gradient_under_that_K(kind, scheme):
    model, _, _ = model_and_oracle(kind, "full")
    step, shapes = Step(model, scheme=scheme, clip_by=None), model.architecture.shapes

    @examples(max_examples=some(25))
    @given(sizes["seed"], sizes["K"], st.lists(st.integers(1, 6), min_size=2), sizes["scale"])
    def equal_numpy(seed, K, lengths, scale):
        rng = np.random.default_rng(seed)
        before = {name: rng.uniform(-scale, scale, shape) for name, shape in shapes.items()}
        model.set_parameters(before)
        x, y, mask = random_batch(rng, 6, lengths, padding=1)
        step(x, y, 1.0, mask=mask, K=K)
        oracle = NumpyRNN(before, f"{scheme}:{K}", **kind)
        _, gradients = alone(oracle, x, y, mask)
        after = model.parameters()
        for name, g in gradients.items():  # of the mean over the sequences
            assert error(after[name], before[name] - g / x.shape[1]) < 1e-12, name

    equal_numpy()


KEPT = [
    ({"cell": "lstm", "layers": 2, "bias": True}, "window:2", None),
    ({"cell": "gru", "tied": True, "embedding": True}, "last:2", (2, 5, 3)),
    ({"cell": "tanh", "bias": True, "embedding": True}, "full", (7, 7)),
    ({"cell": "tanh", "layers": 2}, "chunk:2", (2, 5, 3)),
    ({"cell": "gru_after", "layers": 2, "bias": True}, "artbp:2:4", (2, 5, 3)),
]


@pytest.mark.slow
@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize("kind, truncation, lengths", KEPT)
def test_factors_of_dropout_are_those_of_the_steps_as_given(kind, truncation, lengths):
    model, oracle, rng = model_and_oracle(kind, truncation)
    x, y, mask = random_batch(rng, 6, lengths or [7], padding=0)
    x, y = (x, y) if lengths else (x[:, 0], y[:, 0])
    shape = (*x.shape, model.architecture.layers, 4)
    kept = rng.uniform(0.5, 2, shape) * (rng.uniform(size=shape) > 1 / 3)
    given = {"mask": mask, "kept": kept}
    if truncation.startswith("artbp"):
        given["cuts"] = rng.random(x.shape) < 0.3
    assert_same(model.bptt(x, y, **given), oracle.bptt(x, y, **given), 1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize("lengths", [(6, 6, 6), (6, 1, 4)], ids=["unmasked", "masked"])
def test_relu_in_minibatches_under_last_equals_numpy(lengths):
    # Theano issue 4652, mended in patches/scan_pushout.py: as shipped, "the inner sizes differ".
    model, oracle, rng = model_and_oracle({"cell": "relu"}, "last:3")
    x, y, mask = random_batch(rng, 6, lengths, padding=0)
    assert_same(model.bptt(x, y, mask=mask), alone(oracle, x, y, mask)[1], 1e-12)


@pytest.mark.usefixtures("quickly_compiled")
def test_a_text_read_in_pieces_that_hand_on_the_state_has_the_loss_of_the_whole():
    model, oracle, rng = model_and_oracle({"cell": "lstm", "layers": 2, "bias": True}, "full")
    x, y = rng.integers(6, size=(2, 9, 3))
    whole, last = model.loss_and_state(x, y)
    assert whole == pytest.approx(oracle.ce_error(x, y), rel=1e-13)
    states = np.stack([oracle.hidden_states(x[:, b])[8] for b in range(3)])
    np.testing.assert_allclose(last, states, rtol=0, atol=1e-13)  # s, c, s2, c2
    losses, state = [], None
    for begin, end in ((0, 4), (4, 5), (5, 9)):
        loss, state = model.loss_and_state(x[begin:end], y[begin:end], state)
        losses.append(loss)
    assert sum(losses) == pytest.approx(whole, rel=1e-13)
    np.testing.assert_allclose(state, last, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("quickly_compiled")
def test_a_shorter_sequence_of_a_batch_hands_on_the_state_of_its_own_last_token():
    model, oracle, rng = model_and_oracle({"cell": "lstm", "layers": 2, "bias": True}, "full")
    x, y, mask = random_batch(rng, 6, (2, 5, 3), padding=1)
    loss, state = model.loss_and_state(x, y, mask=mask)
    assert loss == pytest.approx(alone(oracle, x, y, mask)[0], rel=1e-13)
    for b, T in enumerate((2, 5, 3)):
        expected = oracle.hidden_states(x[:T, b])[T - 1]
        np.testing.assert_allclose(state[b], expected, rtol=0, atol=1e-13)


@pytest.mark.usefixtures("quickly_compiled")
def test_outputs_and_predictions_of_a_batch_are_those_of_its_sequences():
    model, oracle, rng = model_and_oracle({"cell": "gru", "layers": 2, "bias": True}, "full")
    x = rng.integers(6, size=(5, 3))
    o, tokens = model.forward_propagation(x), model.predict(x)
    assert o.shape == (5, 3, 6) and tokens.shape == (5, 3)
    for b in range(3):
        np.testing.assert_allclose(o[:, b], oracle.forward_propagation(x[:, b]), atol=1e-14)
        assert (tokens[:, b] == oracle.predict(x[:, b])).all()
