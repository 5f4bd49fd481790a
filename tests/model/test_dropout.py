"""The masks of a step: which there are, how they are drawn, and what they do to the graph."""

import itertools

import numpy as np
import pytest
from conftest import first, function_in_python
from kinds import GATES, PLAIN, assert_same, masks, net

from theano_rnn import RNN, RNNError
from theano_rnn.model import dropout
from theano_rnn.model.architecture import NO_DROPOUT, Architecture
from theano_rnn.optim.step import Step
from theano_rnn.reference import NumpyRNN

RATES = {
    "dropout": 0.5, "dropout_input": 0.25, "dropout_recurrent": 0.3, "dropout_embedding": 0.1,
    "weight_drop": 0.75,
}  # fmt: skip
ALL = Architecture(40, 50, "lstm", 3, embedding_size=30, **RATES)


def drawn(architecture, seed=1, shape=(40, 6), dtype="float64"):
    return dropout.draw(architecture, shape, np.random.default_rng(seed), dtype)


def changed(architecture, **settings):
    return Architecture(**{**vars(architecture), **settings})


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_are_0_or_keep_the_mean_and_a_seed_gives_the_same(variational, dtype):
    a = changed(ALL, variational=variational)
    T = 1 if variational else 40
    found = drawn(a, dtype=dtype)
    shapes = (3, T, 6, 50), (1, T, 6, 30), (40,), (3, 1, 6, 50), (3, 200, 50)
    rates = 0.5, 0.25, 0.1, 0.3, 0.75
    for name, mask, shape, p in zip(found._fields, found, shapes, rates):
        assert mask.shape == shape and mask.dtype == dtype, name
        values = np.unique(mask)
        np.testing.assert_allclose(values, [0, 1 / (1 - p)], rtol=1e-4, err_msg=name)
        deviation = np.sqrt(p / (1 - p) / mask.size)
        assert mask.mean() == pytest.approx(1, abs=5 * deviation), name
    for one, same, other in zip(found, drawn(a, dtype=dtype), drawn(a, seed=2, dtype=dtype)):
        assert (one == same).all() and (one != other).any()


def test_the_states_of_old_runs_are_dropped_by_the_same_bits():
    a = Architecture(5, 50, layers=3, dropout=0.3)
    assert dropout.kinds(a) == ("states",)
    uniform = np.random.default_rng(1).random((3, 40, 6, 50), np.float32)
    expected = (uniform >= 0.3).astype("float32") * np.asarray(1 / (1 - 0.3), "float32")
    assert (drawn(a, dtype="float32").states == expected).all()
    more = drawn(changed(a, weight_drop=0.5), dtype="float32")  # what comes later changes nothing
    assert (more.states == expected).all()


def test_the_states_that_the_output_reads_have_a_share_of_their_own():
    a = changed(ALL, dropout=0.25, dropout_output=0.75)
    states = drawn(a).states
    assert np.unique(states[:2]).tolist() == pytest.approx([0, 1 / (1 - 0.25)])
    assert np.unique(states[2]).tolist() == [0, 4]
    states = drawn(changed(a, dropout_output=0.0)).states
    assert (states[:2] == 0).any() and (states[2] == 1).all()
    assert dropout.kinds(Architecture(5, 3, dropout_output=0.0)) == ()


def test_a_share_of_almost_all_keeps_some_finite_factors():
    (mask,) = drawn(Architecture(5, 900, weight_drop=1 - 1e-9)).given()
    assert sorted(set(mask.ravel())) == [0, 2**16]


def test_settings_of_no_dropout_are_the_defaults():
    assert changed(ALL, **NO_DROPOUT) == Architecture(40, 50, "lstm", 3, embedding_size=30)
    assert dropout.kinds(Architecture(40, 50)) == () and drawn(Architecture(40, 50)).given() == []


REFUSED = [
    ({"variational": True}, "variational has no effect without"),
    ({"variational": True, "weight_drop": 0.5}, "variational has no effect without"),
    ({"dropout": 0.5, "dropout_output": 0.2}, "dropout_output replaces dropout before the output"),
    ({"dropout_input": 0.5}, "dropout_input hides parts of the embedded input"),
    ({"cell": "mingru", "dropout_recurrent": 0.5}, "cell mingru has none"),
    ({"cell": "mingru", "weight_drop": 0.5}, "cell mingru has none"),
    ({"dropout_output": 1.0}, "dropout_output must be a number from 0 to below 1"),
    ({"weight_drop": -0.5}, "weight_drop must be a number from 0 to below 1"),
    ({"variational": 1}, "variational must be True or False"),
]


@pytest.mark.parametrize("settings, message", REFUSED)
def test_dropout_that_a_network_cannot_have_is_refused(settings, message):
    with pytest.raises(RNNError, match=message):
        Architecture(5, 3, **settings)


# The gradients under given masks

#: Every cell under every truncation: in turn of one layer, and of two with an embedding. A third,
#: which meets every cell and every truncation, is left to make test-all, the rest to make kinds.
KINDS = [
    ({"cell": cell, "layers": 1 + n % 2, "bias": True, "embedding": n % 2 == 1}, truncation)
    for n, (cell, truncation) in enumerate(
        itertools.product(GATES, ("full", "window:2", "chunk:2", "last:2", "artbp:2"))
    )
]
PROJECTED = {"cell": "lstm", "tied": True, "embedding": True, "projection": True}
SLOW = [*KINDS[::3], (PROJECTED, "window:2")]
OTHERS = [kind for n, kind in enumerate(KINDS) if n % 3]


def test_a_third_of_the_kinds_meets_every_cell_and_every_truncation():
    cells, truncations = {kind["cell"] for kind, _ in SLOW}, {cut for _, cut in SLOW}
    assert cells == set(GATES) and len(truncations) == 5 and len(SLOW) + len(OTHERS) == 36


def model_and_oracle(kind, truncation, **rates):
    kind = {**PLAIN, **kind}
    parameters, x, y = net(kind, 1)
    size = len(parameters["L"]) if kind["embedding"] else None
    settings = {n: value for n, value in kind.items() if n not in ("embedding", "projection")}
    settings = {**settings, **rates, "embedding_size": size}
    model = RNN(5, 3, **settings, truncation=truncation, dtype="float64")
    model.set_parameters(parameters)
    return kind, model, NumpyRNN(parameters, truncation, **kind), x, y


def test_gradients_under_all_masks_are_numpy_s(monkeypatch):
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", function_in_python)
    kind, model, oracle, x, y = model_and_oracle({"cell": "tanh", "embedding": True}, "full")
    kept = masks(kind, 2)
    assert_same(model.bptt(x, y, kept=kept), oracle.bptt(x, y, kept=kept), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, truncation", first(len(SLOW), SLOW + OTHERS, pytest.mark.exhaustive), ids=str
)
def test_gradients_under_all_masks_are_numpy_s_as_compiled(kind, truncation):
    kind, model, oracle, _, _ = model_and_oracle(kind, truncation)
    rng = np.random.default_rng(3)
    x, y = rng.integers(5, size=(2, 6, 3))
    mask, kept = np.arange(6)[:, None] < np.array([2, 6, 3]), masks(kind, 2, B=(3,))
    cuts = {"cuts": rng.random(x.shape) < 0.3} if "artbp" in truncation else {}
    found = model.bptt(x, y, mask, kept, **cuts)
    assert_same(found, oracle.bptt(x, y, mask, kept, **cuts), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", masks({"cell": "gru", "embedding": True}))
@pytest.mark.parametrize("cell", ["tanh", "gru", "gru_after", "lstm"])
def test_gradients_under_one_kind_of_masks_are_numpy_s_as_compiled(cell, name):
    kind = {"cell": cell, "layers": 2, "bias": True, "embedding": True}
    kind, model, oracle, x, y = model_and_oracle(kind, "full")
    kept = {name: masks(kind, 2)[name]}
    assert_same(model.bptt(x, y, kept=kept), oracle.bptt(x, y, kept=kept), 1e-12)


#: In turn with masks of their own at each step, and with the same at all.
STEPS = [
    ({"cell": cell, "layers": 2, "bias": True, "tied": True, "embedding": True}, *how)
    for is_variational in (False, True)
    for cell in GATES
    for how in (("full", is_variational), ("window:2", not is_variational))
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, truncation, variational",
    first(len(STEPS) // 2, STEPS, pytest.mark.exhaustive),
    ids=str,
)
def test_a_step_takes_numpy_s_gradient_under_the_masks_it_draws(kind, truncation, variational):
    rates = {"dropout": 0.3, "dropout_output": 0.4, "dropout_input": 0.2, "dropout_embedding": 0.2}
    rates["variational"] = variational
    if kind["cell"] != "mingru":
        rates.update(dropout_recurrent=0.3, weight_drop=0.4)
    _, model, oracle, _, _ = model_and_oracle(kind, truncation, **rates)
    x, y = np.random.default_rng(3).integers(5, size=(2, 6, 3))
    step, before = Step(model, clip_by=None), model.parameters()
    loss, _, _ = step(x, y, 0.5, random=np.random.default_rng(4))
    drawn = dropout.draw(model.architecture, x.shape, np.random.default_rng(4), "float64")
    kept = {name: mask for name, mask in drawn._asdict().items() if mask is not None}
    kept["states"] = np.broadcast_to(drawn.states, (2, 6, 3, 3)).transpose(1, 2, 0, 3)
    kept["input"] = np.broadcast_to(drawn.input, (1, 6, 3, 3))[0]
    if "recurrent" in kept:
        kept["recurrent"] = drawn.recurrent[:, 0].transpose(1, 0, 2)
    assert loss == pytest.approx(oracle.ce_error(x, y, kept=kept), rel=1e-13)
    gradients = oracle.bptt(x, y, kept=kept)
    after = {name: p - 0.5 * gradients[name] / 3 for name, p in before.items()}
    assert_same(model.parameters(), after, 1e-12)


def test_masks_of_some_steps_are_those_steps_or_the_one_mask_of_all():
    for variational in (False, True):
        found = drawn(changed(ALL, variational=variational))
        some = found.of_steps(slice(10, 15))
        for name in ("states", "input"):
            whole, part = getattr(found, name), getattr(some, name)
            assert part.shape[1] == (1 if variational else 5)
            assert (part == (whole if variational else whole[:, 10:15])).all()
        assert some[2:] == found[2:]


BAD = [
    ({"dropped": np.ones(3)}, "kept has 'dropped'; this network has masks states, input, embed"),
    ({"weights": np.ones((2, 12, 4))}, r"kept\['weights'\] has shape \(2, 12, 4\)"),
    ({"recurrent": np.ones((6, 2, 3))}, r"kept\['recurrent'\] has shape \(6, 2, 3\)"),
    ({"input": np.full((6, 4), np.nan)}, r"kept\['input'\] has 24 values that are NaN"),
    (np.ones((6, 3)), r"kept has shape \(6, 3\); this model needs \(6, 2, 3\)"),
]


@pytest.mark.parametrize("kept, message", BAD)
def test_bad_masks_are_refused(kept, message):
    model = RNN(5, 3, cell="lstm", layers=2, embedding_size=4, dtype="float64")
    with pytest.raises(RNNError, match=message):
        model.bptt(np.zeros(6, int), np.zeros(6, int), kept=kept)
