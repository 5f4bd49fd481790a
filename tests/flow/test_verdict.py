"""The verdict: what is proved, what is seen, and where the bound proves nothing."""

import dataclasses
import math
import re

import numpy as np
import pytest
from conftest import first
from flow.by_hand import by_curve, flow_of

from theano_rnn import RNN
from theano_rnn.commands import train
from theano_rnn.flow import Flow
from theano_rnn.flow.advice import advise
from theano_rnn.flow.decay import geometric_mean, horizon_of, left_by_lag
from theano_rnn.flow.evidence import evidence
from theano_rnn.flow.reasons import reasons
from theano_rnn.flow.report.terminal import exponent_line
from theano_rnn.flow.verdict import Verdict, verdict
from theano_rnn.training.build import build_model
from theano_rnn.training.settings import Settings

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.integers(20, size=(2, 14))


def flow(W_scale=None, U_scale=None, x=X, y=Y, cell="tanh", W=None, **settings):
    model = RNN(20, 8, cell=cell, dtype="float64", **settings)
    changed = model.parameters()
    if W_scale is not None:
        changed["W"] = changed["W"] * W_scale / np.linalg.norm(changed["W"], 2)
    if W is not None:
        changed["W"] = W
    if U_scale is not None:
        changed["U"] = changed["U"] * U_scale
    model.set_parameters(changed)
    return Flow(model, x, y)


def orthogonal(scale):
    return scale * np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]


def test_a_largest_singular_value_below_1_proves_that_a_tanh_net_vanishes():
    v = verdict(flow(W_scale=0.9))
    assert v.kind == "proved to vanish" and math.isclose(v.bound, 0.9)
    assert v.rate < 0.9 and "< 1" in v.bound_says and "proved" in v.words
    assert any("spectral radius" in reason for reason in v.reasons)
    assert any(remedy.startswith("--initialization orthogonal") for remedy in v.remedies)


def test_what_is_proved_has_the_lag_of_one_percent_and_what_is_seen_on_the_text():
    v = verdict(flow(W=orthogonal(0.8), U_scale=1e-6))
    assert v.kind == "proved to vanish" and v.observed == "observed to vanish"
    assert v.guaranteed == 21 and 0.8**21 <= 0.01 < 0.8**20
    assert "At most 1 % is left after 21 steps" in v.bound_says
    assert "proved to vanish on any text" in v.words and "too short to see 1 %" in v.words
    v = verdict(flow(W_scale=0.9, U_scale=9))
    assert v.observed == "observed to vanish" and v.observed in v.words


def test_the_label_depends_on_what_was_seen_and_not_on_whether_1_percent_was():
    f = carrying(0.8)
    v = verdict(f)
    assert math.isclose(v.rate, 0.8, rel_tol=1e-6) and v.horizon is None
    assert v.kind == v.observed == "observed to vanish" and v.guaranteed is None
    assert "this text is too short to see 1 % left" in v.words and v.reasons
    assert "At the longest lag, 13, 5.5 % is left" in v.words and math.isclose(v.left, 0.8**13)
    whole = verdict(carrying(0.6))
    assert whole.kind == "observed to vanish" and "after 10 steps" in whole.words


def carrying(z):
    """A gru whose every one-step Jacobian is z."""
    model = RNN(20, 8, cell="gru", bias=True, dtype="float64")
    p = {**model.parameters(), "W": np.zeros((24, 8)), "U": np.ones((24, 20))}
    p["U"][:8] = math.log(z / (1 - z))
    model.set_parameters(p)
    return Flow(model, X, Y)


def test_products_that_say_otherwise_than_the_errors_are_named():
    f, n = carrying(0.8), np.arange(14)
    assert "products" not in verdict(f, products=0.8**n).words
    assert "products |ds_t/ds_k| do fall below 1 %, after 7" in verdict(f, products=0.5**n).words
    vanishes = carrying(0.6)
    assert "products |ds_t/ds_k| do not fall" in verdict(vanishes, products=0.9**n).words


def test_sigmoid_is_proved_to_vanish_up_to_a_singular_value_of_4():
    assert verdict(flow(W_scale=3.9, cell="sigmoid")).kind == "proved to vanish"
    v = verdict(flow(W_scale=4.1, cell="sigmoid"))
    assert v.kind == "observed to vanish" and "proves nothing" in v.bound_says


def test_above_1_the_bound_proves_nothing_and_the_rate_is_observed():
    v = verdict(flow(W_scale=1.3))
    assert v.kind == "observed to vanish" and v.bound > 1 and "proves nothing" in v.bound_says
    assert 0 < v.rate < 1 and math.isclose(v.half_life, math.log(2) / -math.log(v.rate))


def test_a_large_orthogonal_W_on_small_inputs_explodes():
    v = verdict(flow(W=orthogonal(1.5), U_scale=1e-6))
    assert v.kind == "observed to explode" and 1.4 < v.rate < 1.5
    assert "doubles" in v.words and v.horizon is None
    assert any(remedy.startswith("--clip") for remedy in v.remedies)


def test_an_orthogonal_W_on_small_inputs_keeps_it():
    v = verdict(flow(W=orthogonal(1.0), U_scale=1e-6))
    assert v.kind == "kept" and math.isclose(v.rate, 1, rel_tol=1e-6)
    assert v.remedies == () and "kept" in v.words


def test_a_saturated_net_vanishes_though_its_W_would_not_shrink_the_state():
    v = verdict(flow(W=orthogonal(1.5), U_scale=40))
    assert v.kind == "observed to vanish" and v.bound > 1
    assert any(reason.startswith("saturation") for reason in v.reasons)
    assert any("would not shrink" in reason for reason in v.reasons)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_of_gates_no_bound_is_known_and_the_gate_that_keeps_is_the_reason(cell):
    v = verdict(flow(cell=cell))
    assert v.bound is None and v.kind == "observed to vanish"
    assert "nothing is proved" in v.bound_says and cell in v.bound_says
    assert any("carry gate" in reason for reason in v.reasons) and v.remedies


def test_the_gate_that_keeps_is_said_to_be_what_is_carried():
    (reason,) = [r for r in verdict(carrying(0.6)).reasons if "carry gate" in r]
    assert "carry gate z" in reason and "0.60 on average" in reason
    assert reason.endswith("0% of its values are below 0.1")


def test_of_a_sigmoid_the_spectral_radius_is_judged_with_its_quarter():
    (reason,) = [r for r in verdict(flow(W=orthogonal(3.1), cell="sigmoid")).reasons if "rad" in r]
    assert "shrinks" in reason and "gamma x spectral radius = 0.25 x 3.1 = 0.775" in reason


def test_what_helps_sigmoid_does_not_prove_that_it_vanishes():
    remedies = verdict(flow(cell="sigmoid")).remedies
    assert not any("orthogonal" in remedy for remedy in remedies)
    assert any(remedy.startswith("--initialization spectral:4:") for remedy in remedies)
    f = Flow(RNN(20, 8, cell="sigmoid", initialization="spectral:4"), X, Y)
    assert f.bound() >= 1
    assert (
        verdict(f, Settings(cell="sigmoid", initialization="spectral:4")).remedies[0][:5]
        == "--cel"
    )


def test_a_truncation_that_leads_elsewhere_is_the_first_to_be_helped():
    f = flow()
    assert f.truncated("last:2")[0] < 0.9
    first, second, *others = verdict(f, Settings(truncation="last:2")).remedies
    assert first.startswith("--truncation window:2: ") and "cosine of last:2" in first
    assert second.startswith("--truncation full: ")
    assert any(remedy.startswith("--truncation full --omega 2") for remedy in others)
    assert not any("--truncation" in remedy for remedy in verdict(f).remedies)
    stream = Settings(truncation="chunk:1", stream=True)
    assert verdict(f, stream).remedies[0].startswith("--truncation chunk:2: ")


SETTINGS = [
    Settings(),
    Settings(cell="sigmoid", truncation="last:4"),
    Settings(cell="relu", initialization="identity", clip=1.0, truncation="window:4"),
    Settings(cell="tanh", initialization="orthogonal", omega=1.0, l2=1e-3),
    Settings(tied=True, bias=True, hidden_size=8, layers=2),
    Settings(cell="gru", truncation="chunk:2", stream=True),
    Settings(cell="lstm", bias=True),
    Settings(cell="lstm", embedding_size=4),
]


@pytest.mark.parametrize("settings", first(3, SETTINGS), ids=lambda s: f"{s.cell} {s.truncation}")
def test_every_remedy_is_taken_with_the_rest_of_the_settings_and_changes_them(settings):
    settings = dataclasses.replace(settings, hidden_size=8)
    f = Flow(build_model(settings, 20), X, Y)
    for vanishes, explodes in ((True, False), (False, True)):
        found = advise(f, vanishes, explodes, settings)
        assert found
        for remedy in found:
            changed = dataclasses.replace(settings, **remedy.changes)
            now = dataclasses.asdict(settings)
            assert all(now[name] != value for name, value in remedy.changes.items())
            assert changed != settings


def test_layers_have_no_bound():
    v = verdict(flow(layers=2))
    assert v.bound is None and "2 layers" in v.bound_says


def test_a_dead_relu_net_loses_all_and_is_told_so():
    v = verdict(flow(cell="relu", W=-np.eye(8)))
    assert v.kind == "observed to vanish" and v.zeros > 0
    assert "exactly 0" in v.words and any("ReLU" in reason for reason in v.reasons)


@pytest.mark.parametrize("T", [1, 2])
def test_a_text_of_less_than_3_steps_has_no_rate(T):
    v = verdict(flow(x=X[:T], y=Y[:T], W_scale=2.0))
    assert v.kind == "too short to say" and v.rate is None and v.half_life is None


def test_numbers_that_are_not_finite_do_not_break_it():
    f = flow(W_scale=2.0)
    f.norms[5:, :3] = np.inf
    f.norms[7, 1] = np.nan
    v = verdict(f)
    assert isinstance(v, Verdict) and math.isfinite(v.rate)
    assert v.kind == "observed to explode"  # at the longest lags all overflows
    assert "each error is finite, but the norm of some overflows float64" in v.reasons
    f.errors[5, 0] = np.inf
    assert "some errors are not finite: they overflow float64" in verdict(f).reasons


def test_every_remedy_names_options_that_train_has(capsys):
    with pytest.raises(SystemExit):
        train.parse_arguments(["--help"])
    known = set(re.findall("--[a-z0-9-]+", capsys.readouterr().out))
    flows = [flow(cell=cell) for cell in ("tanh", "sigmoid", "relu", "gru", "lstm")]
    flows += [flow(W=orthogonal(1.5), U_scale=1e-6), flow(W=orthogonal(1.5), U_scale=40)]
    cut, closed = Settings(truncation="last:2"), Settings(cell="lstm", bias=True)
    verdicts = [*map(verdict, flows), verdict(flow(), cut), verdict(flow(cell="lstm"), closed)]
    remedies = [remedy for v in verdicts for remedy in v.remedies]
    options = {option for remedy in remedies for option in re.findall("--[a-z0-9-]+", remedy)}
    assert len(options) >= 7 and options <= known


def test_the_rate_of_an_exact_decay_is_found_whatever_the_size_of_each_output():
    T, own = 12, np.exp(np.random.default_rng(2).normal(size=12))
    lags = np.arange(T)[:, None] - np.arange(T)
    norms = np.where(lags >= 0, own[:, None] * 0.7 ** abs(lags), 0)
    left = left_by_lag(norms)
    np.testing.assert_allclose(left, 0.7 ** np.arange(T))
    e = evidence([norms], 0)
    np.testing.assert_allclose([*e.rate, *e.tail, e.last.rate, e.last.start], [0.7] * 5 + [1])
    assert horizon_of(0.5 ** np.arange(12)) == 7  # 2^-7 < .01 < 2^-6


def test_of_an_lstm_all_is_measured_from_lag_1_on():
    T = 12
    lags = np.arange(T)[:, None] - np.arange(T)
    norms = np.where(lags >= 0, np.where(lags == 0, 0.2, 0.6 ** np.maximum(lags, 0)), 0)
    left = left_by_lag(norms, first=1)
    np.testing.assert_allclose(left[1:], 0.6 ** np.arange(11))
    np.testing.assert_allclose(left[0], 1 / 3)
    e = evidence([norms], 1)
    np.testing.assert_allclose([*e.rate, e.last.rate, e.last.start], [0.6] * 3 + [1 / 0.6])
    f = flow(cell="lstm", bias=True)
    assert f.first_lag == 1 and flow(cell="gru").first_lag == 0
    v = verdict(f)
    assert (v.rate, v.rate_start) == evidence([f.norms], 1).last[2:]
    assert "% of the error at lag 1 is left" in v.words


def test_zeros_are_left_out_of_every_mean_by_lag():
    norms = np.array([[1.0, 0, 0], [0.5, 1, 0], [0.25, 0, 1]])
    np.testing.assert_allclose(left_by_lag(norms), [1, 0.5, 0.25])
    products = np.array([[1, 0.5, 0.25], [1, 0, np.nan]])
    np.testing.assert_allclose(geometric_mean(products), [1, 0.5, 0.25])
    assert geometric_mean(np.zeros((2, 1)))[0] == 0


def test_the_line_of_the_rate_goes_through_the_data_where_lag_0_does_not_lie_on_it():
    n = np.arange(5)
    curve = np.where(n == 0, 1, 5 * 0.8**n)
    last = evidence([by_curve(curve)], 0).last
    weights = 5.0 - n
    expected = np.polyfit(n, np.log(curve), 1, w=np.sqrt(weights))
    np.testing.assert_allclose(np.log(last[2:]), expected)
    drawn = np.log(last.start * last.rate**n)
    assert abs(np.average(drawn - np.log(curve), weights=weights)) < 1e-12


# ---- the faults that were reported, one by one


def tokens(T, vocab_size):
    w = np.random.default_rng(1).integers(0, vocab_size, T + 1)
    return w[:-1], w[1:]


def of_untrained(T, vocab_size=2000, **settings):
    return Flow(RNN(vocab_size, 50, **settings), *tokens(T, vocab_size))


@pytest.mark.slow
def test_a_gradient_that_grows_40000_fold_is_not_kept():
    v = of_untrained(300, initialization="spectral:1.5", seed=3).verdict()
    assert v.kind == "observed to explode" and v.left > 10_000 and v.grown < 300
    assert "More than 100 times as much is there after" in v.words
    assert v.reasons == (
        "W makes the products grow: its spectral radius is 1.5, above 1 (sigma_max 2.77)",
    )


def test_a_factor_of_1_25_is_no_explosion():
    v = of_untrained(4, initialization="spectral:1.15", seed=6).verdict()
    assert v.kind == "too short to say" and "1.25 times as much is there" in v.words


def test_a_label_does_not_change_with_the_length_of_the_text():
    short, long = (of_untrained(T).verdict() for T in (8, 20))
    assert short.kind == long.kind == "observed to vanish"
    assert short.horizon is None and "this text is too short to see 1 % left" in short.words
    assert long.horizon == 9 and "Less than 1 % is left after 9 steps" in long.words


def test_the_range_of_a_rate_is_called_what_it_is():
    words = of_untrained(20).verdict().words
    assert "by a line fitted to its mean logarithm by lag" in words
    assert re.search(
        r"leaves 0\.616 of \|dE_t/ds_k\| \(0\.6\d+ to 0\.6\d+ in parts of this text\)", words
    )


def test_the_forget_gate_is_no_reason_where_its_path_keeps_more_than_is_left():
    told = {"gates": {"f": [[[0.93]]]}, "cell": "lstm"}
    open_path = flow_of(path=0.97, **told)
    assert not any("carry gate" in r for r in reasons(open_path, True, False, 0.6))
    (reason,) = reasons(flow_of(path=0.93, **told), True, False, 0.93)
    assert "carry gate f" in reason and "0.93 on average" in reason
    assert "keeps 0.93 a step over 8 lags" in reason


def test_s_and_c_are_told_apart():
    f = flow(cell="lstm", bias=True)
    s, c = f.errors[:, :, :8], f.errors[:, :, 8:]
    v = verdict(f)
    for name, part in ("s", s), ("c", c):
        rate = evidence([np.linalg.norm(part, axis=2)], 1).last.rate
        assert math.isclose(v.parts[name], rate) and f"{rate:.3g} of that of {name}" in v.words
    assert f.part_norms["c"].shape == (14, 14) and flow(cell="gru").part_norms == {}


def test_two_rates_are_not_made_one():
    n = np.arange(40)
    v = verdict(flow_of(norms=by_curve(np.where(n < 10, 0.7**n, 0.7**10 * 0.98 ** (n - 10)))))
    early, late = v.pieces
    assert math.isclose(early.rate, 0.7) and math.isclose(late.rate, 0.98) and early.last == 10
    assert v.rate == late.rate and "One rate does not fit" in v.words
    assert "leaves 0.7 of |dE_t/ds_k| up to lag 10, and 0.98 from there on" in v.words
    assert len(verdict(flow_of(0.7, 40)).pieces) == 1


@pytest.mark.slow
def test_of_the_identity_the_product_is_1_and_no_exponent_is_printed():
    f = of_untrained(20, cell="relu", initialization="identity")
    e = f.exponent()
    assert math.isclose(np.linalg.norm(f.jacobian(20, 0), 2), 1)
    assert abs(e.product) < 1e-12 and e.mean is e.spread is None
    assert exponent_line(e).startswith("The product of the 20 Jacobians has the norm 1,")


@pytest.mark.slow
def test_an_exponent_has_the_digits_that_its_spread_leaves():
    f = of_untrained(120, 50)
    e = f.exponent()
    product = np.eye(50)
    for t in range(120):
        product = f.jacobian(t + 1, t) @ product
    assert math.isclose(e.product, math.log(np.linalg.norm(product, 2)) / 120, rel_tol=1e-9)
    assert abs(e.mean - e.product) < 0.05 and 0 < e.spread < 0.05
    rotation = Flow(RNN(50, 50, initialization="orthogonal", dtype="float64"), *tokens(120, 50))
    changed = {**rotation.parameters, "U": 1e-9 * rotation.parameters["U"]}
    model = RNN(50, 50, dtype="float64")
    model.set_parameters(changed)
    said = exponent_line(Flow(model, *tokens(120, 50)).exponent())
    assert "is 0.000 +- 0.001 nats a step" in said and "-0.0" not in said


def test_sigma_max_of_1_proves_that_it_cannot_explode():
    for cell, scale in ("tanh", 1.0), ("relu", 1.0), ("sigmoid", 4.0):
        said = verdict(flow(cell=cell, W=orthogonal(scale))).bound_says
        assert "proves that the gradient cannot explode" in said and "= 1," in said
    model = RNN(20, 8, initialization="orthogonal")  # float32 rounds it
    said = verdict(Flow(model, X, Y))
    assert said.bound != 1 and "cannot explode" in said.bound_says and said.guaranteed is None
    assert "proves nothing" in verdict(flow(W=orthogonal(1.001))).bound_says


def test_an_error_that_is_finite_and_whose_norm_overflows_is_named_as_that():
    W = 1000.0 * np.eye(8)
    model = RNN(20, 8, dtype="float64")
    V = np.ones((20, 8)) * np.linspace(1.0, 2.0, 20)[:, None]
    model.set_parameters({"U": np.zeros((8, 20)), "V": V, "W": W})
    T = 100  # each number is below 1.8e308, the norm of eight is not
    scale = 1.7e308 / abs(Flow(model, *[[0] * T] * 2).errors[-1, 0]).max()
    model.set_parameters({"U": np.zeros((8, 20)), "V": V * scale, "W": W})
    f = Flow(model, [0] * T, [0] * T)
    assert np.isfinite(f.errors).all() and not np.isfinite(f.norms).all()
    v = f.verdict()
    assert v.kind == "observed to explode" and math.isclose(v.rate, 1000)
    assert "each error is finite, but the norm of some overflows float64" in v.reasons


def test_what_overflows_explodes_and_does_not_vanish():
    curve = np.where(np.arange(20) < 10, 1e30 ** np.minimum(np.arange(20.0), 10), np.inf)
    v = verdict(flow_of(norms=by_curve(curve)))
    assert v.observed == "observed to explode" and v.grown == 1 and v.left == np.inf
    assert math.isclose(v.rate, 1e30, rel_tol=1e-9)


def test_cosines_of_gradients_whose_squares_overflow_are_numbers():
    f = flow(W=orthogonal(1.0))
    exact = f.truncated("window:2"), f.shares("W")
    f._backpropagated = tuple(1e200 * part for part in f._backpropagated)
    vars(f).pop("full"), vars(f).pop("total")
    np.testing.assert_allclose(f.truncated("window:2"), exact[0], rtol=1e-9)
    np.testing.assert_allclose(f.shares("W"), exact[1], rtol=1e-9, atol=1e-12)
