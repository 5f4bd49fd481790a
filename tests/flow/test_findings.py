"""What a report shows: each number of a tanh net by hand, each place that a number is shown at."""

import dataclasses
import html
import json
import re

import numpy as np
import pytest
from conftest import first

from theano_rnn import RNN, RNNError
from theano_rnn.flow import Flow, by_lag
from theano_rnn.flow.curves import activation, operating_points
from theano_rnn.flow.decay import geometric_mean, left_by_lag
from theano_rnn.flow.findings import Findings, measure, plain
from theano_rnn.flow.report import figures, terminal
from theano_rnn.flow.report.html import cells_html, numbers_of, page, sections_of
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.omega import omega
from theano_rnn.training.settings import Settings

VOCAB, H, T, WANTED = 6, 4, 11, 0.97
WORDS = ["<s>", "the", "cat", "sat", "down", "</s>"]
LAGS = np.arange(T)
KINDS = {
    "gru": {"cell": "gru"},
    "gru_after with biases": {"cell": "gru_after", "bias": True},
    "lstm": {"cell": "lstm", "bias": True, "embedding_size": 3},
    "mingru": {"cell": "mingru", "bias": True},
    "two layers of gru": {"cell": "gru", "layers": 2, "bias": True},
    "two layers of lstm": {"cell": "lstm", "layers": 2},
}
GATED = [kind for kind in KINDS if "layers" not in kind]


def measured(seed=12, T=T, scale=1.0, **kind):
    """A random net, its flow on a random text, and what a report shows of it."""
    rng = np.random.default_rng(seed)
    model = RNN(VOCAB, H, dtype="float64", **kind)
    shapes = model.architecture.shapes
    model.set_parameters({n: scale * rng.uniform(-1, 1, shape) for n, shape in shapes.items()})
    x, y = rng.integers(VOCAB, size=(2, T))
    flow = Flow(model, x, y)
    inputs, targets = [WORDS[i] for i in x], [WORDS[i] for i in y]
    settings = Settings(hidden_size=H, truncation="last:2", **kind)
    return flow, measure(
        flow, inputs, targets, "runs/x", truncation="last:2", settings=settings, wanted=WANTED
    )


@pytest.fixture(scope="module")
def tanh():
    return measured()


@pytest.fixture(scope="module")
def by_hand(tanh):
    return of_a_tanh_net(tanh[0])


def of_a_tanh_net(flow):
    """What Findings should have of a tanh net, in NumPy and from the equations alone."""
    U, V, W = (flow.parameters[name] for name in "UVW")
    s, z, E = [np.zeros(H)], [], []
    for word, target in zip(flow.x, flow.y):
        z.append(U[:, word] + W @ s[-1])
        s.append(np.tanh(z[-1]))
        E.append(np.log(np.exp(V @ s[-1]).sum()) - (V @ s[-1])[target])
    J = [np.diag(1 - s_t**2) @ W for s_t in s[1:]]  # ds_t/ds_{t-1}
    errors = np.zeros((T, T, H))  # dE_t/ds_k
    pairs = np.zeros((T, T, H, H))  # C[t, k] of W
    for t in range(T):
        o = np.exp(V @ s[t + 1])
        d = V.T @ (o / o.sum() - np.eye(VOCAB)[flow.y[t]])
        for k in range(t, -1, -1):
            errors[t, k] = d
            pairs[t, k] = np.outer(d * (1 - s[k + 1] ** 2), s[k])
            d = d @ J[k]
    norms = np.linalg.norm(errors, axis=2)
    left = np.array(
        [np.exp(np.mean([np.log(norms[t, t - n] / norms[t, t]) for t in range(n, T)]))
         for n in range(T)]
    )  # fmt: skip
    ends = sorted({round(float(t)) for t in np.linspace(T // 2, T, 8)})
    products = np.full((len(ends), T), np.nan)
    for row, t in zip(products, ends):
        P = np.eye(H)
        for n in range(min(t, T - 1) + 1):
            row[n] = np.linalg.norm(P, 2)
            P = P @ J[t - n - 1] if n < t else P
    whole = pairs.sum(axis=(0, 1))
    shares = (pairs * whole).sum(axis=(2, 3)) / (whole**2).sum()
    sigma_max = np.linalg.svd(W)[1][0]
    radius = abs(np.linalg.eigvals(W)).max()
    one_step = np.array([np.linalg.norm(J_t, 2) for J_t in J])
    total = errors.sum(axis=0)
    regularizer, _ = omega(W, ((1 - np.array(s[1:]) ** 2) * total)[:, None], total[:, None])
    heard = [sum(norms[t, k] >= 0.01 * norms[t, t] for k in range(t + 1)) for t in range(T)]
    product = np.linalg.multi_dot(J[::-1])
    model = NumpyRNN(flow.parameters)
    full = model.bptt(flow.x, flow.y)["W"].ravel()
    np.testing.assert_allclose(whole.ravel(), full, atol=1e-12)

    def cut(scheme, K):
        g = NumpyRNN(flow.parameters, f"{scheme}:{K}").bptt(flow.x, flow.y)["W"].ravel()
        lengths = np.linalg.norm(g), np.linalg.norm(full)
        return g @ full / lengths[0] / lengths[1], lengths[0] / lengths[1]

    K = sorted({round(float(K)) for K in np.geomspace(1, T, 30)})
    cuts = {scheme: [cut(scheme, k) for k in K] for scheme in ("window", "chunk", "last")}
    has = {
        scheme: [cut(scheme, k)[0] >= WANTED for k in range(1, T)] + [True]
        for scheme in ("window", "chunk")
    }
    slope, start = np.polyfit(LAGS, np.log(left), 1, w=np.sqrt(T - LAGS))
    units = np.array(1 - np.array(s[1:]) ** 2).T
    return {
        "name": "runs/x", "cell": "tanh", "layers": 1, "truncation": "last:2", "wanted": WANTED,
        "inputs": [WORDS[i] for i in flow.x], "targets": [WORDS[i] for i in flow.y],
        "losses": E, "norms": np.where(np.tri(T) > 0, norms, np.nan), "shares": shares,
        "lags": T - 1, "left": left, "products": products,
        "bound": sigma_max, "radius": radius, "carried": None,
        "contributions": [sum(shares[t, t - n] for t in range(n, T)) for n in range(T)], "K": K,
        "cosines": {scheme: [c[0] for c in of] for scheme, of in cuts.items()},
        "ratios": {scheme: [c[1] for c in of] for scheme, of in cuts.items()},
        "cosine": cut("last", 2)[0], "ratio": cut("last", 2)[1],
        "lasting": {n: max([K + 2 for K, ok in enumerate(of) if not ok], default=1)
                    for n, of in has.items()},
        "first": {scheme: 1 + of.index(True) for scheme, of in has.items()},
        "is_trained": True,
        "one_step": {"mean": one_step.mean(), "max": one_step.max(),
                     "above_1": (one_step > 1).mean()},
        "saturation": {"saturated": (abs(np.array(s[1:])) > 0.9).mean(),
                       "derivative": units.mean(), "dead": None, "gates": {}},
        "spectra": {"W": {"sigma_max": sigma_max, "spectral_radius": radius}},
        "live": np.mean(heard), "omega": regularizer,
        "exponent": {"steps": T, "product": np.log(np.linalg.norm(product, 2)) / T,
                     "mean": None, "spread": None},
        "curves": {"tanh": np.array(z)}, "open": units[np.argsort(units.mean(axis=1))],
        "open_name": "tanh'(z)", "is_text": True,
        "verdict": {"rate": np.exp(slope), "rate_start": np.exp(start), "bound": sigma_max,
                    "half_life": np.log(2) / -slope, "zeros": 0, "guaranteed": None,
                    "horizon": 1 + max(n for n in range(T) if left[n] >= 0.01)},
    }  # fmt: skip


def agree(found, expected):
    """The same words, and the same numbers to 1e-10."""
    if isinstance(expected, dict):
        found = found if isinstance(found, dict) else vars(found)
        for name in expected:
            agree(found[name], expected[name])
    elif expected is None or isinstance(expected, (str, bool)) or (
        isinstance(expected, list) and isinstance(expected[0], str)
    ):  # fmt: skip
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


# ---- the numbers


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Findings)])
def test_each_number_of_a_tanh_net_is_that_of_the_equations(tanh, by_hand, field):
    agree(getattr(tanh[1], field), by_hand[field])


def test_the_numbers_that_are_proved_are_neither_all_nor_none(tanh):
    """A net on which no number is trivial."""
    f = tanh[1]
    assert 1 < f.first["chunk"] < f.lasting["chunk"] < T and 1 < f.lasting["window"] < T
    assert 1 < f.live < (T + 1) / 2 and 0 < f.one_step["above_1"] < 1
    assert 0 < f.saturation["saturated"] < 1 and f.verdict.horizon is not None


@pytest.mark.parametrize("kind", first(2, KINDS))
def test_of_a_cell_with_gates_each_number_is_that_of_flow(kind):
    """Whose are proved one by one beside the measures."""
    flow, f = measured(**KINDS[kind])
    W = ["U"] if kind == "mingru" else ["W", "W2"][: f.layers]
    assert f.gradient == f"dE/d{W[0]}"
    agree(f.norms[np.tril_indices(T)], flow.norms[np.tril_indices(T)])
    agree(f.left, left_by_lag(flow.norms, 1 if f.cell == "lstm" else 0))
    agree(f.shares, flow.shares(W))
    agree(f.contributions, by_lag(flow.shares(W)))
    agree((f.cosine, f.ratio), flow.truncated("last:2", W))
    for scheme in f.lasting:
        assert f.lasting[scheme] == flow.smallest_K(scheme, WANTED, W)
        assert f.first[scheme] == flow.first_K(scheme, WANTED, W)
    agree(f.products, flow.norms_by_lag())
    agree(f.carried, flow.identity_path())
    assert (flow.identity_path(of_units="mean") <= f.carried).all()
    assert f.bound == (1 if kind == "mingru" else None) and f.radius is None
    product = np.log(np.linalg.norm(flow.jacobian(T, 0), 2)) / T
    agree(f.exponent, {"steps": T, "product": product, "mean": None, "spread": None})
    agree((f.live, f.omega), (flow.live_steps(), flow.omega()))
    gate = {"gru": "z", "gru_after": "z", "lstm": "f", "mingru": "z"}[f.cell]
    values = np.concatenate(list(flow.gates[gate]), axis=1).T
    assert f.open_name == f"gate {gate}"
    agree(f.open, values[np.argsort(values.mean(axis=1))])


@pytest.mark.parametrize("kind", first(1, KINDS))
def test_the_candidates_are_what_the_gates_let_in(kind):
    flow, _ = measured(**KINDS[kind])
    layers, parts = flow.architecture.layers, flow.architecture.state_size // H
    states = flow.states.reshape(T + 1, layers, parts // layers, H)
    points = operating_points(flow)
    name = "tanh g" if "tanh(c)" in points else "tanh h"
    name = "linear h" if kind == "mingru" else name
    new = activation(name, points[name]).reshape(T, layers, H)
    gates = {n: g.transpose(1, 0, 2) for n, g in flow.gates.items()}  # (T, layers, H)
    if name == "tanh g":
        kept = gates["f"] * states[:-1, :, 1] + gates["i"] * new
        np.testing.assert_allclose(kept, states[1:, :, 1], atol=1e-14)
    else:
        kept = gates["z"] * states[:-1, :, 0] + (1 - gates["z"]) * new
        np.testing.assert_allclose(kept, states[1:, :, 0], atol=1e-14)


def test_a_cosine_that_none_can_have_is_refused(tanh):
    flow, f = tanh
    with pytest.raises(RNNError, match=r"above 0 and at most 1, not 1\.5"):
        measure(flow, f.inputs, f.targets, "x", wanted=1.5)


# ---- where they are shown


def columns(table):
    return {str(column.header): list(column.cells) for column in table.columns}


@pytest.mark.parametrize("kind", first(1, ["tanh", "lstm"]))
def test_the_table_by_lag_has_the_numbers_of_each_lag(tanh, kind):
    f = tanh[1] if kind == "tanh" else measured(**KINDS["lstm"])[1]
    shown = columns(terminal.table_by_lag(f))
    lags = [int(lag) for lag in shown["lag"]]
    assert lags == [0, 1, 2, 3, 4, 5, 6, 8, 10]
    expected = {
        "left of |dE_t/ds_k|": [f"{f.left[n]:.2g}" for n in lags],
        "|ds_t/ds_k|": [f"{geometric_mean(f.products)[n]:.2g}" for n in lags],
        "share of dE/dW": [f"{100 * f.contributions[n]:.1f}%" for n in lags],
        "up to here": [f"{100 * sum(f.contributions[: n + 1]):.1f}%" for n in lags],
    }
    if kind == "tanh":
        expected["bound"] = [f"{f.bound**n:.2g}" for n in lags]
    for header, cells in expected.items():
        assert [re.sub(r"^-(0\.0%)$", r"\1", cell) for cell in cells] == shown.pop(header)
    assert list(shown) == ["lag"]


def test_the_table_of_truncation_has_cosine_and_ratio(tanh, by_hand):
    shown = columns(terminal.table_of_truncation(tanh[1]))
    K = [int(K) for K in shown.pop("K")]
    assert K == [1, 2, 3, 4, 5, 6, 8, 10, 11] and len(shown) == 3
    for header, cells in shown.items():
        scheme = header.removesuffix(":K")
        at = [by_hand["K"].index(k) for k in K]
        assert cells == [
            f"{by_hand['cosines'][scheme][i]:.3f}, {by_hand['ratios'][scheme][i]:.3g}" for i in at
        ]


def test_the_lines_of_the_terminal_have_the_numbers(tanh, by_hand):
    f, said = tanh[1], "\n".join(terminal.verdict_lines(tanh[1]))
    one, e = by_hand["one_step"], by_hand["exponent"]
    for expected in (
        f"reaches {by_hand['live']:.1f} of the 6.0 steps",
        f"Omega is {by_hand['omega']:.3g};",
        f"mean {one['mean']:.3g}, max {one['max']:.3g}, above 1 at {one['above_1']:.1%} of",
        f"The product of the {T} Jacobians has the norm {np.exp(T * e['product']):.3g}, a factor "
        f"of {np.exp(e['product']):.3g} a step.",
        f"Trained with last:2: the cosine of this dE/dW with the full one is "
        f"{by_hand['cosine']:.3f}, the ratio of their norms {by_hand['ratio']:.3g}.",
        f"ach step back leaves {by_hand['verdict']['rate']:.3g} of |dE_t/ds_k| (",
        f"{tanh[1].verdict.rate_range.low:.3g} to {tanh[1].verdict.rate_range.high:.3g} in parts",
        f"it halves in {by_hand['verdict']['half_life']:.1f} steps.",
        f"Less than 1 % is left after {by_hand['verdict']['horizon']} steps.",
        f"= 1 x {by_hand['bound']:.3g} = {by_hand['bound']:.3g} > 1",
        f"its spectral radius is {by_hand['radius']:.3g} (sigma_max {by_hand['bound']:.3g})",
    ):
        assert expected in said, expected
    saturation = terminal.saturation_lines(f)
    assert saturation == [
        f"Saturated states: {by_hand['saturation']['saturated']:.1%}.",
        f"Mean tanh'(z): {by_hand['saturation']['derivative']:.3f}.",
        f"W: sigma_max {by_hand['bound']:.3g}, spectral radius {by_hand['radius']:.3g}.",
    ]
    assert terminal.smallest_K_lines(f) == [
        f"From {scheme}:{by_hand['lasting'][scheme]} on the cosine is 0.97 or more"
        + (f"; {scheme}:{by_hand['first'][scheme]} is the first that reaches it."
           if by_hand["first"][scheme] < by_hand["lasting"][scheme] else ".")
        for scheme in ("window", "chunk")
    ]  # fmt: skip


def test_the_lines_of_a_cell_with_gates_have_their_shares():
    flow, f = measured(scale=3, **KINDS["lstm"])
    closed, opened = ((g < 0.1).mean() for g in (flow.gates["f"], 1 - flow.gates["f"]))
    line = f"Gate f: {closed:.1%} of its values below 0.1, {opened:.1%} above 0.9."
    assert line in terminal.saturation_lines(f) and 0 < closed < 1 and 0 < opened < 1


def test_side_by_side_is_each_models_own_verdict(tanh):
    several = [tanh[1], measured(**KINDS["gru"])[1], measured(scale=0.2)[1]]
    shown = columns(terminal.side_by_side(several))
    verdicts = [f.verdict for f in several]
    assert shown == {
        "model": ["runs/x"] * 3,
        "verdict": [v.kind for v in verdicts],
        "rate a step": [f"{v.rate:.3f}" for v in verdicts],
        "half-life": [f"{v.half_life:.1f}" for v in verdicts],
        "1 % at lag": [f"> {T - 1}" if v.horizon is None else str(v.horizon) for v in verdicts],
        "bound": [f"{tanh[1].bound:.2f}, no proof", "unknown", f"{several[2].bound:.2f}"],
    }
    assert tanh[1].bound > 1 > several[2].bound
    cells = re.findall("<td>(.*?)</td>", cells_html(several))
    rows = [html.escape(column[i]) for i in range(3) for column in shown.values()]
    assert cells == rows


@pytest.mark.parametrize("kind", first(2, ["tanh", *KINDS]))
def test_the_curves_by_lag_are_those_that_are_proved(tanh, by_hand, kind):
    f = tanh[1] if kind == "tanh" else measured(**KINDS[kind])[1]
    lines = figures.by_lag_lines(f)
    curves = {line.name: line.y for line in lines}
    agree(curves.pop("|dE_t/ds_k|, mean"), f.left)
    ends = np.array([[np.log(n) for n in row] for row in f.products])
    agree(curves.pop("|ds_t/ds_k|, mean"), np.exp(ends.mean(axis=0)))
    for piece in f.verdict.pieces:  # one line, or two
        (line,) = [line for line in lines if line.name == f"rate {piece.rate:.3g}"]
        agree(curves.pop(line.name), piece.start * piece.rate ** np.array(line.x))
    assert line.x[-1] == LAGS[-1]
    if kind == "tanh":
        agree(curves.pop("bound (gamma sigma_max)^n"), by_hand["bound"] ** LAGS)
        agree(curves.pop("(gamma spectral radius)^n"), by_hand["radius"] ** LAGS)
    for layer, carried in enumerate(f.carried if kind != "tanh" else [], 1):
        name = "through the gates" if f.layers == 1 else f"through the gates, layer {layer}"
        agree(curves.pop(name), carried)
    assert not curves


def test_of_a_sigmoid_bound_and_radius_have_its_quarter():
    flow, f = measured(cell="sigmoid")
    W = flow.parameters["W"]
    agree(f.bound, np.linalg.svd(W)[1][0] / 4)
    agree(f.radius, abs(np.linalg.eigvals(W)).max() / 4)


def marks_of(figure):
    return {mark.name: mark for panel in figure.panels for mark in panel.marks}


def test_the_figures_have_the_shares_and_what_is_left(tanh, by_hand):
    f = tanh[1]
    shown = marks_of(figures.contributions(f))
    agree(shown["at this lag"].y, by_hand["contributions"])
    agree(shown["up to this lag"].y, np.cumsum(by_hand["contributions"]))
    assert abs(shown["up to this lag"].y[-1] - 1) < 1e-12
    several = [f, measured(**KINDS["gru"])[1]]
    for line, of in zip(figures.lags(several).panels[0].marks, several):
        np.testing.assert_array_equal(line.y, of.left)


def test_the_page_marks_the_cosine_that_was_asked_for(tanh):
    assert marks_of(figures.truncation(tanh[1]))[f"wanted: {WANTED}"].y == WANTED
    none = figures.truncation(dataclasses.replace(tanh[1], wanted=None))
    assert not any("wanted" in name for name in marks_of(none))
    text = page("x", "y", sections_of(tanh[1]), numbers_of(tanh[1]))
    assert all(line in text for line in terminal.smallest_K_lines(tanh[1]))


def test_the_maps_of_several_are_those_of_each(tanh):
    several = [tanh[1], measured(**KINDS["gru"])[1]]
    for panel, f in zip(figures.maps([figures.each(several)]).panels, several):
        at = np.tril_indices(T)
        agree(panel.marks[0].z[at], np.log10(f.norms[at]))


@pytest.mark.parametrize("kind", ["tanh", "two layers of lstm"])
def test_the_page_carries_each_number_as_json(tanh, kind):
    f = tanh[1] if kind == "tanh" else measured(**KINDS[kind])[1]
    text = page("x", "y", sections_of(f), numbers_of(f))
    (found,) = re.findall('<script type="application/json" id="numbers">(.*?)</script>', text)
    numbers = json.loads(found)
    for field in dataclasses.fields(f):
        if field.name in ("curves", "open"):
            continue
        value, shown = getattr(f, field.name), numbers.pop(field.name)
        if isinstance(value, np.ndarray):
            shown = np.array(shown, float)
        if field.name in ("verdict", "exponent"):
            assert shown == plain(value)
        else:
            agree(shown, value)
    assert numbers == {"first_step": 1}


def test_the_cosines_of_the_figure_are_those_of_the_equations(tanh, by_hand):
    shown = marks_of(figures.truncation(tanh[1]))
    for scheme, cosines in by_hand["cosines"].items():
        agree(shown[f"{scheme}:K"].y, cosines)
    assert shown["trained with last:2"].y == [tanh[1].cosine]


@pytest.mark.parametrize("kind", GATED)
def test_the_maps_are_the_norms_and_the_gate(kind):
    _, f = measured(**KINDS[kind])
    agree(marks_of(figures.heat(f))["|dE_t/ds_k|"].z, np.log10(f.norms))
    rows, _ = figures.units(f)
    np.testing.assert_allclose(marks_of(figures.saturation(f))["units"].z, f.open[rows], atol=5e-4)
