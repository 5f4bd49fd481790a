"""The measures of a flow whose states, errors, gates and Jacobians are given, by hand.

That those of a network are what they should be is proved in test_flow; here is what is made of
them, at and beside each limit.
"""

import dataclasses

import numpy as np
import pytest
from flow.by_hand import by_curve

from theano_rnn import RNNError
from theano_rnn.common import memory
from theano_rnn.flow import Flow, by_lag, demo, reach, watch
from theano_rnn.flow.curves import activation, derivative, operating_points
from theano_rnn.flow.decay import (
    geometric_mean,
    half_life_of,
    horizon_of,
    knot_of,
    left_by_lag,
    line,
    sums_by_lag,
    zeros_of,
)
from theano_rnn.flow.evidence import evidence
from theano_rnn.flow.exponents import Exponent
from theano_rnn.flow.findings import measure, plain, power
from theano_rnn.flow.pairs import cosine, lengths_of
from theano_rnn.flow.report.figures import by_lag_lines
from theano_rnn.flow.states import check_memory
from theano_rnn.model.architecture import Architecture
from theano_rnn.optim.regularization import BOUND
from theano_rnn.training.settings import Settings


def by_hand(cell="tanh", layers=1, T=4, H=2, **given):
    """A flow without a network: what is not given it has not."""
    flow = Flow.__new__(Flow)
    cell = "".join(cell)  # as one that is read from a file, and not the object of a literal
    flow.architecture = Architecture(5, H, cell, layers)
    flow.T, flow.H, flow.S = T, H, flow.architecture.state_size
    flow.is_module = False
    vars(flow).update(given)
    return flow


def arrays(**given):
    return {name: np.array(value, float) for name, value in given.items()}


# ---- errors


def test_omega_is_the_mean_square_of_what_each_step_changes_but_for_steps_without_an_error():
    flow = by_hand(
        T=4, top=slice(0, 2), _backpropagated=(None, np.array([[1.0, 5], [5, 3], [0, 0], [0, 0]])),
        **arrays(total=[[3, 4], [0, 0], [1, 0], [0, BOUND**0.5]],
                 own=[[9, 9], [-3, 0], [1, 0], [0, 0]]),
    )  # fmt: skip
    # |before| / |error|: 10/5, (none), 3/1, 0.
    assert flow.omega() == pytest.approx((3**2 + 8**2 + 1) / 3, rel=1e-12)
    flow.total[:] = 0
    assert flow.omega() == 0
    flow.total[3] = [0, 0.99 * BOUND**0.5]
    assert flow.omega() == 0


def test_a_step_receives_an_output_where_a_hundredth_of_its_error_arrives():
    norms = [[1, 9, 9, 9], [0.01, 1, 9, 9], [0.00999, 0.5, 1, 9], [0, 0, 0, 0]]
    flow = by_hand(**arrays(norms=norms))
    assert flow.live_steps() == (1 + 2 + 2) / 3
    assert flow.live_steps(0.5) == (1 + 1 + 2) / 3
    assert flow.live_steps(0) == (1 + 2 + 3) / 3


def test_cosine_and_ratio_of_two_gradients_and_of_none():
    flow = by_hand(
        full=arrays(W=[[3, 4]], V=[[1, 0]]), gradient=lambda w: arrays(W=[[6, 0]], V=[[0, 9]])
    )
    assert flow.truncated("window:1") == pytest.approx((0.6, 1.2))
    assert flow.truncated("window:1", ["W", "V"]) == pytest.approx(
        (18 / 26**0.5 / 117**0.5, (117 / 26) ** 0.5)
    )
    flow.full["W"][:] = 0
    assert flow.truncated("window:1") == (0, 0)


def test_the_first_K_and_the_K_from_which_on_all_have_the_cosine():
    cosines = {1: 0.5, 2: 0.9, 3: 0.8, 4: 0.9, 5: 0.95, 6: 1.0}
    flow = by_hand(T=6, truncated=lambda cut, name: (cosines[int(cut.partition(":")[2])], 1.0))
    for wanted, first, lasting in ((0.5, 1, 1), (0.9, 2, 4), (0.8, 2, 2), (0.95, 5, 5),
                                   (0.96, 6, 6), (1, 6, 6), (1e-9, 1, 1)):  # fmt: skip
        assert (flow.first_K("chunk", wanted), flow.smallest_K("window", wanted)) == (
            first,
            lasting,
        )
    for wanted in (0, 1.01, "0.5", None):
        with pytest.raises(RNNError, match="above 0 and at most 1"):
            flow.first_K("chunk", wanted)


# ---- Jacobians and exponents


def test_norms_by_lag_are_of_ends_from_the_middle_of_the_text_to_its_end():
    T, asked = 5, []

    def jacobians_from(t):
        asked.append(t)
        return np.array([10.0 * t + n for n in range(t + 1)])[:, None, None] * np.eye(2)

    flow = by_hand(T=T, jacobians_from=jacobians_from)
    nan = np.nan
    np.testing.assert_array_equal(
        flow.norms_by_lag(2), [[20, 21, 22, nan, nan], [50, 51, 52, 53, 54]]
    )
    assert asked == [2, 5]
    flow.T, asked[:] = 40, []
    flow.norms_by_lag()
    assert asked == [20, 23, 26, 29, 31, 34, 37, 40]
    for T, expected in ((1, [1]), (3, [1, 2, 3])):
        flow.T, asked[:] = T, []
        flow.norms_by_lag()
        assert asked == expected


def test_exponents_are_means_of_logarithms_of_the_steps_that_count():
    grows = {1: [8.0, 8], 2: [2, 0.5], 3: [2, 0.5], 4: [2, 0.125]}
    flow = by_hand(jacobian=lambda t, k: np.diag(grows[t]) if k == t - 1 else None)
    log2 = np.log(2)
    assert flow.lyapunov().sum() == pytest.approx((6 - 2) * log2 / 4)
    assert flow.lyapunov(transient=1).sum() == pytest.approx(-2 * log2 / 3)
    assert flow.lyapunov(transient=3).sum() == pytest.approx(-2 * log2)
    flow.jacobian = lambda t, k: 0.25 * np.eye(2)
    assert flow.lyapunov(1) == pytest.approx([-2 * log2])
    np.testing.assert_allclose(flow.one_step_norms(), 0.25 * np.ones(4))
    np.testing.assert_allclose(flow.singular_values(), 0.25 * np.ones((4, 2)))


def test_what_gates_carry_is_the_product_of_the_last_ones():
    f = np.array([[[0.5, 0.1], [0.5, 0.2], [0.4, 0.3], [0.1, 0.9]]])
    flow = by_hand("lstm", gates={"i": 9 * f, "f": f})
    # From the ends t = 2 and 4: of 0, 1, 2, 3 steps.
    largest = [1, (0.5 * 0.9) ** 0.5, (0.25 * 0.27) ** 0.5, 0.054]
    np.testing.assert_allclose(flow.identity_path(2), [largest])
    mean = [1, (0.35 * 0.5) ** 0.5, (0.135 * 0.155) ** 0.5, (0.02 + 0.054) / 2]
    np.testing.assert_allclose(flow.identity_path(2, "mean"), [mean])
    flow = by_hand(
        "gru", layers=2, gates={"z": np.array([0.5, 0.25])[:, None, None] * np.ones((2, 4, 2))}
    )
    np.testing.assert_allclose(flow.identity_path(), [0.5 ** np.arange(4), 0.25 ** np.arange(4)])
    rising = (np.arange(1, 41) / 41)[None, :, None]
    flow = by_hand("gru", T=40, gates={"z": rising})
    assert flow.identity_path()[0, 1] == pytest.approx(geometric_mean(
        np.array([20, 23, 26, 29, 31, 34, 37, 40])[:, None] / 41)[0])  # fmt: skip


# ---- matrices and saturation


def test_spectra_are_of_each_gates_rows_and_the_bound_is_of_one_layer_without_gates():
    W = np.array([[0.0, 3], [0, 0]])
    flow = by_hand(parameters={"W": W}, gates={})
    assert flow.spectra() == {"W": {"sigma_max": 3, "spectral_radius": 0}} and flow.bound() == 3
    flow = by_hand("sigmoid", parameters={"W": W}, gates={})
    assert flow.bound() == 0.75
    one = {"z": None, "r": None}
    flow = by_hand(
        "gru", 2, parameters={"W": np.vstack([W, 2 * W, 4 * W]), "W2": np.eye(6, 2)}, gates=one
    )
    assert list(flow.spectra()) == ["W[z]", "W[r]", "W[h]", "W2[z]", "W2[r]", "W2[h]"]
    assert [of["sigma_max"] for of in flow.spectra().values()] == [3, 6, 12, 1, 0, 0]
    assert flow.bound() is None and by_hand(layers=2).bound() is None
    flow = by_hand("lstm", parameters={"W": np.eye(8, 2)}, gates=dict.fromkeys("ifo"))
    assert list(flow.spectra()) == ["W[i]", "W[f]", "W[o]", "W[g]"]


@pytest.mark.parametrize(
    "cell, s, saturated, slope, dead",
    [
        ("tanh", [[0.95, -0.91], [0.9, 0]], 2 / 4, 1 - (0.95**2 + 0.91**2 + 0.81) / 4, None),
        ("gru", [[0.95, -0.91], [0.9, 0]], 2 / 4, None, None),
        ("gru_after", [[0.95, -0.95], [0.91, 0.05]], 3 / 4, None, None),
        ("mingru", [[0.95, 0], [0.91, 0]], None, None, None),
        ("sigmoid", [[0.05, 0.1], [0.9, 0.95]], 2 / 4, (2 * 0.0475 + 2 * 0.09) / 4, None),
        ("relu", [[2, 0], [0, 0]], None, 1 / 4, 1 / 2),
        ("relu", [[2, 1], [1, 0]], None, 3 / 4, 0),
    ],
)
def test_saturated_is_what_lies_beyond_and_dead_what_is_never_on(cell, s, saturated, slope, dead):
    gate = np.array([[[0.1, 0.05], [0.9, 0.95]], [[0.5, 0.95], [0.5, 0.95]]])
    flow = by_hand(cell, T=2, states=np.array([[7.0, 7], *s]), gates={"z": gate})
    found = flow.saturation()
    assert found.pop("gates") == {"z": [1 / 8, 3 / 8]}
    assert found == {
        "saturated": saturated,
        "derivative": slope and pytest.approx(slope),
        "dead": dead,
    }


def test_of_an_lstm_s_is_the_first_part_of_each_layers_state():
    states = np.arange(3 * 8, dtype=float).reshape(3, 8)
    flow = by_hand("lstm", 2, T=2, states=states)
    np.testing.assert_array_equal(flow.hidden(), [[[8, 9], [16, 17]], [[12, 13], [20, 21]]])
    assert flow.first_lag == 1 and by_hand("gru").first_lag == 0
    assert flow.recurrent == ["W", "W2"]


def test_what_needs_more_than_half_of_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 10**10 + 1)
    check_memory("x", 1000, 5000, 2)  # exactly half
    with pytest.raises(RNNError, match=r"^x need 5\.0 GB, and this process may have 10\.0; a text "
                       r"of at most 1,000 tokens can be taken$"):  # fmt: skip
        check_memory("x", 1001, 5000, 2)
    with pytest.raises(RNNError, match=r"need 5\.1 GB.*at most 1,000,000 tokens"):
        check_memory("x", 1_020_000, 5000, 1)


# ---- decay


def test_means_of_logarithms_stay_within_the_numbers():
    rows = np.array([[5e-324, 1.7e308, 4, 0, np.inf], [5e-324, 1.7e308, np.nan, 0, 3]])
    expected = [np.exp(-700), np.exp(700), 4, 0, 3]
    np.testing.assert_allclose(geometric_mean(rows), expected, rtol=1e-12)


def test_errors_below_the_smallest_do_not_count():
    for least in (1e-290, 9e-291):
        np.testing.assert_array_equal(left_by_lag(np.array([[1.0, 0], [least, 1.0]])), [1, 0])
        np.testing.assert_array_equal(left_by_lag(np.array([[least, 0], [0.5, least]])), [0, 0])
    np.testing.assert_allclose(left_by_lag(np.array([[1.0, 0], [2e-290, 1.0]])), [1, 2e-290])


def test_a_rate_needs_three_lags_of_which_one_is_not_zero():
    def last(curve, first=0):
        return evidence([by_curve(np.array(curve, float))], first).last

    assert last([1, 0.5]) is None and last([0, 0, 0, 0, 0]) is None
    assert last([1, 0.5, 0.25], first=1) is None
    assert last([1, 0, 0, 0]) == (0, 0, 0, 1)
    np.testing.assert_allclose(last([9, 1, 0.5, 0.25], first=1), [1, 3, 0.5, 2])
    np.testing.assert_allclose(last([1, 0.5, 0]), [0, 1, 0.5, 1])
    np.testing.assert_allclose(last([1, 1e-280, 0])[2], 1e-280, rtol=1e-9)


def test_a_line_is_weighted_and_leaves_out_what_is_not_finite():
    n, w = np.arange(5.0), np.arange(5.0, 0, -1)
    log = np.array([[0.0, -1, -1, -3, -3], [0.0, 2, np.nan, 6, -np.inf], [1.0, *[np.nan] * 4]])
    slope, height = line(n, log, np.tile(w, (3, 1)))
    np.testing.assert_allclose(
        [slope[0], height[0]], np.polyfit(n, log[0], 1, w=w**0.5), atol=1e-12
    )
    np.testing.assert_allclose([slope[1], height[1]], [2, 0], atol=1e-12)
    assert np.isnan(slope[2])


def test_a_line_bends_where_two_pieces_are_better_by_half():
    n = np.arange(20.0)
    bent = -0.4 * n + 0.35 * np.maximum(0, n - 7)
    assert knot_of(n, bent, 20 - n) == 7 and knot_of(n[:5], bent[:5], 20 - n[:5]) is None
    assert knot_of(n, -0.4 * n, 20 - n) is None
    assert knot_of(n, bent / 10, 20 - n) is None  # one line misses it by less than 5 %
    wave = np.where(np.arange(20) % 2, 0.3, -0.3)
    assert knot_of(n, wave, 20 - n) is None


def test_one_text_has_ten_parts_and_several_are_a_group_each():
    norms = by_curve(0.5 ** np.arange(25.0))
    sums = sums_by_lag(norms, 0, 10)
    assert sums.counts.shape == (10, 25) and sums.counts.sum() == 25 * 26 / 2
    np.testing.assert_allclose(
        sums.logs.sum(axis=0), np.log(0.5) * np.arange(25) * (25 - np.arange(25))
    )
    norms[24, 3], norms[10, 2], norms[20, 20] = np.inf, 0, 0
    sums = sums_by_lag(norms, 0)
    assert sums.overflow[0, 21] == 1 and sums.lost[0, 8] == 1 and sums.counts[0, 0] == 24
    e = evidence([by_curve(0.5 ** np.arange(float(T))) for T in (4, 9, 9, 4, 4, 4)], 0)
    assert e.texts == 6 and e.longest == 8
    np.testing.assert_allclose(e.spread, [0.5, 0.5])
    assert evidence([np.eye(3)] * 19 + [np.eye(9)], 0).longest == 2  # a tenth have to be as long


def test_a_lag_without_an_error_of_its_own_tells_nothing():
    norms = by_curve(0.9 ** np.arange(20.0))
    norms[15:] = 0  # nothing to predict there: no lag beyond 14 has a pair
    e = evidence([norms], 0)
    assert e.longest == 14 and e.horizon is None


def test_ranges_are_those_of_the_texts_drawn_again():
    rates = [0.5, 0.6, 0.7, 0.8, 0.9]
    e = evidence([by_curve(rate ** np.arange(12.0)) for rate in rates], 0)
    random = np.random.default_rng(0)
    drawn = random.multinomial(5, [0.2] * 5, 400) @ np.log(rates) / 5
    np.testing.assert_allclose(np.log(e.rate), np.percentile(drawn, [2.5, 97.5]), rtol=1e-9)
    np.testing.assert_allclose(e.last.rate, np.exp(np.mean(np.log(rates))))
    np.testing.assert_allclose(e.spread, np.percentile(rates, [2.5, 97.5]))


def test_the_level_at_which_a_curve_ends_is_found():
    n = np.arange(20.0)
    for curve in (0.9 * 0.6**n + 0.1, (0.99 * 0.36**n + 0.01) ** 0.5, 1 / (0.9 * 0.6**n + 0.1)):
        assert evidence([by_curve(curve / curve[0])], 0).levels == pytest.approx(0.1, rel=0.2)
    assert evidence([by_curve(0.6**n)], 0).levels < 1e-4


def test_half_lives_horizons_and_zeros_at_their_limits():
    assert [half_life_of(rate) for rate in (-1, 0, 1, 4, 0.25)] == [0, 0, np.inf, 0.5, 0.5]
    assert horizon_of(np.array([1, 0.01, 0.00999])) == 2
    assert horizon_of(np.array([1, 0.00999, 0.01])) is None
    assert horizon_of(np.array([0.001, 0.001])) == 0
    assert zeros_of(np.eye(3)) == (3, 3) and zeros_of(np.zeros((1, 1))) == (0, 0)
    assert zeros_of(np.array([[5.0, 0, 0], [0, 5, 0], [1, 2, 5]])) == (1, 3)
    # Outputs without an error of their own do not count.
    assert zeros_of(np.array([[0.0, 0, 0], [0, 0, 0], [1, 0, 5]])) == (1, 2)


# ---- pairs


def test_the_pairs_of_each_scheme():
    for scheme, rows in {
        "full": "x.... xx... xxx.. xxxx. xxxxx",
        "window:2": "x.... xx... xxx.. .xxx. ..xxx",
        "chunk:2": "x.... xx... ..x.. ..xx. ....x",
        "last:2": "..... ..... ..... ...x. ...xx",
        "last:9": "x.... xx... xxx.. xxxx. xxxxx",
    }.items():
        drawn = ["".join(".x"[int(hears)] for hears in row) for row in reach(scheme, 5)]
        assert " ".join(drawn) == rows
    assert reach("full", 1).tolist() == [[1]]
    assert (reach("artbp:2:4", 5) == reach("full", 5)).all()  # on average
    with pytest.raises(RNNError, match="T must be"):
        reach("full", 0)
    pairs = np.arange(9.0).reshape(3, 3)
    assert by_lag(pairs).tolist() == [0 + 4 + 8, 3 + 7, 6]


def test_lengths_and_cosines_of_what_is_zero_or_beyond_the_squares():
    a = np.array([[3e200, -4e200], [0, 0], [3e-200, 4e-200], [-5, 12]])
    np.testing.assert_allclose(lengths_of(a), [5e200, 0, 5e-200, 13])
    assert cosine(np.array([3.0, 4]), np.array([4.0, 3])) == pytest.approx(24 / 25)
    assert cosine(np.zeros(2), np.ones(2)) == cosine(np.ones(2), np.zeros(2)) == 0


# ---- curves


def test_gates_that_are_all_open_or_closed_have_a_place_on_their_curve(monkeypatch):
    monkeypatch.setattr(
        "theano_rnn.flow.curves._preactivation", lambda flow, s, layer: s[1:, layer] + layer
    )
    gates = {"z": np.array([[[0.0, 1], [0.5, 0.25]]])}
    states = np.arange(6.0).reshape(3, 2)
    found = operating_points(by_hand("gru", T=2, gates=gates, states=states))
    tiny = np.log(np.finfo(float).tiny)
    np.testing.assert_allclose(found["gate z"], [[tiny, -np.log(1e-17)], [0, np.log(1 / 3)]])
    np.testing.assert_array_equal(found["tanh h"], states[1:])
    two = operating_points(by_hand("tanh", 2, T=2, states=np.arange(12.0).reshape(3, 4)))
    assert list(two) == ["tanh, layer 1", "tanh, layer 2"]
    np.testing.assert_array_equal(two["tanh, layer 2"], [[7, 8], [11, 12]])
    found = operating_points(
        by_hand("lstm", T=2, gates=gates, states=np.arange(12.0).reshape(3, 4))
    )
    np.testing.assert_array_equal(found["tanh(c)"], [[6, 7], [10, 11]])
    np.testing.assert_array_equal(found["tanh g"], [[4, 5], [8, 9]])


def test_the_curves_and_their_slopes_at_a_few_places():
    z = np.array([-1.0, 0, 2])
    half = 1 / (1 + np.exp(-z))
    for name, values, slopes in (
        ("tanh", np.tanh(z), 1 - np.tanh(z) ** 2), ("tanh(c)", np.tanh(z), 1 / np.cosh(z) ** 2),
        ("relu, layer 2", [0, 0, 2], [0, 0.5, 1]), ("gate f", half, half * (1 - half)),
        ("sigmoid", half, half * (1 - half)),
    ):  # fmt: skip
        np.testing.assert_allclose(activation(name, z), values)
        np.testing.assert_allclose(derivative(name, z), slopes)


# ---- findings


def whole(cell="gru", layers=2, T=60, **given):
    """A flow by hand that has all that a report asks for."""
    t, k = np.arange(T)[:, None], np.arange(T)
    values = np.ones((layers, T, 2)) * [0.8, 0.2] + 0.01 * np.arange(layers)[:, None, None]
    shapes = Architecture(5, 2, cell, layers).shapes
    S = Architecture(5, 2, cell, layers).state_size
    calls = {
        "shares": lambda W: np.where(t >= k, 1 / T, 0), "truncated": lambda cut, W: (0.5, 0.25),
        "norms_by_lag": lambda ends: np.full((ends, T), 0.5),
        "identity_path": lambda ends=8, of="largest": np.full((layers, T), 0.5),
        "one_step_norms": lambda: np.array([0.5, 1.0, 1.5, 2.0]),
        "live_steps": lambda: 3.0, "omega": lambda: 0.5,
        "exponent": lambda: Exponent(T, -0.5, None, None),
        "spectra": lambda: {"W": {"sigma_max": 2.0, "spectral_radius": 0.5}},
    }  # fmt: skip
    gates = {"z": values, "r": values} if cell == "gru" else {}
    norms = np.where(t >= k, 0.9 ** abs(t - k), 7.0)
    made = {
        "gates": gates, "norms": norms, "losses": np.ones(T), "states": np.zeros((T + 1, S)),
        "x": np.zeros(T, int), "y": np.zeros(T, int), "reads_tokens": True,
        "parameters": {n: np.zeros(shape) for n, shape in shapes.items()},
    }  # fmt: skip
    return by_hand(cell, layers, T, **{**made, **calls, **given})


def test_all_that_a_report_shows_is_asked_for_once():
    flow, words = whole(), ["a"] * 60
    f = measure(flow, words, words, "net", lags=7)
    assert f.K[:10] == [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    assert f.K[10:] == [13, 15, 17, 19, 22, 26, 30, 34, 39, 45, 52, 60]
    assert f.one_step == {"mean": 1.25, "max": 2.0, "above_1": 0.5}
    assert (
        f.exponent.product == -0.5 and f.lags == 7 and f.open_name == "gate z" and not f.is_trained
    )
    np.testing.assert_allclose(f.open[:, 0], [0.2, 0.21, 0.8, 0.81])
    assert f.open.shape == (4, 60) and f.products.shape == (8, 60)
    assert np.isnan(f.norms[0, 1]) and f.norms[1, 1] == 1 and f.radius is None
    assert f.wanted is None and f.lasting == f.first == {}
    assert f.truncation == "full" and measure(flow, words, words, "net").lags == 59


def test_of_one_layer_without_gates_the_radius_has_its_gamma():
    for cell, gamma in (("tanh", 1), ("sigmoid", 0.25)):
        f = measure(whole(cell, 1), ["a"] * 60, ["a"] * 60, "net")
        assert (f.bound, f.radius, f.open_name) == (gamma * 2.0, gamma * 0.5, f"{cell}'(z)")
        np.testing.assert_array_equal(f.open, np.full((2, 60), gamma))


def test_the_remedies_of_a_net_that_is_as_it_begins_go_against_its_truncation():
    for settings in (None, Settings(cell="gru", layers=2, hidden_size=2, truncation="last:3")):
        f = measure(whole(), ["a"] * 60, ["a"] * 60, "net", truncation="last:3", settings=settings)
        assert f.verdict.remedies[0].startswith("--truncation window:3: ")
        assert f.is_trained == (settings is not None)


@pytest.mark.parametrize("S, ends", [(128, 8), (129, 3), (256, 3), (257, 2)])
def test_of_a_wide_state_fewer_ends_are_taken(S, ends):
    flow = whole("tanh", 1)
    flow.S = S
    assert measure(flow, ["a"] * 60, ["a"] * 60, "net").products.shape == (ends, 60)


def test_powers_and_numbers_that_JSON_has_not():
    assert power(2.0, 3) == 8 and power(10.0, 400) == np.inf
    given = {1: np.float64(2), "a": (np.nan, np.inf, True, None, "x", np.array([[1.5]]))}
    assert plain(given) == {
        "1": 2.0, "a": [None, None, True, None, "x", [[1.5]]]
    }  # fmt: skip


def test_a_rate_of_0_has_no_line():
    f = measure(whole("tanh", 1), ["a"] * 60, ["a"] * 60, "net")
    names = [line.name for line in by_lag_lines(dataclasses.replace(f, carried=None))]
    assert names[2:] == ["rate 0.9", "bound (gamma sigma_max)^n", "(gamma spectral radius)^n"]
    f = measure(whole("tanh", 1, norms=np.eye(60)), ["a"] * 60, ["a"] * 60, "net")
    names = [line.name for line in by_lag_lines(f)]
    assert f.verdict.rate == 0 and not any("rate" in name for name in names)


# ---- watched, and the demonstration


class Watched:
    """In the place of Flow: what it is asked for."""

    seen, fails = [], False

    def __init__(self, model, x, y):
        assert len(x) == len(y)
        self.seen.append((len(x), int(x[0]), int(y[-1])))
        self.first = int(x[0])
        if self.fails and len(x) > 1:
            raise RNNError("no")

    def spectra(self):
        return {"W": {"sigma_max": 2.0, "spectral_radius": 1.5},
                "W2": {"sigma_max": 3.0, "spectral_radius": 0.5}}  # fmt: skip

    def omega(self):
        return float(self.first)

    def live_steps(self):
        return np.inf if self.first == 9 else 2.0 * self.first


def test_the_five_longest_sentences_are_watched_as_far_as_fifty_tokens(monkeypatch):
    monkeypatch.setattr(watch, "Measures", Watched)
    Watched.seen = []
    lengths = [3, 60, 4, 51, 50, 7, 2]
    texts = [np.arange(i, i + n) for i, n in enumerate(lengths)]
    found = watch.watched(None, texts)
    assert Watched.seen == [
        (1, 0, 0),
        (50, 1, 51),
        (50, 3, 53),
        (49, 4, 53),
        (6, 5, 11),
        (3, 2, 5),
    ]
    assert found == {"sigma_max": 3.0, "spectral_radius": 1.5, "omega": 3.0, "live_steps": 6.0}
    found = watch.watched(None, [np.array([9, 1])])
    assert found["omega"] == 9 and found["live_steps"] is None
    monkeypatch.setattr(Watched, "fails", True)
    found = watch.watched(None, texts)
    assert found == {"sigma_max": 3.0, "spectral_radius": 1.5, "omega": None, "live_steps": None}


def test_the_sentence_of_the_demonstration_has_20_words_between_keys_and_are():
    x, y, vocabulary = demo.sentence()
    words = [vocabulary[i] for i in x]
    assert words[0] == "<s>" and words[1:] == demo.SENTENCE.split()
    assert [vocabulary[i] for i in y] == [*words[1:], "</s>"]
    assert len(set(vocabulary)) == len(vocabulary) == max(y) + 1
    assert words.index("are") - words.index("keys") - 1 == 20


def test_in_the_demonstration_the_first_network_alone_is_truncated(monkeypatch):
    made = []
    monkeypatch.setattr(demo, "RNN", lambda *size, **given: (size, given))
    monkeypatch.setattr(demo, "Measures", lambda model, x, y: made.append(model) or model)
    monkeypatch.setattr(
        demo, "measure", lambda flow, x, y, name, truncation: (name, truncation, x, y)
    )
    found = demo.findings()
    assert [of[:2] for of in found] == [
        ("tanh", "last:4"), ("ReLU, W = I", "full"), ("GRU", "full"), ("LSTM", "full")
    ]  # fmt: skip
    assert found[0][2][:3] == ["<s>", "the", "keys"] and found[0][3][-1] == "</s>"
    assert made[0] == ((len(demo.sentence()[2]), 50), {"seed": 0, "cell": "tanh"})
    assert made[3][1] == {"seed": 0, "cell": "lstm", "bias": True}
