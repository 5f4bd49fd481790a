"""The verdict: what is proved, what is seen, and where the bound is silent."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.flow import Flow
from theano_rnn.flow.verdict import Verdict, horizon_of, left_by_lag, rate_of, verdict

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
    assert v.rate < 0.9 and "< 1" in v.bound_says and "Proved" in v.words
    assert any("spectral radius" in reason for reason in v.reasons)
    assert any(remedy.startswith("--initialization orthogonal") for remedy in v.remedies)


def test_sigmoid_is_proved_to_vanish_up_to_a_singular_value_of_4():
    assert verdict(flow(W_scale=3.9, cell="sigmoid")).kind == "proved to vanish"
    v = verdict(flow(W_scale=4.1, cell="sigmoid"))
    assert v.kind == "observed to vanish" and "silent" in v.bound_says


def test_above_1_the_bound_is_silent_and_the_rate_is_observed():
    v = verdict(flow(W_scale=1.3))
    assert v.kind == "observed to vanish" and v.bound > 1 and "silent" in v.bound_says
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


def test_a_saturated_net_vanishes_though_its_W_would_not_forget():
    v = verdict(flow(W=orthogonal(1.5), U_scale=40))
    assert v.kind == "observed to vanish" and v.bound > 1
    assert any(reason.startswith("saturation") for reason in v.reasons)
    assert any("would not forget" in reason for reason in v.reasons)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_of_gates_no_bound_is_known_and_the_gate_that_keeps_is_the_reason(cell):
    v = verdict(flow(cell=cell))
    assert v.bound is None and v.kind == "observed to vanish"
    assert "silent" in v.bound_says and cell in v.bound_says
    assert any("gate that keeps" in reason for reason in v.reasons) and v.remedies


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
    assert any("not finite" in reason for reason in v.reasons)


def test_every_remedy_names_options_that_train_has():
    script = (Path(__file__).parent.parent / "theano_rnn" / "commands" / "train.py").read_text()
    flows = [flow(cell=cell) for cell in ("tanh", "sigmoid", "relu", "gru", "lstm")]
    flows += [flow(W=orthogonal(1.5), U_scale=1e-6), flow(W=orthogonal(1.5), U_scale=40)]
    remedies = [remedy for f in flows for remedy in verdict(f).remedies]
    options = {option for remedy in remedies for option in re.findall("--[a-z0-9-]+", remedy)}
    assert len(options) >= 7 and all(f'"{option}"' in script for option in options)


def test_the_rate_of_an_exact_decay_is_found_whatever_the_size_of_each_output():
    T, own = 12, np.exp(np.random.default_rng(2).normal(size=12))
    lags = np.arange(T)[:, None] - np.arange(T)
    norms = np.where(lags >= 0, own[:, None] * 0.7 ** abs(lags), 0)
    left = left_by_lag(norms)
    np.testing.assert_allclose(left, 0.7 ** np.arange(T))
    np.testing.assert_allclose(rate_of(left), [0.7, 0.7, 0.7, 1])
    assert horizon_of(0.5 ** np.arange(12)) == 7  # 2^-7 < .01 < 2^-6


def test_the_line_of_the_rate_goes_through_the_data_where_lag_0_does_not_lie_on_it():
    n = np.arange(9)
    left = np.where(n == 0, 1, 5 * 0.8**n)
    line = rate_of(left)
    weights = 9.0 - n
    expected = np.polyfit(n, np.log(left), 1, w=np.sqrt(weights))
    np.testing.assert_allclose(np.log([line.rate, line.start]), expected)
    drawn = np.log(line.start * line.rate**n)
    assert abs(np.average(drawn - np.log(left), weights=weights)) < 1e-12


def test_a_rate_that_is_not_clear_is_no_verdict_of_vanishing():
    left = np.exp(-0.2 * np.arange(15)) * np.where(np.arange(15) < 9, 1, 4)
    rate, low, high, _ = rate_of(left)
    assert low < rate < 0.95 < high
